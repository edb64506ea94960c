"""One flipped bit, anywhere in what a step reads, is an error before any work, with the file's name and a remedy."""

import random
import runpy
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import tiny
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.engine.tokens import read_tokens, write_tokens
from shallower.evaluation.predictions import read_predictions, write_predictions
from shallower.models.checksums import verified, verified_file
from shallower.models.folder import CONFIG, TOKENIZER_FILES, WEIGHTS, dropped_from
from shallower.surgery.drop_layers import drop_layers
from token_sets import make_tokens

PROJECT = Path(__file__).resolve().parents[3]
FILES = (CONFIG, WEIGHTS, *TOKENIZER_FILES)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model with a record of its files, as downloads and trainings leave it."""
    folder = tiny.make_model(tmp_path_factory.mktemp("models") / "model", "bert")
    write_json(folder / "manifest.json", {"sha256": {name: sha256_of(folder / name) for name in FILES}})
    return folder


@pytest.fixture(scope="module")
def dropped(model, tmp_path_factory) -> Path:
    """A pruned model, as one step leaves it for the next."""
    folder = tmp_path_factory.mktemp("dropped") / "dropped"
    drop_layers(model, [0, 1, 3], folder)
    return folder


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << place % 8
    path.write_bytes(content)


def places(path: Path, count: int = 40) -> list[int]:
    """The first bytes, the last one, and some drawn from a fixed seed."""
    size = path.stat().st_size
    return [*range(12), size - 1, *random.Random(0).sample(range(size), min(count, size))]


def assert_each_flip_is_an_error(path: Path, read: Callable[[], object]) -> None:
    intact = path.read_bytes()
    read()
    for place in places(path):
        flip(path, place)
        with pytest.raises(UserError, match=path.name):
            read()
        path.write_bytes(intact)
    for length in (0, 1, len(intact) // 2, len(intact) - 1):
        path.write_bytes(intact[:length])
        with pytest.raises(UserError, match=path.name):
            read()
        path.write_bytes(intact)
    read()


@pytest.mark.parametrize("name", FILES)
def test_a_bit_of_a_recorded_file(model, tmp_path, name):
    shutil.copytree(model, tmp_path / "model")
    assert_each_flip_is_an_error(tmp_path / "model" / name, lambda: verified(tmp_path / "model", FILES))


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_bit_of_a_pruned_model(dropped, tmp_path, name):
    shutil.copytree(dropped, tmp_path / "dropped")
    assert_each_flip_is_an_error(tmp_path / "dropped" / name, lambda: verified(tmp_path / "dropped"))


def test_a_bit_of_tokens(model, tmp_path):
    tokens, _ = make_tokens(model, 12, pair=True)
    path = tmp_path / "tokens.safetensors"
    write_tokens(path, tokens)
    assert_each_flip_is_an_error(path, lambda: read_tokens(path))


def test_verified_files_are_returned_with_their_digests(model, dropped):
    assert verified(model) == {name: sha256_of(model / name) for name in (WEIGHTS, CONFIG)}
    assert verified_file(model / CONFIG) == sha256_of(model / CONFIG)
    assert verified(dropped) == {name: sha256_of(dropped / name) for name in (WEIGHTS, CONFIG)}


def test_a_manifest_without_checksums_is_an_error(model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    for content in ([], {}, {"sha256": "abc"}):
        write_json(tmp_path / "model/manifest.json", content)
        with pytest.raises(UserError, match=r"manifest\.json: damaged"):
            verified(tmp_path / "model")


def test_without_a_manifest_files_are_accepted_unless_missing(model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model/manifest.json").unlink()
    flip(tmp_path / "model" / WEIGHTS, -1)
    verified(tmp_path / "model")
    (tmp_path / "model" / CONFIG).unlink()
    with pytest.raises(UserError, match=r"no config\.json"):
        verified(tmp_path / "model")


def test_a_pruned_model_can_be_pruned_further(dropped, tmp_path):
    drop_layers(dropped, [0], tmp_path)
    verified(tmp_path)
    assert dropped_from(tmp_path) == [sha256_of(dropped / WEIGHTS)]
    assert read_json(tmp_path / CONFIG)["num_hidden_layers"] == 1


def damaged_folder(folder: Path, name: str) -> Path:
    """A folder whose one file is not what its manifest has on record."""
    write_json(folder / "manifest.json", {"sha256": {name: "0" * 64}})
    write_json(folder / name, {})
    return folder


@pytest.mark.parametrize(
    ("script", "option"),
    [
        *(("evaluate_predictions", "task"), ("compare_runs", "task"), ("probe_layers", "task")),
        *(("reload_models", "task"), ("measure_cost", "config")),
    ],
)
def test_a_step_refuses_a_damaged_file_before_any_work(tmp_path, script, option):
    name = f"{option}.json"
    arguments = {"device": "cpu", "threads": 1, option: damaged_folder(tmp_path, name) / name}
    main = runpy.run_path(str(PROJECT / f"workflow/scripts/{script}.py"))["main"]
    with pytest.raises(UserError, match=rf"{option}\.json: damaged"):
        main(Namespace(**arguments))


def test_orders_are_not_of_damaged_weights(model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    flip(tmp_path / "model" / WEIGHTS, -1)
    main = runpy.run_path(str(PROJECT / "workflow/scripts/check_parameter_orders.py"))["main"]
    with pytest.raises(UserError, match=r"model\.safetensors: damaged"):
        main(Namespace(model=[("tiny", tmp_path / "model")], counterparts={}, output_dir=tmp_path))


def test_predictions_that_became_infinite_on_disk_are_damaged(tmp_path):
    """Not those of a run that diverged, whose remedy would be another learning rate."""
    tokens = SimpleNamespace(ids=np.arange(4), labels=np.arange(4) % 2)
    path = tmp_path / "predictions.parquet"
    write_predictions(path, tokens.ids, tokens.labels, np.ones((4, 2), np.float32))
    intact = parquet.read_table(path)
    logits = pa.array([[1.0, 1.0]] * 3 + [[1.0, np.inf]], pa.list_(pa.float32()))
    table = intact.set_column(intact.schema.get_field_index("logits"), "logits", logits)
    parquet.write_table(table.replace_schema_metadata(intact.schema.metadata), path)
    with pytest.raises(UserError, match="damaged"):
        read_predictions(path, "classification")


def test_a_bit_of_predictions(tmp_path):
    """A flipped bit that changes nothing that is read need not be an error."""
    tokens = SimpleNamespace(ids=np.arange(50), labels=np.arange(50) % 2)
    path = tmp_path / "predictions.parquet"
    write_predictions(path, tokens.ids, tokens.labels, np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32))
    intact, expected = path.read_bytes(), read_predictions(path, "classification")
    errors = 0
    for place in places(path, 200):
        flip(path, place)
        try:
            found = read_predictions(path, "classification")
            assert all(np.array_equal(getattr(found, name), getattr(expected, name)) for name in vars(expected))
        except UserError as error:
            assert path.name in str(error)
            errors += 1
        path.write_bytes(intact)
    assert errors > 100
