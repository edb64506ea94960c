"""A valid checkpoint, however it was saved, gives transformers' own logits through the pipeline's classifier.

Tiny random models of each family: with a head, as pre-training models with tied weights, or the base model alone; in
one file or several; in fp16, bf16, fp32 or fp64; with old names of norms, stored buffers, or prefixes of training
tools; as sentence-transformers lays them out. Spoilt in any of the ways that people's are, each is refused.

A fixed sequence of examples; FUZZ_EXAMPLES=200 tries that many of each, other ones every time.
"""

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

import tiny
from fuzzing import fuzz
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.engine.batches import make_batch
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.engine.dropout import Dropout
from shallower.engine.prediction import predict
from shallower.engine.tokens import TokenSet
from shallower.sources.models import check_model, fetch_model
from tiny_decoders import DECODERS
from token_sets import make_tokens

ROWS = 6
LABELS = ["good", "bad", "so_so", "odd"]
ACTIVATION = {
    "distilbert": "activation",
    "xlnet": "ff_activation",
    "gpt2": "activation_function",
    "gemma3_text": "hidden_activation",
}  # else hidden_act
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp64": torch.float64}


@dataclass(frozen=True)
class Form:
    """A random model, and how it is saved."""

    family: str
    part: str  # "head", "pre-training" or "bare"
    num_layers: int = 2
    labels: int = 2
    settings: dict[str, Any] = field(default_factory=dict)
    max_shard_size: str | None = None
    dtype: str = "fp32"
    prefix: str = ""
    old_norms: bool = False
    buffers: bool = False
    sentence_transformers: bool = False
    seed: int = 0

    @property
    def names(self) -> list[str]:
        return LABELS[: self.labels]


@st.composite
def forms(draw: st.DrawFn, family: str) -> Form:
    activation = draw(st.sampled_from(["gelu", "gelu", "relu", "gelu_new", "silu"]))
    return Form(
        family=family,
        part=draw(st.sampled_from(["head", "head", "pre-training", "bare"])),
        num_layers=draw(st.integers(1, 3)),
        labels=draw(st.integers(2, 4)),
        settings={ACTIVATION.get(family, "hidden_act"): activation},
        max_shard_size=draw(st.sampled_from([None, "20KB", "60KB"])),
        dtype=draw(st.sampled_from(sorted(DTYPES))),
        prefix=draw(st.sampled_from(["", "", "module.", "_orig_mod.", "model.", "module._orig_mod."])),
        old_norms=draw(st.booleans()),
        buffers=draw(st.booleans()) and family not in ("xlnet", *DECODERS),  # which have no such positions to store
        sentence_transformers=draw(st.booleans()),
        seed=draw(st.integers(0, 99)),
    )


def save(form: Form, folder: Path) -> torch.nn.Module:
    """Write the checkpoint, and return the model as transformers reads it before anything is renamed."""
    tiny.make_model(
        folder,
        form.family,
        form.num_layers,
        labels=form.labels if form.part == "head" else None,
        seed=form.seed,
        max_shard_size=form.max_shard_size,
        bare=form.part == "bare",
        settings=form.settings,
    )
    if form.part == "head":
        named = {str(index): name for index, name in enumerate(form.names)}
        write_json(folder / "config.json", read_json(folder / "config.json") | {"id2label": named})
    torch.manual_seed(form.seed)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, num_labels=form.labels)
    with torch.no_grad():
        for (
            parameter
        ) in model.parameters():  # and not what a model computes itself, such as Gemma's scale of embeddings
            parameter.copy_(parameter.to(DTYPES[form.dtype]).float())
    model.eval()

    def renamed(name: str) -> str:
        if form.old_norms:
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        return form.prefix + name

    files = sorted(folder.glob("*.safetensors"))
    for number, file in enumerate(files):
        tensors = {renamed(name): tensor.to(DTYPES[form.dtype]) for name, tensor in load_file(file).items()}
        if form.buffers and not number and not form.max_shard_size:
            tensors[f"{form.prefix}embeddings.position_ids"] = torch.arange(tiny.MAX_LENGTH)[None]
        save_file(tensors, file, metadata={"format": "pt"})
    if (index := folder / "model.safetensors.index.json").is_file():
        content = read_json(index)
        places = {renamed(name): file for name, file in content["weight_map"].items()}
        write_json(index, content | {"weight_map": places})
    if form.sentence_transformers:
        write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "models.Transformer"}])
        write_json(folder / "config_sentence_transformers.json", {"prompts": {}})
        (folder / "1_Pooling").mkdir()
        write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": 32})
    return model


