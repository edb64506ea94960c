"""Hostile names and texts are only names and texts, and a token stays where it came from."""

import csv
import shutil
from pathlib import Path

import pytest

from hub_server import HubServer
from project import Project, tiny_study
from shallower.core.files import read_json

# All that a shell would act on. Braces are the one thing that Snakemake cannot have in paths.
HOSTILE = "a 'b' \"c\" $(touch pwned) ;touch pwned & ünï`touch pwned`*?[x]\\ #%,=~"
TEXTS = [
    "$(touch pwned)",
    "`touch pwned`; touch pwned & touch pwned",
    "{wildcards.model} {input} {{braces}} %s \\n",
    "'quotes' \"double\" ''' \"\"\"",
    "two\nlines\r\nand\ttabs",
    "👩‍👩‍👧 emoji 🙂",
    "עברית وعربي ‮right to left",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "x" * 100_000,
    "word " * 20_000,
    "nul \x00 byte",
]
LABELS = ["$(touch pwned) {d} \"b\" 'c'", "<script>alert(1)</script> `touch pwned`"]
COLUMNS = ["te{x}t $(touch pwned)", "la'b\"el, ünï"]
SECRET = "hf_SecretThatMustNotBeWritten"

pytestmark = pytest.mark.slow


def write_rows(path: Path) -> None:
    """Rows of hostile texts, with a byte order mark and Windows' ends of lines."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows((text, LABELS[number % 2]) for number, text in enumerate(TEXTS * 2))


def pwned(folder: Path) -> list[Path]:
    return list(folder.rglob("pwned"))


def test_hostile_names_and_texts_run_to_the_end(tmp_path, warm_steps):
    study = tiny_study(tmp_path / "inputs")
    project = Project.create(tmp_path / HOSTILE, study)
    data = project.folder / HOSTILE
    shutil.copytree(tmp_path / "inputs/models/bert", data / HOSTILE)
    for split in ("train", "validation"):
        write_rows(data / f"{split} {HOSTILE}.csv")
        study["tasks"][0][f"{split}_file"] = f"{HOSTILE}/{split} {HOSTILE}.csv"
    study["models"][0]["directory"] = f"{HOSTILE}/{HOSTILE}"
    study["tasks"][0] |= {"text": COLUMNS[:1], "label": COLUMNS[1], "labels": LABELS}
    project.write_study(study)
    output = project.run(environment=warm_steps)

    assert "Traceback" not in output
    assert not pwned(tmp_path)
    results = project.folder / "results/tiny"
    with (results / "results.csv").open(newline="") as file:
        assert {row["origin"] for row in csv.DictReader(file)} == {"baseline", "finetuned"}
    (task,) = (project.folder / "resources/tasks").glob("*/task.json")
    assert read_json(task)["labels"] == LABELS
    assert read_json(results / "bert/tiny/baseline/seed1/config.json")["id2label"]["0"] == LABELS[0]
    assert "<script>alert(1)" not in (results / "report.html").read_text()


def test_a_token_is_written_nowhere(tmp_path, monkeypatch):
    study = tiny_study(tmp_path / "inputs")
    with HubServer({("model", "someone/model"): tmp_path / "inputs/models/bert"}, token=SECRET) as hub:
        revision = hub.revision("model", "someone/model")
        study["models"] = [{"name": "m", "source": "hub", "repository": "someone/model", "revision": revision}]
        project = Project.create(tmp_path / "project", study)
        shutil.move(tmp_path / "inputs/data", project.folder / "data")
        for name, value in {**hub.environment(tmp_path / "cache"), "HF_TOKEN": SECRET}.items():
            monkeypatch.setenv(name, value)

        output = project.run("--until", "tokenize_task", "--printshellcmds")
        assert any(SECRET in request.headers.get("authorization", "") for request in hub.requests)
        (manifest,) = (project.folder / "resources/models").glob("*/manifest.json")
        assert read_json(manifest)["revision"] == revision

        # Where the token does not open the model.
        hub.token = "another"
        shutil.rmtree(tmp_path / "cache")
        shutil.rmtree(project.folder / "resources/models")
        refused = project.snakemake("--until", "download_model", "--verbose")
        assert refused.returncode != 0
        assert "with the account of HF_TOKEN" in refused.stdout or "HF_TOKEN" in refused.stdout
        assert refused.stdout.count("error: model m") == 1

    assert SECRET not in output + refused.stdout
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert not holding
