"""The whole pipeline on tiny models, from files to report."""

import csv
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter

import pytest
from safetensors import safe_open

PNG_MAGIC = b"\x89PNG"


def results_of(project):
    with open(project.folder / "results/tiny/results.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_three_families_from_files_to_report(finished_families, tmp_path):
    families = ("bert", "xlnet", "distilbert")
    project = finished_families.copy(tmp_path / "project")
    assert "Traceback" not in finished_families.printed

    rows = results_of(project)
    assert {row["model"] for row in rows} == set(families)
    assert {(row["origin"], row["strategy"], row["num_dropped"]) for row in rows} == {
        ("baseline", "none", "0"),
        ("finetuned", "top", "1"),
    }
    assert all(0 <= float(row["low"]) <= float(row["value"]) <= float(row["high"]) <= 1 for row in rows)
    assert {row["kept_layers"] for row in rows if row["strategy"] == "top"} == {"0 1 2"}

    for family in families:
        run = project.folder / "results/tiny" / family / "tiny/finetuned/top-1/seed1"
        assert json.loads((run / "layers.json").read_text())["dropped_layers"] == [3]
        assert not (run / "dropped").exists() or not any((run / "dropped").iterdir())
        # The baseline answers 24 of 27 texts without labels; only the shallower model learns from them.
        manifests = [
            json.loads((folder / "manifest.json").read_text())
            for folder in (project.folder / "results/tiny" / family / "tiny/baseline/seed1", run)
        ]
        assert [(each["examples"], each["unlabelled_examples"], each["steps"]) for each in manifests] == [
            (64, 0, 4),
            (64, 24, 6),
        ]
        assert ["unlabelled" in each["sha256"] for each in manifests] == [False, True]
        figures = project.folder / "results/tiny/figures" / family / "tiny"
        for figure in ("score-by-layers", "score-by-cost"):
            assert (figures / f"{figure}.png").read_bytes().startswith(PNG_MAGIC)
            assert "<svg" in (figures / f"{figure}.svg").read_text()
    assert "%" in (project.folder / "results/tiny/tables/answer.html").read_text()
    assert (
        "24 of tiny (of 27 rows read, 3 were left out: 1 with texts of validation rows, 1 with texts of training rows, "
        "1 that repeat an earlier one)"
    ) in (project.folder / "results/tiny/report.html").read_text()

    # A fresh process loads a delivered model and its tokenizer as any user would.
    check = (
        "import sys; from transformers import AutoModelForSequenceClassification as M, AutoTokenizer as T\n"
        "for folder in sys.argv[1:]:\n"
        "    model, report = M.from_pretrained(folder, output_loading_info=True)\n"
        "    assert not report['missing_keys'] and not report['unexpected_keys'], report\n"
        "    inputs = T.from_pretrained(folder)('good friend', 'bad bread', return_tensors='pt')\n"
        "    if 'token_type_ids' in inputs and model.config.model_type == 'distilbert': del inputs['token_type_ids']\n"
        "    print(model.config.num_hidden_layers, model(**inputs).logits.shape[1], model.config.id2label[1])\n"
    )
    folders = [f"results/tiny/{family}/tiny/finetuned/top-1/seed1" for family in families]
    loaded = subprocess.run(
        [sys.executable, "-c", check, *folders], cwd=project.folder, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split("\n")[:3] == ["3 2 good"] * 3

    # Nothing is left to do, and the report holds every figure.
    assert not project.planned()
    project.run("--report", "report.html")
    report = (project.folder / "report.html").read_text()
    for text in ("score by layers dropped", "score by speed and size", "the answer", "Category"):
        assert re.search(text, report, flags=re.IGNORECASE), text


def test_every_origin_and_everything_of_the_paper(finished_project):
    results = finished_project.folder / "results/tiny"
    task = results / "bert/tiny"

    kept = {row["origin"]: row["kept_layers"] for row in results_of(finished_project) if row["strategy"] == "top"}
    assert kept == {"finetuned": "0 1 2", "finetuned-frozen": "0 1 2", "gradual": "0 1"}
    frozen = json.loads((task / "finetuned-frozen/top-1/seed1/frozen/manifest.json").read_text())
    assert frozen["frozen_layers"] == [3]
    stages = [json.loads((task / f"gradual/top-2/seed1/stage{stage}/manifest.json").read_text()) for stage in (0, 1)]
    assert stages[0]["parameters"] > stages[1]["parameters"]
    weights = [str(path.relative_to(results)) for path in results.rglob("model.safetensors")]
    assert len(weights) == 6, weights  # the baseline's and the arms'; nothing of what they were made from

    for item in (*(f"table-{number}" for number in range(2, 8)), "gradual", "observations", "parameter-orders"):
        assert (results / f"paper/{item}.html").read_text().startswith("<!doctype html>"), item
    for item in ("figure-2", "figure-3", "preprint-figure-3", "preprint-figure-5", "contribution"):
        assert (results / f"paper/{item}.png").read_bytes().startswith(PNG_MAGIC)
    with open(results / "paper/table-2.csv", newline="") as file:
        cells = list(csv.DictReader(file))
    ours = next(cell for cell in cells if (cell["model"], cell["num_dropped"], cell["task"]) == ("bert", "0", "tiny"))
    scores = [
        row["value"] for row in results_of(finished_project) if (row["origin"], row["primary"]) == ("baseline", "True")
    ]
    assert float(ours["ours"]) == pytest.approx(100 * float(scores[0]))
    assert not any(cell["ours"] for cell in cells if cell["counterpart"] == "XLNet")
    assert all(cell["remark"] for cell in cells if not cell["ours"])

    sums = dict(reversed(line.split("  ")) for line in (results / "SHA256SUMS").read_text().splitlines())
    files = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    assert set(sums) == files - {"SHA256SUMS"}
    assert sums["provenance.json"] == hashlib.sha256((results / "provenance.json").read_bytes()).hexdigest()

    report = (results / "report.html").read_text()
    for text in ("How many layers can be dropped?", "Table 2", "Figure 3", "finetuned-frozen", "SHA-256"):
        assert re.search(text, report, flags=re.IGNORECASE), text


def test_regression_from_pretrained_with_scored_layers(finished_tasks):
    rows = results_of(finished_tasks)
    assert {row["metric"] for row in rows} == {"pearson", "spearmanr"}
    custom = next(row for row in rows if row["strategy"] == "custom")
    assert (custom["amount"], custom["kept_layers"]) == ("1.2", "0 3")
    assert Counter((row["task"], row["seed"]) for row in rows if row["origin"] == "baseline") == {
        ("tiny", "1"): 2,
        ("tiny", "2"): 2,
        ("second", "1"): 2,
    }
    # The study has a budget, and one of its tasks scores of subsets.
    results = finished_tasks.folder / "results/tiny"
    with open(results / "recommended.csv", newline="") as file:
        recommended = list(csv.DictReader(file))
    assert [row["task"] for row in recommended] == ["tiny", "second"]
    assert all(row["sentence"] for row in recommended)
    report = (results / "report.html").read_text()
    assert "Recommended within the budget" in report
    made = {task: {path.stem for path in (results / "figures/bert" / task).iterdir()} for task in ("tiny", "second")}
    assert made["second"] - made["tiny"] == {"layers-of-best-subsets"}
    assert "score-by-depth" in made["tiny"]
    sums = (results / "SHA256SUMS").read_text()
    assert "  recommended.csv\n" in sums and "second/score-by-depth.png\n" in sums
    # Models were not to be kept, and their absence is no reason to run again.
    assert not list(finished_tasks.folder.glob("results/tiny/**/model.safetensors"))
    assert not finished_tasks.planned()


def test_pretrained_and_kept_layers_keep_their_weights(make_project, warm_steps):
    """What drop_layers hands to refine-tuning holds the source's own tensors."""
    project = make_project(lambda study: study.update(origins=[{"name": "pretrained"}]))
    target = "results/tiny/bert/tiny/pretrained/top-1/seed1/dropped/model.safetensors"
    project.run("--notemp", target, environment=warm_steps)
    with (
        safe_open(project.folder / "models/bert/model.safetensors", "np") as before,
        safe_open(project.folder / target, "np") as after,
    ):
        names = set(after.keys())
        assert names == {name for name in set(before.keys()) if ".layer.3." not in name}
        assert all((before.get_tensor(name) == after.get_tensor(name)).all() for name in names)