def tokens_of(folder: Path) -> tuple[TokenSet, dict[str, Any]]:
    """Pairs of texts, one of them with a padding token inside."""
    tokens, task = make_tokens(folder, ROWS, pair=True)
    input_ids = tokens.input_ids.copy()
    input_ids[tokens.offsets[1] + 2] = tokens.pad_token_id
    return replace(tokens, input_ids=input_ids), task


def logits_of(model: torch.nn.Module, tokens: TokenSet) -> torch.Tensor:
    with torch.inference_mode():
        return model(**model_inputs(model, make_batch(tokens, np.arange(ROWS)), "cpu")).logits


def fetched(folder: Path) -> Path:
    entry = {"name": "m", "source": "local", "directory": str(folder)}
    assert check_model(entry) is None
    fetch_model(entry, folder.with_name("fetched"))
    return folder.with_name("fetched")


@pytest.mark.parametrize("family", tiny.FAMILIES)
@fuzz(3)
@given(data=st.data())
def test_a_saved_model_gives_the_logits_of_transformers(family: str, data: st.DataObject) -> None:
    form = data.draw(forms(family))
    with tempfile.TemporaryDirectory() as scratch:
        model = save(form, Path(scratch) / "saved")
        ready = fetched(Path(scratch) / "saved")
        tokens, task = tokens_of(ready)
        order = data.draw(st.permutations(range(form.labels)))
        task |= {"labels": [form.names[index].upper() for index in order]}
        classifier = load_for_training(ready, task, seed=1, padding_side=tokens.padding_side)
        with torch.inference_mode():
            classifier.begin_prediction("cpu")
            ours, _ = classifier.forward(tokens, np.arange(ROWS), Dropout())
        if form.part == "head":
            expected = logits_of(model, tokens)
            stored = predict(load_for_prediction(ready, tokens.padding_side), tokens, Compute("cpu", "fp32", 1))
            torch.testing.assert_close(torch.from_numpy(stored), expected, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(ours, expected[:, order], rtol=1e-4, atol=1e-4)
        else:
            # The same body, with the new head that was drawn.
            classifier.save(ready, Path(scratch) / "written")
            written = load_file(Path(scratch) / "written/model.safetensors")
            head = {name for name in model.state_dict() if not name.startswith(f"{model.base_model_prefix}.")}
            pooler = {name for name in model.state_dict() if ".pooler." in name and form.part == "bare"}
            model.load_state_dict({name: written[name] for name in head | pooler}, strict=False)
            torch.testing.assert_close(ours, logits_of(model, tokens), rtol=1e-4, atol=1e-4)


# Each changes the tensors of a checkpoint with a head, and is to be refused.
SPOILS = {
    "integers": lambda tensors, name: tensors.update({name: tensors[name].mul(99).to(torch.int8)}),
    "fp8": lambda tensors, name: tensors.update({name: tensors[name].to(torch.float8_e4m3fn)}),
    "not a number": lambda tensors, name: tensors[name].view(-1)[:1].fill_(float("nan")),
    "infinite": lambda tensors, name: tensors[name].view(-1)[-1:].fill_(-float("inf")),
    "missing": lambda tensors, name: tensors.pop(name),
    "a prefix": lambda tensors, name: tensors.update({f"module.{name}": tensors.pop(name)}),
    "an adapter": lambda tensors, name: tensors.update({f"{name}.lora_A.default.weight": tensors[name].clone()}),
}


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a family with a head; copy what is to be changed."""
    folder = tmp_path_factory.mktemp(request.param) / "saved"
    save(Form(request.param, "head"), folder)
    return folder


@fuzz(14)
@given(data=st.data())
def test_a_spoilt_model_is_refused(sound: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = shutil.copytree(sound, Path(scratch) / "saved")
        tensors = load_file(folder / "model.safetensors")
        # What a head or the pooler, which is a part of it, lacks is drawn again.
        body = [name for name in sorted(tensors) if name.count(".") > 2 and "pooler" not in name]
        spoil = data.draw(st.sampled_from(sorted(SPOILS)))
        SPOILS[spoil](tensors, data.draw(st.sampled_from(body)))
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        entry = {"name": "m", "source": "local", "directory": str(folder)}
        if check_model(entry) is None:
            assert spoil in ("not a number", "infinite")
            with pytest.raises(UserError, match="numbers that are not finite"):
                fetch_model(entry, Path(scratch) / "fetched")
