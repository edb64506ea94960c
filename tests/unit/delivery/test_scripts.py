"""The scripts from fine-tuned models to a delivered folder, on tiny models whose exports are made without torch."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from made_up_variants import made_up_variants
from scripts import run_script
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.core.runs import Run
from shallower.core.tables import write_table
from shallower.core.variants import INT8, ONNX, RUNTIMES, Variant
from shallower.delivery.candidates import read_candidates
from shallower.delivery.variant_folders import folder_of, model_file, write_folder_manifest
from shallower.engine.tokens import tokenize, write_tokens
from shallower.evaluation.predictions import write_predictions
from tiny_onnx import VOCABULARY, logits_of, quantise, tiny_weights, write_onnx, write_run

BASE = Run("s", "minilm", "sst2", "baseline", "none", "0", 1)
TOP = Run("s", "minilm", "sst2", "finetuned", "top", "1", 1)
LAYERS = {BASE: [0, 1], TOP: [0]}
TEXTS = ["good and happy", "bad", "one great warm day in the city", "dull film", "happy day"]
LABELS = [1, 0, 1, 0, 1]
IDS = [40, 41, 42, 43, 44]
PLACE = Path("results/s/minilm/sst2/variants")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, their exports and the inputs of the scripts."""
    from transformers import PreTrainedTokenizerFast

    root = tmp_path_factory.mktemp("study")
    write_json(root / "task.json", {"target": "classification", "labels": ["bad", "good"], "has_pair": False})
    table = pa.table({"id": IDS, "text": TEXTS, "label": LABELS})
    pq.write_table(table, root / "validation.parquet")
    for seed, run in enumerate((BASE, TOP)):
        folder, weights = root / run.directory, tiny_weights(2)
        write_run(folder, weights, ["bad", "good"])
        write_onnx(root / "first.onnx", weights)
        first = logits_of(root / "first.onnx", folder / "tokenizer.json", [[text] for text in TEXTS], 12)
        # Between the texts, so that the model gives both answers; each run has other logits.
        weights["classifier.bias"] += np.float32([np.median(first[:, 1] - first[:, 0]) + 0.01, 0]) + np.float32(
            0.1 * seed
        )
        shutil.rmtree(folder)
        write_run(folder, weights, ["bad", "good"])
        layers = {"num_layers": 2, "kept_layers": LAYERS[run]}
        write_json(folder / "layers.json", layers)
        write_json(folder / "metrics.json", {"primary": "accuracy", "metrics": {"accuracy": {"value": 0.8}}})
        sums = {name: sha256_of(folder / name) for name in ("model.safetensors", "config.json")}
        write_json(folder / "manifest.json", {"sha256": sums, "settings": {"epochs": 1, "learning_rate": 1e-3}})
        exported, quantised = (root / model_file(run, Variant(runtime)) for runtime in (ONNX, INT8))
        for path in (exported, quantised):
            path.parent.mkdir(parents=True)
        write_onnx(exported, weights)
        quantise(exported, quantised)
        for path in (exported, quantised):
            write_folder_manifest(path.parent, [path.name])
        logits = logits_of(exported, folder / "tokenizer.json", [[text] for text in TEXTS], 12)
        write_predictions(folder / "predictions.parquet", np.array(IDS), np.array(LABELS), logits)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(root / BASE.directory)
    write_tokens(root / "tokens.safetensors", tokenize(table, tokenizer, 12, len(VOCABULARY)))
    return root


