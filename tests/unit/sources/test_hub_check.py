"""A study's models and data are looked up on a hub on this machine: what is right, and each kind of fault."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from huggingface_hub import constants
from safetensors.torch import load_file

from hub_server import ALWAYS, Fault, HubServer
from scripts import run_script
from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.core.model_classes import TOKEN_CLASSIFICATION
from shallower.sources import hub_outline
from shallower.sources.hub_check import Finding, check_on_hub
from tiny import FAMILIES, make_model
from tiny_decoders import DECODERS
from tiny_embedding import make_embedding_model

ROOT = Path(__file__).parents[3]
MODEL = ("model", "someone/model")
DATA = ("dataset", "someone/data")
WEIGHTS = "model.safetensors"
PICKLE = "pytorch_model.bin"


@pytest.fixture
def model(saved: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the tiny BERT to spoil."""
    return Path(shutil.copytree(saved["bert"], tmp_path / "served" / "model"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two splits, as parquet and as CSV."""
    folder = tmp_path / "served" / "data"
    folder.mkdir(parents=True)
    for split, rows in (("train", 40), ("validation", 20)):
        texts, labels = [f"text {row}" for row in range(rows)], [row % 2 for row in range(rows)]
        pq.write_table(pa.table({"text": texts, "label": labels}), folder / f"{split}.parquet")
        (folder / f"{split}.csv").write_text("text,label\na,0\n")
    return folder


Serve = Callable[..., HubServer]


@pytest.fixture
def serve(model: Path, data: Path, start_hub: Serve, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Start a server of the two folders, as they are then."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return partial(start_hub, {MODEL: model, DATA: data})


def model_entry(server: HubServer, **more: Any) -> dict[str, Any]:
    entry = {"name": "mine", "source": "hub", "repository": "someone/model", "revision": server.revision(*MODEL)}
    return {**entry, "num_layers": 4, **more}


def task_entry(server: HubServer, kind: str = "parquet", **more: Any) -> dict[str, Any]:
    return {
        "name": "mine", "source": "hub", "repository": "someone/data", "revision": server.revision(*DATA),
        "train_file": f"train.{kind}", "validation_file": f"validation.{kind}",
        "text": ["text"], "label": "label", "target": "classification", "labels": ["bad", "good"], **more,
    }  # fmt: skip


def of_model(server: HubServer, **more: Any) -> Finding:
    [finding] = check_on_hub([model_entry(server, **more)], [])
    return finding


def of_task(server: HubServer, kind: str = "parquet", **more: Any) -> Finding:
    [finding] = check_on_hub([], [task_entry(server, kind, **more)])
    return finding


# What is right


@pytest.mark.parametrize("family", [*FAMILIES, "sharded"])
def test_every_family_passes_without_its_weights(
    family: str, saved: dict[str, Path], model: Path, serve: Serve, tmp_path: Path
) -> None:
    shutil.rmtree(model)
    shutil.copytree(saved[family], model)
    server = serve()
    finding = of_model(server)
    tensors = sum(len(load_file(file)) for file in model.glob("*.safetensors"))
    assert str(finding) == (
        f"ok     model mine: someone/model at {server.revision(*MODEL)[:12]}; 4 layers; {tensors} tensors, 0 MB"
    )
    assert all("range" in request.headers for request in server.asked("safetensors$"))
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_data_in_parquet_is_known_by_its_footer(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    assert str(of_task(server, train_examples=40)) == (
        f"ok     task mine: someone/data at {server.revision(*DATA)[:12]}; train has 40 rows; validation has 20 rows"
    )
    assert not list((tmp_path / "cache").rglob("*.parquet"))


def test_other_data_is_known_to_be_there(serve: Serve) -> None:
    finding = of_task(serve(), "csv")
    assert finding.problems == ()
    assert finding.notes[1:] == (
        "train.csv is there, its columns are not checked",
        "validation.csv is there, its columns are not checked",
    )


def test_long_headers_and_footers_take_a_second_request(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_outline, "FIRST_BYTES", 100)
    server = serve()
    assert of_model(server).problems == ()
    assert of_task(server).problems == ()
    assert len(server.asked("/cdn/.*safetensors")) == 2
    assert len(server.asked("/cdn/.*train.parquet")) == 2


def test_a_hub_that_sends_whole_files_only(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_outline, "FIRST_BYTES", 100)
    server = serve(Fault("^/cdn/", times=ALWAYS, whole=True))
    assert of_model(server).problems == ()
    finding = of_task(server)
    assert finding.problems == ()
    assert "train.parquet is there, its columns are not checked" in finding.notes


def test_what_is_not_on_the_hub_is_left_out() -> None:
    local = {"name": "ours", "source": "local", "directory": "models/ours"}
    glue = {"name": "sst2", "source": "glue", "subset": "sst2", "directory": "glue/sst2"}
    assert [str(finding) for finding in check_on_hub([local], [glue])] == [
        "-      model ours: not on the hub (source local)",
        "-      task sst2: not on the hub (source glue)",
    ]


def test_the_commit_of_a_pull_request_is_named_as_such(saved: dict[str, Path], serve: Serve) -> None:
    server = serve(pull_requests={MODEL: [saved["distilbert"]]})
    assert not any("refs/pr" in note for note in of_model(server).notes)
    finding = of_model(server, revision=server.revision(*MODEL, "refs/pr/1"))
    assert finding.problems == ()
    assert finding.notes[-1] == "the commit is that of refs/pr/1: look at its author"


def test_the_token_goes_to_the_hub_only(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(token="hf_right")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert of_model(server).problems == ()
    assert of_task(server).problems == ()
    assert server.asked("^/cdn/")
    assert all("authorization" not in request.headers for request in server.asked("^/cdn/"))


# Faults of models


def without(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).unlink()


def config(**changes: Any) -> Callable[[Path], Any]:
    return lambda folder: write_json(folder / "config.json", {**read_json(folder / "config.json"), **changes})


def cut_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-5])


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / PICKLE)
    (folder / WEIGHTS).unlink()


@pytest.mark.parametrize(
    "spoil, problem",
    [
        (without("config.json"), "there is no config.json"),
        (without(WEIGHTS), "there is neither model.safetensors nor model.safetensors.index.json; there are:"),
        (without("tokenizer.json"), "there is no tokenizer"),
        (config(model_type="t5"), "the architecture 't5' is not supported; supported ones: bert"),
        (config(num_hidden_layers=5), "the model has 5 layers, the study says num_layers: 4; correct it"),
        (config(vocab_size=100), "token ids up to 230, but the model's vocab_size is 100"),
        (config(intermediate_size="much"), "config.json"),
        (config(hidden_dropout_prob="much"), "config.json cannot be used"),
        (config(auto_map={"AutoModel": "x.X"}), "(auto_map), which is never run"),
        (cut_weights, "model.safetensors: not a valid safetensors file"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"no header" * 9), "model.safetensors: not a valid"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b""), "model.safetensors: not a valid"),
    ],
)  # fmt: skip
def test_models_that_would_be_refused(spoil: Callable[[Path], Any], problem: str, model: Path, serve: Serve) -> None:
    spoil(model)
    finding = of_model(serve())
    assert problem in finding.problems[0]
    assert str(finding).startswith("wrong  model mine: ")
    assert "\n" not in str(finding)
    assert "/shallower-" not in str(finding), "files are to be named as on the hub"


def test_all_that_is_wrong_with_a_model_is_said(model: Path, serve: Serve) -> None:
    pickled(model)
    (model / "tokenizer.json").unlink()
    finding = of_model(serve(), num_layers=12)
    assert len(finding.problems) == 2
    finding = of_model(serve())
    assert [text.split(",")[0] for text in finding.problems] == [
        "the weights come only as pytorch_model.bin",
        "there is no tokenizer (tokenizer.json",
    ]


def test_weights_of_another_model_do_not_fit(saved: dict[str, Path], model: Path, serve: Serve) -> None:
    shutil.copy(saved["roberta"] / WEIGHTS, model)
    assert "no layers under the names of a bert model, but names such as 'roberta." in of_model(serve()).problems[0]


def test_another_sha256_is_known_from_the_hub(model: Path, serve: Serve) -> None:
    server = serve()
    assert of_model(server, sha256=sha256_of(model / WEIGHTS)).problems == ()
    [problem] = of_model(server, sha256="0" * 64).problems
    assert f"has SHA-256 {sha256_of(model / WEIGHTS)}, the study says sha256: 000" in problem
    assert len(server.asked("/cdn/")) == 1


def test_a_missing_shard_is_named(saved: dict[str, Path], model: Path, serve: Serve) -> None:
    shutil.rmtree(model)
    shutil.copytree(saved["sharded"], model)
    first = sorted(model.glob("model-*.safetensors"))[0]
    first.unlink()
    assert f"has no file {first.name} at commit" in of_model(serve()).problems[0]


def test_pickled_weights_are_pointed_to_a_pull_request_that_has_others(
    saved: dict[str, Path], model: Path, serve: Serve, tmp_path: Path
) -> None:
    pickled(model)
    assert "none of its pull requests has model.safetensors" in of_model(serve()).problems[0]
    readme_only = Path(shutil.copytree(model, tmp_path / "readme"))
    (readme_only / "README.md").write_text("changed")
    server = serve(pull_requests={MODEL: [readme_only, saved["bert"]]})
    [problem] = of_model(server).problems
    assert "the weights come only as pytorch_model.bin" in problem
    commit = server.revision(*MODEL, "refs/pr/2")
    assert problem.endswith(f"refs/pr/2 has model.safetensors at commit {commit}: look at its author before you pin it")
    assert of_model(server, revision=commit).problems == ()


def test_pickled_weights_that_are_converted_are_said_to_be_unchecked(
    saved: dict[str, Path], model: Path, serve: Serve
) -> None:
    pickled(model)
    server = serve(pull_requests={MODEL: [saved["bert"]]})
    finding = of_model(server, pickled_weights="convert")
    assert finding.problems == ()
    assert "pytorch_model.bin of 0 MB, to be converted: its tensors are not checked before" in finding.notes
    assert any(note.startswith("refs/pr/1 has model.safetensors at commit") for note in finding.notes)
    assert not server.asked("pytorch_model")


def test_unknown_repositories_and_commits(serve: Serve) -> None:
    server = serve()
    assert "someone/nothing does not exist, or is private" in of_model(server, repository="someone/nothing").problems[0]
    assert f"has no commit {'0' * 40}; see" in of_model(server, revision="0" * 40).problems[0]


def test_a_commit_is_asked_for_once_even_in_vain(serve: Serve) -> None:
    server = serve()
    task = task_entry(server, revision="0" * 40)
    assert all("has no commit" in finding.problems[0] for finding in check_on_hub([], [task, task]))
    assert len(server.asked("/revision/")) == 1


def test_gated_repositories(serve: Serve) -> None:
    server = serve(token="hf_right")
    for finding in (of_model(server), of_task(server), of_task(server, "csv")):
        assert "is gated: accept its terms at" in finding.problems[0]
        assert "set HF_TOKEN" in finding.problems[0]


# Faults of data


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"train_file": "a/train.parquet"}, "has no file a/train.parquet at commit"),
        ({"text": ["sentence"]}, "train.parquet: no column 'sentence'; it has 'text', 'label'"),
        ({"label": "stars"}, "train.parquet: no column 'stars'; it has 'text', 'label'"),
        ({"train_examples": 41}, "train.parquet: has 40 rows, the study asks for 41; ask for fewer"),
        ({"repository": "someone/nothing"}, "dataset someone/nothing does not exist, or is private"),
        ({"revision": "0" * 40}, "has no commit 0000"),
    ],
)
def test_data_that_would_be_refused(changes: dict[str, Any], problem: str, serve: Serve) -> None:
    finding = of_task(serve(), **changes)
    assert problem in finding.problems[0]
    assert "/shallower-" not in str(finding)


def test_both_splits_are_looked_at(data: Path, serve: Serve) -> None:
    (data / "train.parquet").write_bytes(b"PAR1 not parquet PAR1")
    pq.write_table(pa.table({"text": ["a"]}), data / "validation.parquet")
    first, second = of_task(serve()).problems
    assert first.startswith("train.parquet: cannot be read as parquet (")
    assert second == "validation.parquet: no column 'label'; it has 'text'"


# The hub itself


def test_offline(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it"):
        list(check_on_hub([model_entry(server)], []))


def both(server: HubServer) -> tuple[Finding, ...]:
    return tuple(check_on_hub([model_entry(server)], [task_entry(server)]))


def test_no_connection_is_found_out_once(serve: Serve) -> None:
    server = serve()
    server.__exit__()
    first, second = both(server)
    assert "no success after 6 attempts" in first.problems[0]
    assert "check the connection to" in first.problems[0]
    assert second.problems == ("not checked, as the hub cannot be reached",)


def test_a_limit_of_requests_is_said(serve: Serve) -> None:
    server = serve(Fault("", status=429, times=ALWAYS))
    first, second = both(server)
    assert "the hub refuses more requests for now (HTTP status 429)" in first.problems[0]
    assert "set HF_TOKEN, which raises the limit" in first.problems[0]
    assert second.problems == ("not checked, as the hub cannot be reached",)


def test_an_error_of_the_hub_is_retried(serve: Serve) -> None:
    server = serve(Fault("^/api/", status=500, times=2), Fault("^/cdn/", status=503), Fault("^/cdn/", cut_after=10))
    assert [finding.problems for finding in both(server)] == [(), ()]


def test_models_must_suit_the_tasks_and_the_forms(serve: Serve) -> None:
    entry = model_entry(serve())
    [fine] = check_on_hub([entry], [], [TOKEN_CLASSIFICATION], to_export=True)
    assert fine.problems == ()


@pytest.mark.parametrize("family", [*DECODERS][:1])
def test_decoders_tag_no_words(family: str, model: Path, serve: Serve, tmp_path: Path) -> None:
    shutil.rmtree(model)
    make_model(model, family, 4)
    [finding] = check_on_hub([model_entry(serve())], [], [TOKEN_CLASSIFICATION])
    assert any(f"the family {family} does not suit tokens" in problem for problem in finding.problems)


def test_how_a_model_pools_is_looked_into(model: Path, serve: Serve, tmp_path: Path) -> None:
    assert "there is no modules.json" in of_model(serve(), sentence_embedding=True).problems[0]
    shutil.rmtree(model)
    shutil.copytree(make_embedding_model(tmp_path / "embedding"), model)
    assert of_model(serve(), sentence_embedding=True).problems == ()
    pooling = model / "1_Pooling" / "config.json"
    write_json(pooling, read_json(pooling) | {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True})
    assert "lasttoken" in of_model(serve(), sentence_embedding=True).problems[0]


# The script


def test_the_script_prints_a_line_for_each_and_fails_for_any(
    model: Path, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve()
    study = yaml.safe_load((ROOT / "studies" / "glue-minilm.yaml").read_text())
    study["models"] = [model_entry(server), model_entry(server, name="other", repository="someone/nothing")]
    task = {**task_entry(server), "metrics": ["accuracy"]}
    others = [{"name": "longer", "train_examples": 41}, {"name": "tested", "test_file": "tset.parquet"}]
    study["tasks"] = [task, *({**task, **other} for other in others)]
    study["strategies"] = [{"name": "top", "amounts": [1]}]

    def write() -> Path:
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
        return tmp_path / "study.yaml"

    command = [sys.executable, "workflow/scripts/check_hub.py", "--study", str(write())]
    environment = os.environ | server.environment(tmp_path / "other") | {"PYTHONPATH": "workflow"}
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert [line.split(":")[0] for line in refused.stdout.splitlines()] == [
        "ok     model mine", "wrong  model other", "ok     task mine", "wrong  task longer", "wrong  task tested",
    ]  # fmt: skip
    assert refused.returncode == 1
    assert "error: 3 of 5 models and tasks cannot be used as they are; see above" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "signature" not in refused.stderr, "addresses of large files are not to be logged"
    del study["models"][1], study["tasks"][1:]
    run_script("check_hub", study=write())
    assert capsys.readouterr().out.splitlines()[-1].startswith("Not checked: the values of weights")
    study["models"][0]["revision"] = "refs/pr/1"
    with pytest.raises(StudyErrors, match="'refs/pr/1' is not a commit"):
        run_script("check_hub", study=write())
