"""A resolved study: what each step gets of it is only what concerns it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shallower.core.errors import StudyErrors, UserError
from shallower.study.resolve import resolve_study
from shallower.study.study import Study

ROOT = Path(__file__).parents[3]


def test_defaults_are_the_papers_and_overlays_apply_in_order(study):
    resolved = resolve_study(study)
    assert resolved.train_settings("tiny") == {
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 5e-5,
        "weight_decay": 0.0,
        "warmup_ratio": 0.0,
        "max_grad_norm": 1.0,
    }
    assert resolved.max_length("tiny") == 128
    assert resolved.train_settings("mrpc")["epochs"] == 5
    assert resolved.refine_settings("mrpc", "pretrained")["epochs"] == 5
    assert resolved.refine_settings("mrpc", "finetuned")["epochs"] == 1
    assert resolved.refine_settings("mrpc", "finetuned")["learning_rate"] == 1e-5
    study["tasks"][1]["refine"] = {"epochs": 2}
    assert resolve_study(study).refine_settings("mrpc", "finetuned")["epochs"] == 2


def test_only_runs_that_there_are_must_be_trained(study):
    """The first task is refined by one origin, the second one, whose models are not trained again, by the other."""
    study["tasks"][1]["refine"] = {"epochs": 0}
    first, second = [task["name"] for task in study["tasks"]]
    study["origins"] = [{"name": "pretrained"}, {"name": "finetuned"}]
    pairs = [("pretrained", first), ("finetuned", second)]
    study["strategies"] = [
        {"name": "top", "amounts": [1], "origins": [origin], "tasks": [task]} for origin, task in pairs
    ]
    assert {(run.origin, run.task) for run in resolve_study(study).runs if not run.is_baseline} == {*pairs}
    study["strategies"][1]["origins"] = ["pretrained"]
    with pytest.raises(StudyErrors, match="0 leaves the runs of origin pretrained"):
        resolve_study(study)


def test_a_number_that_is_written_with_a_point_is_the_same(study):
    study["race"], study["budget"] = {"epochs": 1}, {"score_kept": 98}
    config = resolve_study(study).config
    study["race"], study["budget"] = {"epochs": 1.0}, {"score_kept": 98.0}
    assert repr(resolve_study(study).config) == repr(config)


def test_an_origin_trains_for_twice_the_epochs_whoever_sets_them(study):
    study["origins"].append({"name": "pretrained-longer"})
    assert resolve_study(study).refine_settings("mrpc", "pretrained-longer")["epochs"] == 10
    study["refine"] = {"epochs": 4}
    assert resolve_study(study).refine_settings("mrpc", "pretrained-longer")["epochs"] == 8
    study["tasks"][1]["refine"] = {"epochs": 2}
    resolved = resolve_study(study)
    assert resolved.refine_settings("mrpc", "pretrained-longer")["epochs"] == 4
    assert resolved.refine_settings("mrpc", "pretrained")["epochs"] == 2
    assert resolved.train_settings("mrpc")["epochs"] == 5


def test_an_empty_mapping_of_a_teacher_gets_its_defaults_wherever_it_stands(study):
    study["refine"] = {"distill": {"weight": 0.7}}
    study["tasks"][1]["refine"] = {"distill": {}}
    resolved = resolve_study(study)
    assert resolved.refine_settings("tiny", "finetuned")["distill"] == {"weight": 0.7, "temperature": 2.0}
    assert resolved.refine_settings("mrpc", "finetuned")["distill"] == {"weight": 0.5, "temperature": 2.0}
    assert not {"distill", "epochs"} & {*resolved.race_settings("mrpc", "finetuned")}
    study["refine"], study["tasks"][1]["refine"] = {}, {}
    study["origins"][1]["refine"] = {"distill": {}}
    of_origins = resolve_study(study)
    assert "distill" not in of_origins.refine_settings("mrpc", study["origins"][0]["name"])
    assert of_origins.refine_settings("mrpc", study["origins"][1]["name"])["distill"]["weight"] == 0.5


def test_what_is_not_asked_of_a_teacher_is_no_setting(study):
    study["refine"] = {"distill": {"vectors": 0}}
    resolved = resolve_study(study)
    assert resolved.refine_settings("tiny", "finetuned")["distill"] == {"weight": 0.5, "temperature": 2.0}
    assert not resolved.teaches_vectors("tiny")
    assert resolved.augmentation("tiny") is resolved.augmentation_key("tiny") is None


def test_vectors_and_texts_are_made_where_a_run_learns_them(study):
    study["tasks"][0]["refine"] = {"distill": {"vectors": 2, "augment": {"copies": 3}}}
    study["tasks"][1]["refine"] = {"distill": {"augment": {"copies": 3, "segment": 0}}}
    resolved = resolve_study(study)
    assert [resolved.teaches_vectors(task) for task in ("tiny", "mrpc")] == [True, False]
    assert resolved.augmentation("tiny") == {"copies": 3, "mask": 0.1, "segment": 0.25}
    assert resolved.augmentation("mrpc") == {"copies": 3, "mask": 0.1, "segment": 0}
    assert resolved.augmentation_key("tiny") != resolved.augmentation_key("mrpc")
    # Only a run of the task itself counts, and none of these is data of the task.
    strategies = [{"name": "top", "amounts": [1], "tasks": ["mrpc"]}]
    elsewhere = Study({**resolved.config, "strategies": strategies})
    assert elsewhere.augmentation("tiny") is None
    assert not elsewhere.teaches_vectors("tiny")
    del study["tasks"][0]["refine"]
    assert resolve_study(study).task_key("tiny") == resolved.task_key("tiny")


def test_metrics_come_from_the_task_or_from_glue(study):
    resolved = resolve_study(study)
    assert resolved.evaluate_settings("tiny")["metrics"] == ["accuracy", "f1"]
    assert resolved.evaluate_settings("mrpc")["metrics"] == ["accuracy", "f1"]


def test_the_positive_class_concerns_scores_alone(study):
    before = resolve_study(study)
    assert before.probe_score_settings == {"metrics": {"tiny": ["accuracy", "f1"], "mrpc": ["accuracy", "f1"]}}
    study["tasks"][0]["positive_class"] = "bad"
    after = resolve_study(study)
    assert after.evaluate_settings("tiny")["positive_class"] == after.compare_settings("tiny")["positive_class"] == 0
    assert "positive_class" not in after.evaluate_settings("mrpc")
    assert after.probe_score_settings["positive_class"] == {"tiny": 0}
    assert after.task_key("tiny") == before.task_key("tiny")


def test_keys_distinguish_data_but_not_its_use(study):
    before = resolve_study(study)
    study["tasks"][1]["train"] = {"epochs": 1}
    study["tasks"][1]["metrics"] = ["f1"]
    assert resolve_study(study).task_key("mrpc") == before.task_key("mrpc")
    study["tasks"][1]["train_examples"] = 100
    assert resolve_study(study).task_key("mrpc") != before.task_key("mrpc")


def test_amounts_come_back_from_their_labels(study):
    resolved = resolve_study(study)
    assert ["pretrained", "custom", "3.5", ["m"], ["tiny", "mrpc"]] in resolved.grid["arms"]
    assert resolved.amount("custom", "3.5") == [3, 5]
    assert len(resolved.runs) == 2 * (1 + 2 * 3) * 2


def test_entries_of_strategies_are_limited_to_models_tasks_and_origins(study):
    study["models"].append(study["models"][0] | {"name": "n", "num_layers": 12})
    study["strategies"] = [
        {"name": "top", "amounts": [2], "origins": ["finetuned"]},
        {"name": "top", "amounts": [8, 9], "models": ["n"], "tasks": ["mrpc"], "origins": ["pretrained"]},
    ]
    resolved = resolve_study(study)
    arms = {(run.model, run.task, run.arm) for run in resolved.runs if not run.is_baseline}
    assert arms == {
        *((model, task, "finetuned/top-2") for model in ("m", "n") for task in ("tiny", "mrpc")),
        *(("n", "mrpc", f"pretrained/top-{amount}") for amount in (8, 9)),
    }
    assert resolved.amount("top", "9") == 9


def test_a_task_can_have_its_own_seeds(study):
    study["tasks"][1]["seeds"] = [3]
    resolved = resolve_study(study)
    assert (resolved.seeds("tiny"), resolved.seeds("mrpc")) == ([1, 2], [3])
    assert {run.seed for run in resolved.runs if run.task == "mrpc"} == {3}


def test_counterparts_are_glues_own_or_as_given_and_no_part_of_what_is_downloaded(study):
    before = resolve_study(study)
    assert before.counterparts == {"models": {"m": None}, "tasks": {"tiny": None, "mrpc": "MRPC"}}
    study["models"][0]["counterpart"] = "DistilBERT"
    study["tasks"][0]["counterpart"] = "SST-2"
    study["tasks"][1]["counterpart"] = None
    after = resolve_study(study)
    assert after.counterparts == {"models": {"m": "DistilBERT"}, "tasks": {"tiny": "SST-2", "mrpc": None}}
    assert after.model_key("m") == before.model_key("m")
    assert after.task_key("mrpc") == before.task_key("mrpc")


def test_gradual_dropping_tunes_two_epochs_between_layers_by_default(study):
    study["origins"] = [{"name": "gradual"}]
    study["strategies"] = [{"name": "top", "amounts": [2]}]
    assert resolve_study(study).preparation_settings("mrpc", "gradual")["epochs"] == 2
    study["origins"] = [{"name": "gradual", "stage": {"epochs": 1, "batch_size": 4}}]
    settings = resolve_study(study).preparation_settings("mrpc", "gradual")
    assert (settings["epochs"], settings["batch_size"], settings["learning_rate"]) == (1, 4, 5e-5)


def test_calibration_changes_the_data_only_where_training_examples_are_taken_for_it(study):
    before = resolve_study(study)
    study["tasks"][0]["train_examples"] = 4
    limited = resolve_study(study)
    study["calibration"] = {"examples": 300}
    study["tasks"][0]["calibration"] = {"examples": 10}
    with pytest.raises(UserError, match="has 8 rows, the study asks for 4 to train on and 10 to calibrate with"):
        resolve_study(study)
    del study["tasks"][0]["calibration"], study["tasks"][0]["train_examples"]
    study["tasks"].pop(0)
    after = resolve_study(study)
    assert before.calibration_examples("mrpc") is None
    assert after.calibration_examples("mrpc") == 300
    # GLUE's training split as a whole would be trained on.
    assert after.task_definition("mrpc") == before.task_definition("mrpc") | {"calibration_examples": 300}
    study["tasks"][0]["train_examples"] = 1000
    unlimited, study["calibration"] = resolve_study(study), {"examples": 20}
    assert resolve_study(study).task_key("mrpc") == unlimited.task_key("mrpc") != before.task_key("mrpc")
    assert limited.task_key("mrpc") == before.task_key("mrpc")
    study["tasks"][0]["calibration"] = {"examples": 30}
    assert resolve_study(study).calibration_examples("mrpc") == 30


def test_splits_of_which_a_part_is_taken(study):
    assert resolve_study(study).sliced_splits("mrpc") == []
    study["tasks"][1]["validation_examples"] = 100
    assert resolve_study(study).sliced_splits("mrpc") == ["validation"]
    # Calibration examples are taken out of the training split.
    study["tasks"][1]["calibration"] = {"examples": 20}
    assert resolve_study(study).sliced_splits("mrpc") == ["train", "validation"]
    del study["tasks"][1]["validation_examples"], study["tasks"][1]["calibration"]
    study["tasks"][1]["train_examples"] = 100
    assert resolve_study(study).sliced_splits("mrpc") == ["train"]


def test_calibration_is_used_where_a_strategy_scores_subsets(study):
    study["tasks"][0] = {"name": "rte", "source": "glue", "subset": "rte"}
    study["calibration"] = {"examples": 100}
    assert not resolve_study(study).chooses_by_calibration("rte")
    study["strategies"].append({"name": "subset-readout", "amounts": [2], "tasks": ["rte"]})
    resolved = resolve_study(study)
    assert resolved.chooses_by_calibration("rte")
    assert not resolved.chooses_by_calibration("mrpc")


def test_layers_are_scored_on_the_runs_own_task_or_the_one_that_its_entry_names(study):
    study["strategies"] = [
        {"name": "contribution", "amounts": [0.9], "tasks": ["mrpc"], "scores_from": "rte"},
        {"name": "contribution", "amounts": [0.9], "tasks": ["rte"]},
    ]
    study["tasks"][0] = {"name": "rte", "source": "glue", "subset": "rte"}
    study["origins"] = [{"name": "pretrained"}]
    study["calibration"] = {"examples": 100}
    resolved = resolve_study(study)
    scored = {run.task: resolved.scored_task(vars(run)) for run in resolved.runs if not run.is_baseline}
    assert scored == {"mrpc": "rte", "rte": "rte"}
    assert resolved.arms_scored_elsewhere == [["m", "mrpc", "pretrained", "contribution", "0.9"]]
    assert resolved.protected_arms == []
    study["strategies"][1]["protect"] = [0]
    assert resolve_study(study).protected_arms == [["m", "rte", "pretrained", "contribution", "0.9"]]
    assert resolved.chooses_by_calibration("rte")
    assert not resolved.chooses_by_calibration("mrpc")


def test_protected_layers_are_those_of_the_runs_own_entry(study):
    study["tasks"][0] = {"name": "rte", "source": "glue", "subset": "rte"}
    study["calibration"] = {"examples": 100}
    one = {"name": "subset-readout", "amounts": [1, 2]}
    study["strategies"] += [one | {"protect": [0, 5], "tasks": ["rte"]}, one | {"protect": [3], "tasks": ["mrpc"]}]
    resolved = resolve_study(study)
    found = {(run.task, run.strategy, run.amount): resolved.protected(vars(run)) for run in resolved.runs}
    assert found["rte", "subset-readout", "1"] == found["rte", "subset-readout", "2"] == [0, 5]
    assert found["mrpc", "subset-readout", "2"] == [3]
    assert found["mrpc", "top", "1"] == []


def test_a_study_is_read_as_it_was_written(study, tmp_path):
    study["report"] = {"tolerances": [1, 2.5]}
    resolved = resolve_study(study)
    resolved.write(tmp_path / "results/s/study.json")
    again = Study.read(tmp_path / "results/s/study.json")
    # As text, in which 1 and 1.0 differ.
    assert json.dumps(again.config, sort_keys=True) == json.dumps(resolved.config, sort_keys=True)
    assert again.runs == resolved.runs
    assert again.amount("custom", "3.5") == [3, 5]
    assert again.model_key("m") == resolved.model_key("m")


def test_a_damaged_study_is_refused_with_its_name(tmp_path):
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(UserError, match=r"study\.json: not valid JSON"):
        Study.read(tmp_path / "study.json")


def test_steps_that_read_a_study_load_no_large_package():
    """pydantic alone takes 0.2 seconds to import."""
    program = "import sys; import shallower.study.study; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, cwd=ROOT / "workflow", capture_output=True, text=True, check=True).stdout.split()
    assert "shallower" in loaded
    assert not {"pydantic", "pydantic_core", "pyarrow", "numpy", "pandas", "torch", "yaml"} & {*loaded}


def test_test_examples_are_no_part_of_other_data(study, tmp_path):
    (tmp_path / "test.csv").write_text("text,label\na new text,good\na newer text,bad\n")
    (tmp_path / "new.csv").write_text("text\none more text\n")
    study["refine"] = {"distill": {}}
    study["tasks"][0]["unlabelled_file"] = str(tmp_path / "new.csv")
    before = resolve_study(study)
    asked = {"test_file": str(tmp_path / "test.csv")}
    study["tasks"][0] |= asked
    after = resolve_study(study)
    assert after.task_definition("tiny") == before.task_definition("tiny")
    assert after.task_key("tiny") == before.task_key("tiny")
    assert after.test_definition("tiny") == after.task_definition("tiny") | asked
    assert (before.test_definition("tiny"), before.test_key("tiny"), before.tested_tasks) == (None, None, [])
    assert (after.test_definition("mrpc"), after.tested_tasks) == (None, ["tiny"])
    # Texts of test examples are not learnt from, so other test examples may leave other texts.
    assert after.unlabelled_key("tiny") != before.unlabelled_key("tiny")
    study["tasks"][0]["test_examples"] = 2
    fewer = resolve_study(study)
    assert fewer.test_key("tiny") != after.test_key("tiny")
    assert fewer.task_key("tiny") == after.task_key("tiny")


def test_texts_without_labels_concern_only_what_is_taught(study, tmp_path):
    (tmp_path / "new.csv").write_text("text\na new text\n")
    before = resolve_study(study)
    asked = {"unlabelled_file": str(tmp_path / "new.csv")}
    study["origins"][1]["refine"] = {"distill": {}}
    study["tasks"][0] |= asked
    after = resolve_study(study)
    assert after.task_definition("tiny") == before.task_definition("tiny")
    assert after.task_key("tiny") == before.task_key("tiny")
    assert after.unlabelled_definition("tiny") == after.task_definition("tiny") | asked
    assert after.unlabelled_definition("mrpc") is None
    assert after.unlabelled_key("mrpc") is None
    # Other texts, fewer of them, or others that they must not have in common: another folder.
    keys = {after.unlabelled_key("tiny")}
    (tmp_path / "other.csv").write_text("text\na new text\n")
    for changes in (
        {"unlabelled_file": str(tmp_path / "other.csv")},
        {"unlabelled_examples": 1},
        {"calibration": {"examples": 10}, "train_examples": 2},
    ):
        entry = study["tasks"][0] | changes
        keys.add(Study({**after.config, "tasks": [entry, study["tasks"][1]]}).unlabelled_key("tiny"))
    assert len(keys) == 4
    # Only a run of the task itself counts.
    strategies = [{"name": "top", "amounts": [1], "origins": ["pretrained"]}]
    assert Study({**after.config, "strategies": strategies}).unlabelled_definition("tiny") is None


def test_strategies_are_judged_where_keep_names_subsets(study):
    study["oracle"] = True
    study["calibration"] = {"examples": 10}
    study["tasks"][0]["train_examples"] = 4
    every_five = [[layer for layer in range(6) if layer != dropped] for dropped in range(6)]
    study["strategies"].append({"name": "keep", "amounts": every_five, "tasks": ["mrpc"], "origins": ["finetuned"]})
    resolved = Study(study | {"reproduction": False})
    assert resolved.judged == [("m", "mrpc", "finetuned")]
    # What no strategy of the study asks for, the judging does.
    assert resolved.chooses_by_calibration("mrpc") and not resolved.chooses_by_calibration("tiny")
    off = Study(study | {"oracle": False})
    assert off.judged == [] and not off.chooses_by_calibration("mrpc")