@pytest.fixture
def study(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of it as the working directory, with candidates."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    write_json("runs.json", [vars(TOP), vars(BASE)])
    run_script(
        "choose_candidates",
        runs=Path("runs.json"),
        task=Path("task.json"),
        settings={"metrics": ["accuracy"]},
        output=PLACE / "candidates.json",
    )


def predict(split: str = "validation", output: str = "predicted.json") -> None:
    run_script(
        "predict_variants",
        candidates=PLACE / "candidates.json",
        runtimes=[INT8, ONNX],
        vocabularies=["full"],
        split=split,
        task=Path("task.json"),
        tokens=Path("tokens.safetensors"),
        trimmed_tokens=None,
        threads=1,
        output=PLACE / output,
    )


def evaluate(split: str = "validation", output: str = "evaluated.json") -> None:
    run_script(
        "evaluate_variants",
        candidates=PLACE / "candidates.json",
        runtimes=[*RUNTIMES],
        vocabularies=["full"],
        split=split,
        task=Path("task.json"),
        settings={"metrics": ["accuracy", "f1"], "confidence": 0.9, "bootstrap_samples": 20},
        output=PLACE / output,
    )


def logits(folder: Path) -> np.ndarray:
    return np.stack(pd.read_parquet(folder / "predictions.parquet")["logits"].to_numpy())


def test_candidates_have_layers_and_weights_of_their_runs(study):
    found = read_candidates(PLACE / "candidates.json")
    assert [candidate.run for candidate in found] == [BASE, TOP]
    assert [candidate.kept_layers for candidate in found] == [(0, 1), (0,)]
    for candidate in found:
        assert candidate.num_layers == 2
        assert candidate.sha256 == sha256_of(Path(candidate.run.directory, "model.safetensors"))


def test_a_run_that_answers_one_class_only_is_no_candidate(study):
    write_predictions(
        Path(TOP.directory, "predictions.parquet"), np.array(IDS), np.array(LABELS), np.tile([[0.0, 1.0]], (5, 1))
    )
    run_script(
        "choose_candidates",
        runs=Path("runs.json"),
        task=Path("task.json"),
        settings={"metrics": ["accuracy"]},
        output=PLACE / "candidates.json",
    )
    assert [candidate.run for candidate in read_candidates(PLACE / "candidates.json")] == [BASE]


def test_variants_are_predicted_and_scored(study):
    predict()
    evaluate()
    for run in (BASE, TOP):
        trained, exported, quantised = (logits(folder_of(run, Variant(runtime))) for runtime in RUNTIMES)
        np.testing.assert_allclose(exported, trained, atol=1e-4)
        assert 1e-4 < np.abs(quantised - trained).max() < 1
        record = read_json(folder_of(run, Variant(INT8)) / "metrics.json")
        assert record["metrics"]["accuracy"]["value"] == pytest.approx((quantised.argmax(1) == LABELS).mean())
        assert (record["runtime"], record["vocabulary"], record["origin"]) == (INT8, "full", run.origin)
        assert record["kept_layers"] == LAYERS[run] and record["num_dropped"] == 2 - len(LAYERS[run])
        assert len(np.load(folder_of(run, Variant(INT8)) / "resamples.npy")) == 20
    names = {"model-int8.onnx", "predictions.parquet", "metrics.json", "resamples.npy"}
    assert read_json(PLACE / "evaluated.json")["folders"][str(folder_of(TOP, Variant(INT8)))].keys() == names


def test_test_examples_are_predicted_and_scored_beside_the_others(study):
    """The validation texts serve as test examples."""
    predict()
    for run in (BASE, TOP):
        trained = Path(run.directory, "predictions.parquet")
        (trained.parent / "test").mkdir()
        shutil.copyfile(trained, trained.parent / "test/predictions.parquet")
    folder = folder_of(TOP, Variant(INT8))
    before = sha256_of(folder / "manifest.json")
    predict("test", "test-predicted.json")
    evaluate("test", "test-evaluated.json")
    np.testing.assert_array_equal(logits(folder / "test"), logits(folder))
    assert read_json(folder / "test/metrics.json")["num_examples"] == len(TEXTS)
    assert sha256_of(folder / "manifest.json") == before
    names = {"predictions.parquet", "metrics.json", "resamples.npy"}
    assert read_json(PLACE / "test-evaluated.json")["folders"][str(folder / "test")].keys() == names


def test_an_export_that_answers_otherwise_is_refused(study):
    exported = model_file(TOP, Variant(ONNX))
    shutil.copyfile(model_file(BASE, Variant(ONNX)), exported)
    write_folder_manifest(exported.parent, [exported.name])
    with pytest.raises(UserError, match=r"top-1.*model\.onnx"):
        predict()


def deliver(
    recommended: bool = True,
    runtime: str = INT8,
    score_kept: float | None = None,
    test: dict[str, float] | None = None,
) -> Path:
    """Deliver the arm by the tables of a made-up study; gives the folder."""
    variants = made_up_variants(2, task="sst2")
    variants.loc[(variants["origin"] == "finetuned") & (variants["runtime"] == ONNX), "kept_low"] = 50.0
    write_table("variants.csv", variants.assign(**(test or {})))
    row = {
        "study": "s",
        "model": "minilm",
        "task": "sst2",
        "recommended": recommended,
        "sentence": "Take this one.",
        "runtime": runtime,
        "vocabulary": "full",
        "directory": TOP.directory if recommended else "",
    }
    write_table("recommended.csv", pd.DataFrame([row]))
    write_json("serving.json", {"machine": {"processor": "a processor"}})
    source = {"source": "local", "name": "minilm", "directory": "models/minilm"}
    write_json("model/manifest.json", {"name": "minilm", "source": source})
    write_json("manifest.json", {"source": {"source": "files", "name": "sst2"}, "sha256": {}})
    run_script(
        "deliver_model",
        recommended=Path("recommended.csv"),
        variants=Path("variants.csv"),
        model="minilm",
        task="sst2",
        candidates=PLACE / "candidates.json",
        serving=Path("serving.json"),
        model_dir=Path("model"),
        task_dir=Path(),
        tokens=Path("tokens.safetensors"),
        trimmed_tokens=None,
        score_kept=score_kept,
        output=Path("delivered/minilm/sst2/manifest.json"),
    )
    return Path("delivered/minilm/sst2")


def test_the_recommended_model_is_delivered_in_the_forms_within_the_budget(study, monkeypatch):
    predict()
    evaluate()
    folder = deliver(score_kept=70)
    manifest = read_json(folder / "manifest.json")
    # The ONNX form in fp32 loses too much in the made-up table; torch's is what others are exported from.
    assert manifest["forms"] == ["torch", INT8] and manifest["recommended"] == INT8
    assert manifest["made_from"]["run"] == TOP.directory and manifest["made_from"]["sentence"] == "Take this one."
    assert manifest["kept_layers"] == [0] and manifest["arm"] == TOP.arm
    assert sha256_of(folder / "onnx/model-int8.onnx") == sha256_of(model_file(TOP, Variant(INT8)))
    assert read_json(folder / "config.json")["id2label"] == {"0": "bad", "1": "good"}
    assert {json.dumps(parts) for parts in read_json(folder / "parity.json")["texts"]} == {
        json.dumps([text]) for text in TEXTS
    }


def test_the_card_has_the_score_on_test_examples(study):
    predict()
    evaluate()
    for run in (BASE, TOP):
        for variant in map(Variant, RUNTIMES):
            shutil.copytree(folder_of(run, variant), Path(folder_of(run, variant), "test"))
    columns = {"test_examples": 5, "test_score": 0.61, "test_low": 0.5, "test_high": 0.7, "test_full_score": 0.65}
    kept = {"test_kept_percent": 93.8, "test_kept_low": 90.1, "test_kept_high": 97.2}
    card = (deliver(test=columns | kept) / "README.md").read_text(encoding="utf-8")
    assert "On the test split, by which nothing was chosen, it keeps **93.8" in card
    assert "0.610 (0.500 to 0.700) on 5 test examples" in card
    assert "split: test" in card


def test_where_nothing_is_recommended_the_folder_says_why(study):
    predict()
    evaluate()
    assert (deliver() / "model.safetensors").is_file()
    folder = deliver(recommended=False)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "manifest.json"]
    assert "Take this one." in (folder / "README.md").read_text(encoding="utf-8")
    assert read_json(folder / "manifest.json")["recommended"] is None
