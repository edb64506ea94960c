import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup

from read_pages import Page
from shallower.core.errors import UserError
from shallower.core.files import fingerprint, read_json, write_json
from shallower.core.runs import earlier_manifests
from shallower.core.tables import read_table, write_table
from shallower.core.wording import JOINED
from shallower.evaluation.estimates import Scores
from shallower.reporting.class_scores import has_class_table
from shallower.reporting.images import image_uri
from shallower.reporting.recommended import recommended_table
from shallower.reporting.report import Report, report_page
from shallower.reporting.sections import Section
from shallower.reporting.summary import read_costs
from synthetic_runs import SMALL, write_results, write_study

FOLDER = "results/small"
TRAIN = {"epochs": 3, "batch_size": 8, "learning_rate": 5e-5, "weight_decay": 0.0, "warmup_ratio": 0.0}
CONFIG = {
    "study": "small",
    "models": [
        {"name": "minilm", "source": "package", "package": "gt-minilm", "version": "0.1", "counterpart": "DistilBERT"}
    ],
    "tasks": [
        {"name": "docs-pair", "source": "files", "metrics": ["accuracy", "f1"], "train": {"epochs": 5}},
        {"name": "similarity", "source": "glue", "subset": "stsb", "train_examples": 1500, "metrics": ["pearson"]},
    ],
    "origins": [{"name": "pretrained"}, {"name": "finetuned", "refine": {"epochs": 1}}],
    "strategies": [
        {"name": "top", "amounts": [1, 2, 3]},
        {"name": "bottom", "amounts": [1, 2, 3], "origins": ["pretrained", "finetuned"]},
    ],
    "seeds": [1, 2],
    "train": {**TRAIN, "max_grad_norm": 1.0, "max_length": 128},
    "refine": {},
    "evaluate": {"confidence": 0.95, "bootstrap_samples": 1000},
    "compute": {"runs_per_gpu": 1},
    "report": {"tolerances": [1, 3], "warn_above": {"unknown_tokens": 5, "cut_texts": 20, "common_rows": 1}},
}
MANIFEST = {
    "code": {"commit": "4f" * 20, "dirty": False},
    "device": "cpu",
    "precision": "fp32",
    "threads": 1,
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0\nL9 9" fill="#123"/>&lt;100%</svg>'


CLASSES = {
    "docs-pair": {"train": {"other": 1200, "same": 300}, "validation": {"other": 200, "same": 100}},
    "similarity": None,
}


def add_manifests(folder: Path, runs: pd.DataFrame) -> None:
    """What the training and the imports leave, and the synthetic study does not."""
    for directory in runs["directory"]:
        path = folder / directory / "manifest.json"
        weights = {"model.safetensors": fingerprint(directory)}
        write_json(path, read_json(path) | MANIFEST | {"sha256": weights})
    source = {"name": "minilm", "sha256": {"model.safetensors": "ab" * 32}}
    write_json(folder / "resources/models/minilm-1/manifest.json", source)
    for task in ("docs-pair", "similarity"):
        path = folder / "resources/tasks" / task
        write_json(path / "task.json", read_json(path / "task.json") | {"rows": {"train": 1500, "validation": 300}})
        made_from = {"source": {"name": task}, "sha256": {"train.parquet": "cd" * 32}}
        write_json(path / "manifest.json", made_from | {"classes": CLASSES[task]})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a small study with all that the report reads."""
    folder = tmp_path_factory.mktemp("study")
    write_results(folder, write_study(folder, SMALL))
    add_manifests(folder, read_table(folder / FOLDER / "runs.csv"))
    figure = folder / FOLDER / "figures/minilm/docs-pair/score-by-layers.svg"
    figure.parent.mkdir(parents=True)
    figure.write_text(SVG, encoding="utf-8")
    return folder


@pytest.fixture
def report(made):
    """The report of a study."""
    runs = read_table(made / FOLDER / "runs.csv")
    tasks = [made / "resources/tasks" / name for name in ("docs-pair", "similarity")]
    return Report(
        config=CONFIG,
        summary=read_table(made / FOLDER / "summary.csv"),
        costs=read_costs([made / FOLDER / "minilm/cost.json"]),
        runs=[read_json(made / directory / "manifest.json") for directory in runs["directory"]],
        models=[read_json(made / "resources/models/minilm-1/manifest.json")],
        tasks={task.name: (read_json(task / "task.json"), read_json(task / "manifest.json")) for task in tasks},
        figures={("minilm", "docs-pair"): [made / FOLDER / "figures/minilm/docs-pair/score-by-layers.svg"]},
    )


def test_all_trainings_of_a_run_count_but_copies_do_not(report):
    took = [{"train_seconds": 3600.0, "seed": seed} for seed in range(4)]
    copies = [{**training, "trained_as": "results/small/other"} for training in took]
    page = Page(report_page(replace(report, runs=[*took[:2], copies[0]], earlier=[*took[2:], copies[2]])))
    assert "3 runs, 4.0 hours of training (1 of them" in page.text


def test_the_trainings_before_the_last_drop_are_found(tmp_path):
    for name in ("stage0", "stage1", "dropped", "frozen"):
        write_json(tmp_path / name / "manifest.json", {})
    write_json(tmp_path / "manifest.json", {})
    assert [path.parent.name for path in earlier_manifests(tmp_path)] == ["frozen", "stage0", "stage1"]


@pytest.fixture
def section():
    """What another package adds."""
    return Section(
        lead=Markup("<b>2</b> of 3."),
        contents={"further": "A <further> part"},
        body=Markup('<section id="further"><h2>Further</h2></section>'),
        methods=["A step < the others."],
        terms={"Term": "A text."},
    )


def test_what_is_missing_is_said_first_and_listed_last(report):
    axes = {
        "model": "minilm",
        "task": "similarity",
        "origin": "finetuned",
        "strategy": "top",
        "amount": "1",
        "seed": 2.0,
    }
    failed = axes | {"missing": "run", "file": "a", "rule": "refine", "log": "logs/a.log", "message": "error: <nan>"}
    speed = dict.fromkeys(failed, None) | {"model": "minilm", "missing": "speed", "file": "b"}
    page = Page(report_page(replace(report, missing=pd.DataFrame([failed, speed]))))
    assert "This study is not complete: 2 results missing. Everything below is of the" in page.text
    assert "run, minilm on similarity, finetuned top-1, seed 2 refine error: <nan> logs/a.log" in page.text
    assert "speed, minilm not started" in page.text
    assert {"missing"} <= set(page.ids) and set(page.anchors) <= set(page.ids)
    complete = report_page(report)
    assert "not complete" not in complete and "missing" not in Page(complete).ids


def test_the_answer_comes_first_then_methods_and_provenance(report):
    page = Page(report_page(report))
    assert page.loads == []
    assert set(page.anchors) <= set(page.ids)
    assert page.text.startswith(
        "Study small · 1 model · 2 tasks · 2 seeds How many layers can be dropped? minilm can lose"
    )
    order = [
        "Layers that can be dropped",
        "Score by layers dropped",
        "Every arm in numbers",
        "Methods",
        "Statistics",
        "Provenance",
    ]
    places = [page.text.rindex(title) for title in order]
    assert places == sorted(places)
    assert "compared with the paper's" in page.text  # a model has a counterpart
    assert "observations" not in page.text


BUDGET = {"score_kept": 95, "layers": 4}


@pytest.fixture
def with_budget(made, report):
    """The report of the same study with a budget."""
    folder = made / FOLDER
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        scores = Scores.read(folder / "results.csv", folder / "resamples.parquet")
    write_table(folder / "recommended.csv", recommended_table(report.summary, scores, BUDGET, 0.95))
    config = {**CONFIG, "budget": BUDGET, "keep_models": True}
    return replace(report, config=config, recommended=read_table(folder / "recommended.csv"))


def test_with_a_budget_the_recommendation_comes_first(with_budget):
    page = Page(report_page(with_budget))
    assert set(page.anchors) <= set(page.ids) and "recommended" in page.ids
    sentences = [" ".join(sentence.split()) for sentence in with_budget.recommended["sentence"]]
    start = page.text.index("How many layers can be dropped?")
    assert page.text[start:].startswith(f"How many layers can be dropped? minilm on docs-pair : {sentences[0]}")
    assert f"minilm on similarity : {sentences[1]}" in page.text
    order = [
        "Recommended within the budget: at least 95 % of the score and at most 4 layers",
        "By the mean score",
        "Layers that can be dropped, within",
    ]
    places = [page.text.index(title) for title in order]
    assert places == sorted(places)
    assert "the risk that it keeps less is 2.5 %; for the one that is chosen among many it is larger" in page.text
    assert "Choosing the best of many arms on it is optimistic" in page.text
    assert "the seed that scores best on the validation split would be one more choice" in page.text
    row = with_budget.recommended.set_index("task").loc["similarity"]
    assert f"{row['kept_low']:.1f} to {row['kept_high']:.1f} {row['megabytes']:.1f}" in page.text
    assert row["directory"] in page.text
    assert "does not keep its models" not in page.text


def test_a_recommended_model_that_is_not_kept_is_said_to_be_deleted(with_budget):
    page = Page(report_page(replace(with_budget, config={**with_budget.config, "keep_models": False})))
    assert "The study does not keep its models: set keep_models: true and run again" in page.text


def test_the_closest_model_is_marked_and_no_recommendation_said(with_budget):
    table = with_budget.recommended.astype(object)
    table.loc[0, ["recommended", "limits_missed", "directory"]] = [False, "score_kept layers", None]
    table.loc[1, table.columns[4:-1]] = None
    table.loc[1, ["recommended", "sentence"]] = [False, "No recommendation: <reason>."]
    page = Page(report_page(replace(with_budget, recommended=table)))
    assert "closest" in page.text and "score, layers" in page.text
    assert "minilm on similarity no recommendation" in page.text
    assert "No recommendation: <reason>." in page.text


def test_without_a_budget_the_report_says_nothing_of_one(report):
    page = Page(report_page(replace(report, config={**CONFIG, "budget": None})))
    assert "recommended" not in page.ids and "budget" not in page.text


def test_the_methods_list_the_settings(report):
    text = Page(report_page(report)).text
    assert "epochs 3 3 1" in text  # full model, pretrained, finetuned
    assert "Otherwise: on docs-pair epochs 5 (full model, pretrained)." in text
    assert "was fine-tuned with all its layers on each task" in text and "and the pruned models were fine-tuned" in text
    assert "similarity GLUE stsb 1,500 a subset 300 Pearson correlation" in text
    assert "docs-pair own files 1,500 other 1,200, same 300 300 other 200, same 100 accuracy and F1 of same" in text
    assert "minilm package gt-minilm 0.1 DistilBERT" in text
    assert "The upper layers, next to the task's head. section 3.1 1, 2, 3 everywhere" in text
    assert "origin pretrained and finetuned" in text
    assert "95 % percentile intervals from 1,000 bootstrap samples" in text


def test_settings_of_a_task_are_those_of_each_training(report):
    origins = [*CONFIG["origins"], {"name": "pretrained-longer"}, {"name": "gradual", "stage": {"epochs": 2}}]
    text = Page(report_page(replace(report, config={**CONFIG, "origins": origins}))).text
    assert "epochs 5 (full model, pretrained, gradual); epochs 10 (pretrained-longer)." in text
    tasks = [{**task, "train": {"learning_rate": 1e-5}} for task in CONFIG["tasks"]]
    text = Page(report_page(replace(report, config={**CONFIG, "tasks": tasks[:1]}))).text
    assert f"Otherwise: on {tasks[0]['name']} learning rate 1e-05." in text


def test_what_was_never_trained_is_not_called_so(report):
    tasks = [{key: value for key, value in task.items() if key != "train"} for task in CONFIG["tasks"]]
    untrained = {"tasks": tasks, "train": {**CONFIG["train"], "epochs": 0}, "refine": {"epochs": 0}}
    origins = [{"name": origin["name"]} for origin in CONFIG["origins"]]
    text = Page(report_page(replace(report, config={**CONFIG, **untrained, "origins": origins}))).text
    assert "was taken as it is, with all its layers: the full model" in text
    assert "fine-tuned with all" not in text and "pruned models were fine-tuned" not in text


def test_calibration_examples_and_protected_layers_are_told(report):
    entry = {"name": "subset-readout", "amounts": [2], "tasks": ["docs-pair"], "protect": [0, 5]}
    strategies = [*CONFIG["strategies"], entry]
    config = {**CONFIG, "strategies": strategies, "calibration": {"examples": 1200}}
    text = Page(report_page(replace(report, config=config))).text
    assert "not in the paper 2 never 0, 5 task docs-pair" in text
    assert "on training examples that nothing is trained on: 1,200 of docs-pair." in text
    assert "nothing is trained on" not in Page(report_page(report)).text
    without = Page(report_page(replace(report, config={**CONFIG, "strategies": strategies}))).text
    assert "are scored on the validation texts, without their labels: docs-pair." in without


def test_texts_without_labels_are_told_with_what_was_left_out(report):
    counts = {"read": 5000, "validation": 60, "calibration": 0, "train": 0, "repeated": 1, "left": 4939}
    manifest = {
        "source": {"name": "docs-pair"},
        "rows": {"unlabelled": 4939},
        "found": counts,
        "sha256": {"unlabelled.parquet": "ef" * 32},
    }
    text = Page(report_page(replace(report, unlabelled=[manifest]))).text
    assert (
        "learnt its answers to texts without labels: 4,939 of docs-pair (of 5,000 rows read, 61 were left out: 60 with "
        "texts of validation rows, 1 that repeat an earlier one)."
    ) in text
    assert "task docs-pair unlabelled.parquet " + "ef" * 32 in text
    assert "without labels" not in Page(report_page(report)).text


def scores_on_test(scores: Scores) -> Scores:
    """On 250 test examples of docs-pair every run scores half of what it does on validation examples."""
    runs = scores.runs[scores.runs["task"] == "docs-pair"]
    values = dict(zip(runs["directory"], runs["value"], strict=True))
    resamples = {at: 0.5 * value + np.linspace(-0.01, 0.01, 201) for at, value in values.items()}
    return Scores(runs.assign(value=0.5 * runs["value"], num_examples=250), resamples)


def test_chosen_models_are_scored_on_test_examples(with_budget, made):
    """Halved for all alike, a score stays the same share of the full model's."""
    found = Scores.read(made / FOLDER / "results.csv", made / FOLDER / "resamples.parquet")
    scores = scores_on_test(found)
    write_table(made / "recommended.csv", recommended_table(with_budget.summary, found, BUDGET, 0.95, scores))
    table = read_table(made / "recommended.csv")
    rows = table.set_index("task")
    assert rows.loc["docs-pair", "test_kept_percent"] == pytest.approx(rows.loc["docs-pair", "kept_percent"])
    manifest = {
        "source": {"name": "docs-pair"},
        "classes": {"test": {"other": 200, "same": 50}},
        "rows": {"test": 250},
        "sha256": {"test.parquet": "aa" * 32},
    }
    told = replace(with_budget, recommended=table, test=scores, test_manifests=[manifest])
    page = Page(report_page(told))
    assert rows.loc["docs-pair", "test_sentence"].replace(JOINED, " ") in page.text
    assert page.text.count("no choice was made by these examples") == 1
    assert "no choice was made by them, so this score has no selection bias" in page.text
    assert "which nothing was trained on or chosen by: 250 of docs-pair (other 200, same 50)." in page.text
    assert "task docs-pair test.parquet " + "aa" * 32 in page.text
    row = rows.loc["docs-pair"]
    assert f"{row['test_kept_low']:.1f} to {row['test_kept_high']:.1f} {row['megabytes']:.1f}" in page.text
    # In the answer, too: of the task with test examples alone, each model that it names.
    assert "250 examples and 2 seeds): 0.4" in page.text
    plain = Page(report_page(with_budget)).text
    assert "test examples" not in plain and "on test, %" not in plain
    assert "The score of a model that was chosen is the one that it was chosen by." in plain


def test_test_rows_that_other_splits_have_are_shown_and_warned_of(report):
    repeats = {"test_in_train": 2, "test_in_validation": 3, "test_in_calibration": 5}
    found = {"docs-pair": {"rows": 250, "repeats": repeats}}
    task, manifest = report.tasks["docs-pair"]
    tasks = {"docs-pair": (task, manifest | {"repeats": {"train": 0, "validation_in_train": 0}})}
    page = Page(report_page(replace(report, tasks=report.tasks | tasks, test_texts=found)))
    assert "calibration rows docs-pair 2 (0.8 %) 3 (1.2 %) 5 (2.0 %)" in page.text
    assert "docs-pair: 3 of 250 test rows (1.2 %) have the texts of validation rows, by which models are" in page.text
    assert "docs-pair: 5 of 250 test rows (2.0 %) have the texts of calibration rows, by which layers are" in page.text
    # Below the limit of 1 %.
    assert "test rows (0.8 %)" not in page.text


def test_gradual_dropping_has_settings_of_its_own(report):
    origins = [{"name": "gradual", "stage": {"epochs": 2}, "refine": {"epochs": 4}}]
    text = Page(report_page(replace(report, config={**CONFIG, "origins": origins}))).text
    assert "full model gradual gradual, before each drop epochs 3 4 2" in text


def test_a_longer_training_is_given_its_own_number_of_epochs(report):
    origins = [{"name": "pretrained"}, {"name": "pretrained-longer"}]
    text = Page(report_page(replace(report, config={**CONFIG, "origins": origins}))).text
    assert "full model pretrained pretrained-longer epochs 3 3 6" in text


def test_one_seed_is_said(report):
    text = Page(report_page(replace(report, config={**CONFIG, "seeds": [1]}))).text
    assert "so no interval there includes seed variance" in text
    first, *others = CONFIG["tasks"]
    of_one = {**CONFIG, "tasks": [first | {"seeds": [1]}, *others]}
    assert (
        f"There is one seed on {first['name']}, so no interval"
        in Page(report_page(replace(report, config=of_one))).text
    )


def test_provenance_names_code_packages_machine_and_data(report):
    report.runs[0]["code"] = {"commit": "a1" * 20, "dirty": True}
    report.runs[1]["versions"] = {"torch": "2.12.0"}
    report.runs[2] = {**report.runs[1], "trained_as": "results/other"}
    text = Page(report_page(report)).text
    assert "a1a1a1a1a1a1 with uncommitted changes and 4f4f4f4f4f4f" in text
    assert "torch 2.12.0 and 2.13.0" in text
    assert "cpu, fp32, 1 thread per run" in text
    assert f"{len(report.runs)} runs" in text
    assert "1 of them are the same as another" in text
    assert f"task similarity train.parquet {'cd' * 32}" in text


def test_sections_are_between_the_figures_and_all_numbers(report, section, tmp_path):
    section.write(tmp_path / "section.json")
    read = Section.read(tmp_path / "section.json")
    assert read == section
    page = Page(report_page(replace(report, sections=[read])))
    assert set(page.anchors) <= set(page.ids)
    assert page.loads == []
    assert "further" in page.anchors
    parts = (
        "2 of 3.",
        "A <further> part",
        "Score by layers dropped, and",
        "Further",
        "Every arm in",
        "A step <",
        "A text.",
    )
    places = [page.text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_damaged_section_is_named(tmp_path):
    write_json(tmp_path / "section.json", {"lead": ""})
    with pytest.raises(UserError, match=r"section\.json: not a section"):
        Section.read(tmp_path / "section.json")


def test_weights_that_were_converted_are_named_with_the_pickle_and_its_hash(report):
    assert "pickled" not in Page(report_page(report)).text
    (manifest,) = report.models
    converted = manifest | {"converted_from": {"pytorch_model.bin": "ef" * 32}}
    text = Page(report_page(replace(report, models=[converted]))).text
    assert "minilm package gt-minilm 0.1, converted from pickled pytorch_model.bin DistilBERT" in text
    assert f"model minilm pytorch_model.bin {'ef' * 32} model minilm model.safetensors {'ab' * 32}" in text


def test_without_counterparts_there_is_no_column_for_them(report):
    config = {**CONFIG, "models": [CONFIG["models"][0] | {"counterpart": None}]}
    assert "the paper's" not in Page(report_page(replace(report, config=config))).text


def test_images_are_in_the_page(made, tmp_path):
    source = image_uri(made / FOLDER / "figures/minilm/docs-pair/score-by-layers.svg")
    data = source.removeprefix("data:image/svg+xml,")
    assert not set('<>#&"\n') & set(data)
    assert "M0 0 L9 9" in data
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    assert image_uri(tmp_path / "dot.png") == "data:image/png;base64,iVBORw=="


def test_what_may_be_wrong_with_texts_is_warned_of(report):
    sound = {"texts": 1500, "tokens": 30_000, "unknown_tokens": 3, "cut_texts": 150}
    figures = {"train": sound, "validation": {"texts": 300, "tokens": 6000, "unknown_tokens": 4680, "cut_texts": 90}}
    bytes_only = {split: found | {"unknown_tokens": None, "cut_texts": 0} for split, found in figures.items()}
    tagged = {"train": sound | {"words": 20_000, "lost_words": 2000, "split_texts": 3}}
    texts = {
        ("minilm", "docs-pair"): figures,
        ("roberta", "docs-pair"): bytes_only,
        ("tagger", "docs-pair"): tagged,
    }
    task, manifest = report.tasks["docs-pair"]
    repeated = (task, manifest | {"repeats": {"train": 3, "validation_in_train": 6}})
    told = replace(report, texts=texts, tasks=report.tasks | {"docs-pair": repeated})
    page = Page(report_page(told))
    assert (
        "78.0 % of the tokens of the validation texts are unknown to the model; check that the tokenizer" in page.text
    )
    assert "30.0 % of the validation texts are cut to 128 tokens; raise train.max_length" in page.text
    assert "docs-pair: 6 of 300 validation rows (2.0 %) have the texts of training rows" in page.text
    assert "10.0 % of the words of the train texts have no token" in page.text
    assert "2,000 (10.0" in page.text
    assert page.text.count("of the train texts") == 1
    assert "no such token" in page.text
    limits = {"unknown_tokens": 80, "cut_texts": 30, "common_rows": 2}
    calm = CONFIG | {"report": CONFIG["report"] | {"warn_above": limits}}
    page = Page(report_page(replace(told, config=calm)))
    assert "4,680 (78.00" in page.text.replace("\xa0", " ")
    assert "Something may be wrong" not in page.text
    assert "unknown to the model" not in page.text
    assert "of the words of" not in page.text


def test_script_writes_the_same_report_again(made, section, step):
    section.write(made / "section.json")
    figures = {"texts": 10, "tokens": 100, "unknown_tokens": 50, "cut_texts": 0}
    write_json(made / "texts.json", {"train": figures, "validation": figures})
    (made / FOLDER / "study.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    options = [
        *("--study", f"{FOLDER}/study.json"),
        *("--summary", f"{FOLDER}/summary.csv", "--runs", f"{FOLDER}/runs.csv", "--missing", f"{FOLDER}/missing.csv"),
        *("--costs", f"{FOLDER}/minilm/cost.json", "--models", "resources/models/minilm-1/manifest.json"),
        *("--tasks", "resources/tasks/docs-pair/task.json", "resources/tasks/similarity/task.json"),
        *("--figure", "minilm", "docs-pair", f"{FOLDER}/figures/minilm/docs-pair/score-by-layers.svg"),
        *("--sections", "section.json", "--output", "report.html", "--texts", "minilm", "docs-pair", "texts.json"),
    ]

    def written() -> str:
        done = step("write_report", *options, folder=made)
        assert "warning: minilm on docs-pair: 50.0 % of the tokens" in done.stderr
        return (made / "report.html").read_text(encoding="utf-8")

    page = written()
    assert "Further" in Page(page).text
    assert "data:image/svg+xml" in page
    assert page == written()


def test_each_class_has_its_scores_by_the_full_model_and_those_that_the_page_names(with_budget, made):
    """Of a task of two classes nobody asks: the records are those of a task that counts as one of more."""
    runs = read_table(made / FOLDER / "runs.csv")
    arms = ["model", "task", "origin", "strategy", "amount"]
    records: dict[tuple, list] = {}
    for *arm, directory in runs[runs["task"] == "docs-pair"][[*arms, "directory"]].astype(str).itertuples(index=False):
        records.setdefault(tuple(arm), []).append(read_json(made / directory / "metrics.json"))
    page = Page(report_page(replace(with_budget, classes=records)))
    assert "classes" in page.ids and "Every class in numbers" in page.text
    of_full = records["minilm", "docs-pair", "baseline", "none", "0"]
    row = with_budget.recommended.set_index("task").loc["docs-pair"]
    of_chosen = records["minilm", "docs-pair", row["origin"], row["strategy"], str(row["amount"])]
    parts = ("precision", "recall", "f1")
    means = [f"{np.mean([run['classes'][1][name] for run in of]):.3f}" for of in (of_full, of_chosen) for name in parts]
    support = of_full[0]["classes"][1]["support"]
    line = page.text[page.text.index(f"same {support} {' '.join(means[:3])}") :]
    assert " ".join(means[3:]) in line[:200]
    assert f"{row['origin']} {row['strategy']}-{row['amount']}" in page.text
    # Thresholds that are tuned are those of the full model's seeds.
    tuned = {arm: [run | {"threshold": [0.25, 0.5 - run["seed"] / 10]} for run in of] for arm, of in records.items()}
    text = Page(report_page(replace(with_budget, classes=tuned))).text
    assert f"same {support} 0.300 to 0.400 {' '.join(means[:3])}" in text and " 0.250 0." in text
    assert "macro average" in line and "classes" not in Page(report_page(with_budget)).ids


def test_only_tasks_of_more_than_two_classes_have_such_a_table():
    two, four = ["a", "b"], ["a", "b", "c", "d"]
    cases = [("classification", two), ("classification", four), ("multi-label", two), ("tokens", four)]
    found = [has_class_table({"target": target, "labels": labels}) for target, labels in cases]
    assert (found, has_class_table({"target": "regression", "labels": None})) == ([False, True, True, True], False)
    of_entities = {"target": "tokens", "scheme": "IOB2"}
    assert not has_class_table(of_entities | {"labels": ["O", "B-person", "I-person"]})
    assert has_class_table(of_entities | {"labels": ["O", "B-person", "I-person", "B-place"]})


def test_entities_have_a_row_for_each_type(with_budget, made):
    runs = read_table(made / FOLDER / "runs.csv")
    arms = ["model", "task", "origin", "strategy", "amount"]
    tagging = {"tags": ["O", "B-same", "I-same"], "scheme": "IOB2", "strict": False}
    records: dict[tuple, list] = {}
    for *arm, directory in runs[runs["task"] == "docs-pair"][[*arms, "directory"]].astype(str).itertuples(index=False):
        record = read_json(made / directory / "metrics.json") | {"target": "tokens", "tagging": tagging}
        records.setdefault(tuple(arm), []).append(record)
    assert "type entities full model" in Page(report_page(replace(with_budget, classes=records))).text
