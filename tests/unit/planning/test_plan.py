"""The plan of a study, checked against published sizes and against sums done by hand."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

import tagged_words
import tiny
from glue_files import glue_folder
from shallower.core import layout
from shallower.core.files import write_json
from shallower.models.encoder_families import expected_tensors
from shallower.models.size import ModelSize
from shallower.planning.plan import plan_study, plan_text
from shallower.planning.sizes import GLUE_SIZES, job_of, task_size
from shallower.sources.glue import GLUE_TASKS
from shallower.study.resolve import resolve_study

# Operations per second, and the least time of a training step per layer.
CPU_RATE, GPU_RATE, GPU_SECONDS_PER_LAYER = 50e9, 40e12, 0.003


def make_checkpoint(folder, config):
    """As much of a checkpoint as the checks of a study look at."""
    words = np.zeros((config["vocab_size"], config.get("embedding_size", config["hidden_size"])), np.float32)
    folder.mkdir()
    tensors = {name: np.zeros(shape, np.float32) for name, (_, shape) in expected_tensors(config).items()}
    save_file(tensors | {"bert.embeddings.word_embeddings.weight": words}, folder / "model.safetensors")
    write_json(folder / "config.json", config)
    write_json(folder / "tokenizer.json", {"model": {"vocab": {"word": 0}}})


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A study of a tiny model of 4 layers, hidden size 32, and a task of 21 rows to train on."""
    folder = tmp_path_factory.mktemp("study")
    model = folder / "model"
    config = {"model_type": "bert", "num_hidden_layers": 4, "hidden_size": 32, "intermediate_size": 64}
    config |= {"num_attention_heads": 4, "vocab_size": 500, "max_position_embeddings": 128}
    make_checkpoint(model, config)
    return {
        "study": "s",
        "models": [{"name": "m", "source": "local", "directory": str(model)}],
        "tasks": [tiny.make_task_files(folder, rows_train=21, rows_validation=8)],
        "origins": [{"name": "pretrained"}],
        "strategies": [{"name": "top", "amounts": [1, 3]}],
        "seeds": [1, 2],
        "train": {"epochs": 3, "batch_size": 8},
        "refine": {"epochs": 2},
    }


@pytest.fixture
def study(base):
    return copy.deepcopy(base)


# Of the tiny model and task: operations of one forward pass of an example (25 tokens) through one layer.
FORWARD = 2 * 25 * (4 * 32**2 + 2 * 32 * 64 + 2 * 25 * 32)


def costs(study, tmp_path):
    return plan_study(resolve_study(study), tmp_path)


def work_of(cost):
    """Layers x examples that are passed forward, counting a training step as three passes."""
    return cost.cpu_core_hours * 3600 * CPU_RATE / FORWARD


def test_runs_and_operations(study, tmp_path):
    cost = costs(study, tmp_path)
    assert (cost.runs, cost.trainings) == ({"baseline": 2, "pretrained": 4}, 6)
    training = 3 * 21 * (3 * 4 + 2 * 3 + 2 * 1)
    predicting = 8 * (4 + 3 + 1)
    assert work_of(cost) == pytest.approx(2 * (training + predicting))


def test_small_batches_keep_a_gpu_waiting(study, tmp_path):
    cost = costs(study, tmp_path)
    waiting = 2 * 3 * (3 * 4 + 2 * 3 + 2 * 1) * GPU_SECONDS_PER_LAYER  # of 3 steps an epoch
    assert cost.gpu_hours * 3600 == pytest.approx(waiting, rel=1e-3)


def test_large_work_goes_by_the_rate(study, tmp_path):
    study["models"] = [{"name": "m", "source": "hub", "repository": "a/b", "revision": "0" * 40}]
    study["train"] = {"epochs": 3, "batch_size": 512}
    study["tasks"] = [{"name": "mnli", "source": "glue", "subset": "mnli"}]
    cost = costs(study, tmp_path)
    assert cost.gpu_hours == pytest.approx(cost.cpu_core_hours * CPU_RATE / GPU_RATE, rel=1e-3)
    assert any("base size: m." in assumption for assumption in cost.assumptions)


def test_an_origin_that_trains_more_costs_more(study, tmp_path):
    before = costs(study, tmp_path)
    study["origins"].append({"name": "finetuned-frozen"})
    frozen = costs(study, tmp_path)
    assert frozen.trainings == before.trainings + 2 * 2 * 2
    training = 3 * 21 * (2 * 3 * 4 + 2 * 3 + 2 * 1)  # the full model for each amount
    assert work_of(frozen) - work_of(before) == pytest.approx(2 * (training + 8 * (3 + 1)))

    study["origins"][-1] = {"name": "gradual", "stage": {"epochs": 5}}
    gradual = costs(study, tmp_path)
    assert gradual.trainings == before.trainings + 2 * (1 + 1 + 3 + 1)
    training = 3 * 21 * (5 * 4 + 2 * 3 + 5 * (4 + 3 + 2) + 2 * 1)
    assert work_of(gradual) - work_of(before) == pytest.approx(2 * (training + 8 * (3 + 1)))


def test_lists_of_layers_are_counted_and_thresholds_are_reported(study, tmp_path):
    study["strategies"] = [{"name": "custom", "amounts": [[0, 2]]}, {"name": "contribution", "amounts": [0.9]}]
    cost = costs(study, tmp_path)
    training = 3 * 21 * (3 * 4 + 2 * 2 + 2 * 4)
    assert work_of(cost) == pytest.approx(2 * (training + 8 * (4 + 2 + 4)))
    assert cost.assumptions[-1].endswith("assumed to be none: contribution.")


def size_of_model(study):
    return ModelSize.of(json.loads((Path(study["models"][0]["directory"]) / "config.json").read_text()))


def test_disk(study, tmp_path):
    size = size_of_model(study)
    tokenizer = 23 * 500  # of 500 tokens
    kept = costs(study, tmp_path)
    assert kept.model_bytes == 2 * (size.bytes(4) + size.bytes(3) + size.bytes(1))
    assert kept.work_bytes == size.bytes(3)  # the dropped checkpoint: trainings are too short for others
    assert kept.input_bytes == size.bytes(4) + tokenizer + 29 * 25 * 10
    assert kept.table_bytes == 2_000_000 + 6 * (250_000 + tokenizer)
    assert kept.peak_bytes == kept.model_bytes + kept.work_bytes + kept.input_bytes + kept.table_bytes
    study["keep_models"] = False
    assert costs(study, tmp_path).model_bytes == 2 * size.bytes(4)


def test_weights_kept_in_half_the_space(study, tmp_path):
    size = size_of_model(study)
    study["pruned_dtype"] = "bf16"
    cost = costs(study, tmp_path)
    assert cost.model_bytes == 2 * (size.bytes(4) + (size.bytes(3) + size.bytes(1)) // 2)


@pytest.mark.parametrize(
    ("minutes", "interval", "checkpoints"), [(0.5, 60, 0), (1.5, 60, 1), (2.5, 60, 2), (100, 60, 2), (2.5, 100, 1)]
)
def test_long_trainings_have_checkpoints_in_addition(study, tmp_path, minutes, interval, checkpoints):
    study["compute"] = {"checkpoint_seconds": interval}
    size = size_of_model(study)
    study["strategies"] = [{"name": "top", "amounts": [1]}]
    # Predictions of the tiny model take no time compared with such a training.
    study["refine"]["epochs"] = round(60 * minutes * CPU_RATE / (FORWARD * 3 * 3 * 21))
    assert costs(study, tmp_path).work_bytes == (1 + 3 * checkpoints) * size.bytes(3)


def test_identical_runs_are_trained_once(study, tmp_path):
    before = costs(study, tmp_path)
    study["strategies"].append({"name": "even-alternate", "amounts": [1, 2]})
    study["strategies"].append({"name": "custom", "amounts": [[1, 3]]})
    after = costs(study, tmp_path)
    # Of 4 layers, the first even one from the top is the top one, the two even ones are 3 and 1.
    assert (after.trainings - before.trainings, after.copies) == (2 * 1, 2 * 2)
    assert work_of(after) - work_of(before) == pytest.approx(2 * (3 * 21 * 2 * 2 + 8 * (3 + 2 + 2)))
    study["keep_models"] = False
    deleted = costs(study, tmp_path)
    assert (deleted.trainings, deleted.copies) == (after.trainings + after.copies, 0)


def test_the_same_layers_from_other_weights_or_in_another_order_are_another_run(study, tmp_path):
    study["strategies"] = [{"name": "bottom", "amounts": [2]}, {"name": "custom", "amounts": [[0, 1]]}]
    study["origins"] = [{"name": "pretrained"}, {"name": "finetuned"}]
    assert (costs(study, tmp_path).trainings, costs(study, tmp_path).copies) == (2 * 3, 2 * 2)
    study["strategies"] = [{"name": "bottom", "amounts": [2]}, {"name": "top", "amounts": [2]}]
    assert costs(study, tmp_path).copies == 0
    study["origins"] = [{"name": "gradual"}]
    # What is trained on the way is deleted, so that nothing can be copied from it.
    assert (costs(study, tmp_path).trainings, costs(study, tmp_path).copies) == (2 * (1 + 2 * 3), 0)


def test_layers_of_one_set_of_weights_are_all_alike(study, tmp_path):
    albert = {"model_type": "albert", "embedding_size": 16, "num_hidden_groups": 1}
    folder = tmp_path / "albert"
    config = json.loads((Path(study["models"][0]["directory"]) / "config.json").read_text())
    make_checkpoint(folder, config | albert)
    study["models"][0]["directory"] = str(folder)
    study["strategies"] = [{"name": "top", "amounts": [1]}, {"name": "contribution-rank", "amounts": [1]}]
    assert (costs(study, tmp_path).trainings, costs(study, tmp_path).copies) == (2 * 2, 2 * 1)


def test_slices_and_rows_of_files(study, tmp_path):
    before = costs(study, tmp_path)
    study["calibration"] = {"examples": 10}
    assert work_of(before) - work_of(costs(study, tmp_path)) == pytest.approx(2 * 3 * 10 * (3 * 4 + 2 * 3 + 2 * 1))
    del study["calibration"]
    study["tasks"][0]["train_examples"] = 14
    assert work_of(before) - work_of(costs(study, tmp_path)) == pytest.approx(2 * 3 * 7 * (3 * 4 + 2 * 3 + 2 * 1))
    rows = [{"text": f"a, b {number}", "label": ("bad", "good")[number % 2]} for number in range(6)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    (tmp_path / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:4]))
    study["tasks"][0] |= {"train_file": str(tmp_path / "train.parquet")}
    study["tasks"][0] |= {"validation_file": str(tmp_path / "validation.jsonl")}
    del study["tasks"][0]["train_examples"]
    training = 3 * 6 * (3 * 4 + 2 * 3 + 2 * 1)
    assert work_of(costs(study, tmp_path)) == pytest.approx(2 * (training + 4 * (4 + 3 + 1)))


def test_a_task_of_unknown_size_is_named_until_its_download(study, tmp_path):
    files = {"train_file": "train.csv", "validation_file": "validation.csv"}
    study["tasks"][0] |= {"source": "hub", "repository": "a/b", "revision": "0" * 40, **files}

    def assumed(cost):
        return [text for text in cost.assumptions if "10,000 rows" in text]

    assert assumed(costs(study, tmp_path))
    study["tasks"][0]["train_examples"] = 20
    assert assumed(costs(study, tmp_path))
    study["tasks"][0]["validation_examples"] = 10
    assert not assumed(costs(study, tmp_path))
    del study["tasks"][0]["train_examples"]
    resolved = resolve_study(study)
    folder = tmp_path / "tasks" / resolved.task_key(resolved.tasks[0])
    folder.mkdir(parents=True)
    write_json(folder / "task.json", {"rows": {"train": 21, "validation": 8}})
    downloaded = costs(study, tmp_path)
    assert not assumed(downloaded)
    training = 3 * 21 * (3 * 4 + 2 * 3 + 2 * 1)
    assert work_of(downloaded) == pytest.approx(2 * (training + 8 * (4 + 3 + 1)))
    (folder / "task.json").write_text("{")
    assert assumed(costs(study, tmp_path))


def test_the_plan_warns_of_texts(study, tmp_path):
    rows = [f"text {number},{('bad', 'good')[number % 2]}" for number in range(10)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "validation.csv").write_text("\n".join(["text,label", *rows[:2], "new,good", "other,bad"]))
    files = {f"{split}_file": str(tmp_path / f"{split}.csv") for split in ("train", "validation")}
    study["tasks"][0] = {**study["tasks"][0], **files, "text": ["text"], "label": "label"}
    study["tasks"][0].pop("train_examples", None)
    task, model = study["tasks"][0]["name"], study["models"][0]["name"]
    before = f"{task}: 2 of 4 validation rows (50.0 %) have the texts of training rows"
    (warning,) = costs(study, tmp_path / "resources").warnings
    assert warning.startswith(before)
    assert "remove" in warning
    resolved = resolve_study(study)
    keys = {"model_key": resolved.model_key(model), "task_key": resolved.task_key(task)}
    folder = tmp_path / layout.TOKENS.format(**keys, max_length=resolved.max_length(task))
    figures = {"texts": 10, "tokens": 100, "unknown_tokens": 78, "cut_texts": 0}
    write_json(folder / "texts.json", {"train": figures, "validation": figures | {"unknown_tokens": None}})
    plan = costs(study, tmp_path / "resources")
    _, unknown = plan.warnings
    assert unknown.startswith(f"{model} on {task}: 78.0 % of the tokens of the train texts are unknown")
    assert f"Warning: {unknown}." in plan_text(resolved, plan).splitlines()
    study["report"] = {"warn_above": {"unknown_tokens": 80, "common_rows": 50}}
    assert costs(study, tmp_path / "resources").warnings == ()
    assert resolve_study(study).task_key(task) == resolved.task_key(task)
    (folder / "texts.json").write_text("{")
    assert costs(study, tmp_path / "resources").warnings == ()


def test_a_downloaded_models_size_is_used(study, tmp_path):
    config = Path(study["models"][0]["directory"]) / "config.json"
    expected = costs(study, tmp_path)
    study["models"] = [{"name": "m", "source": "package", "package": "p", "version": "1", "path": "p"}]
    unknown = costs(study, tmp_path)
    assert unknown.model_bytes > 100 * expected.model_bytes
    folder = tmp_path / "models" / resolve_study(study).model_key("m")
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(config.read_bytes())
    assert costs(study, tmp_path) == expected


def test_the_plan_in_words(study, tmp_path):
    study["origins"].append({"name": "gradual"})
    resolved = resolve_study(study)
    lines = plan_text(resolved, plan_study(resolved, tmp_path)).splitlines()
    assert lines[0] == "Study s: 10 runs (2 baselines, 4 pretrained and 4 gradual), 18 trainings."
    assert lines[1].startswith("Time, roughly: ")
    assert "minutes on a data-centre GPU" in lines[1]
    assert lines[2].startswith("Peak disk space, roughly: ")
    assert "of fine-tuned models" in lines[2]
    assert max(map(len, lines)) < 250


def test_a_job_has_the_settings_of_its_study(study, tmp_path):
    study["train"] |= {"max_length": 64}
    study["tasks"][0]["train"] = {"batch_size": 4}
    study["origins"] = [{"name": "gradual", "stage": {"batch_size": 32}}]
    study |= {"compute": {"threads": 3}, "probe": {"train_examples": 70}, "measure": {"repeats": 5}}
    resolved = resolve_study(study)
    job = job_of(resolved, size_of_model(study), study["tasks"][0]["name"], rows={"train": 9}, models=2, on_gpu=True)
    assert (job.max_length, job.probe_examples, job.measure["repeats"]) == (64, 70, 5)
    assert (job.threads, job.rows["train"], job.models, job.on_gpu) == (3, 9, 2, True)
    assert [(training["epochs"], training["batch_size"]) for training in job.trainings] == [(3, 4)]
    gradual = job_of(resolved, size_of_model(study), study["tasks"][0]["name"], "gradual")
    assert {(training["epochs"], training["batch_size"]) for training in gradual.trainings} == {(3, 4), (2, 4), (2, 32)}
    assert job_of(resolved, size_of_model(study)).trainings == ()
    assert job.outputs == 2
    study["tasks"] = [tagged_words.make_task_files(tmp_path)]
    job = job_of(resolve_study(study), size_of_model(study), "entities")
    assert job.outputs == 40 * len(tagged_words.TAGS)  # of the words that a sentence may have on average
    assert replace(job, calibration_examples=20).readout_rows == 800
    assert replace(job, calibration_examples=500).readout_rows == 2000


@pytest.mark.glue
@pytest.mark.parametrize("subset", ["cola", "mrpc", "rte", "sst2", "stsb", "wnli"])
def test_rows_of_glue(subset):
    folder = glue_folder() / subset
    names = ("train", GLUE_TASKS[subset].validation)
    found = tuple(pq.read_metadata(folder / f"{name}.parquet").num_rows for name in names)
    assert GLUE_SIZES[subset][:2] == found


def test_a_model_in_an_installed_package_is_known_before_its_download(tmp_path):
    folder = tmp_path / "some_package" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    information = tmp_path / "some_package-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 1.2\n")
    program = (
        "from pathlib import Path\n"
        "from types import SimpleNamespace\n"
        "from shallower.planning.sizes import config_file\n"
        "for version in ('1.2', '1.3'):\n"
        "    definition = {'source': 'package', 'package': 'some-package', 'version': version,\n"
        "                  'path': 'some_package/model'}\n"
        "    study = SimpleNamespace(model_definition=lambda _: definition, model_key=lambda _: 'm-1')\n"
        "    print(config_file(study, 'm', 'resources'))\n"
    )
    library = Path(__file__).parents[3] / "workflow"
    environment = os.environ | {"PYTHONPATH": f"{library}{os.pathsep}{tmp_path}"}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout.split("\n")[:2] == [str(folder / "config.json"), "resources/models/m-1/config.json"]


def test_texts_without_labels_are_counted_for_those_that_are_taught(study, tmp_path):
    folder = Path(study["tasks"][0]["train_file"]).parent
    file = folder / "new.csv"
    file.write_text("text\n" + "".join(f"new text {number}\n" for number in range(10)))
    study["refine"] |= {"distill": {}}
    taught = costs(study, tmp_path)
    study["tasks"][0]["unlabelled_file"] = str(file)
    resolved = resolve_study(study)
    more = plan_study(resolved, tmp_path)
    # Ten more texts: two epochs of three passes for three layers and for one, one pass for the teacher; two seeds.
    assert work_of(more) - work_of(taught) == pytest.approx(2 * 10 * (3 * 2 * (3 + 1) + 4))
    # Steps of 8: 4 instead of 3 an epoch, for two epochs and seeds.
    steps = 2 * 2 * (3 + 1) * GPU_SECONDS_PER_LAYER
    assert (more.gpu_hours - taught.gpu_hours) * 3600 == pytest.approx(steps, rel=1e-3)
    assert more.input_bytes > taught.input_bytes
    assert "tiny: at most 10 texts without labels; those that its splits have will be left out." in plan_text(
        resolved, more
    )
    place = tmp_path / f"tasks/{resolved.task_key('tiny')}/unlabelled-{resolved.unlabelled_key('tiny')}"
    counts = {"read": 10, "validation": 0, "calibration": 0, "train": 1, "repeated": 3, "left": 6}
    write_json(place / "manifest.json", {"rows": {"unlabelled": 6}, "found": counts})
    found = plan_study(resolved, tmp_path)
    assert work_of(found) - work_of(taught) == pytest.approx(0.6 * (work_of(more) - work_of(taught)))
    assert (
        "  - tiny: 6 texts without labels; of 10 rows read, 4 were left out: 1 with texts of training rows, 3 that "
        "repeat an earlier one.\n"
    ) in plan_text(resolved, found)


def test_test_examples_are_predicted_by_every_run(study, tmp_path):
    folder = Path(study["tasks"][0]["train_file"]).parent
    before = plan_study(resolve_study(study), tmp_path)
    file = folder / "test.csv"
    file.write_text("text,label\n" + "".join(f"test {number},{('bad', 'good')[number % 2]}\n" for number in range(10)))
    study["tasks"][0]["test_file"] = str(file)
    resolved = resolve_study(study)
    assert task_size(resolved, "tiny", tmp_path).test_rows == 10
    after = plan_study(resolved, tmp_path)
    # By the full model of four layers and two that are left with three and with one, with two seeds each.
    assert work_of(after) - work_of(before) == pytest.approx(2 * 10 * (4 + 3 + 1))
    assert after.input_bytes > before.input_bytes
    study["tasks"][0]["test_examples"] = 4
    fewer = resolve_study(study)
    assert task_size(fewer, "tiny", tmp_path).test_rows == 4
    # As counted, once the task is downloaded; those that are asked for until then.
    place = tmp_path / f"tasks/{fewer.task_key('tiny')}"
    write_json(place / "task.json", {"rows": {"train": 21, "validation": 8}})
    assert task_size(fewer, "tiny", tmp_path).test_rows == 4
    write_json(place / f"test-{fewer.test_key('tiny')}/manifest.json", {"rows": {"test": 3}})
    assert task_size(fewer, "tiny", tmp_path).test_rows == 3


def test_at_most_as_many_texts_without_labels_as_the_study_asks_for(study, tmp_path):
    file = Path(study["tasks"][0]["train_file"]).parent / "new.csv"
    file.write_text("text\n" + "".join(f"new text {number}\n" for number in range(10)))
    study["refine"] |= {"distill": {}}
    study["tasks"][0] |= {"unlabelled_file": str(file), "unlabelled_examples": 4}
    assert task_size(resolve_study(study), "tiny", tmp_path).unlabelled_rows == 4


def test_texts_that_are_made_for_a_teacher_and_its_vectors_are_counted(study, tmp_path):
    study["refine"] |= {"distill": {}}
    taught = costs(study, tmp_path)
    study["refine"]["distill"] = {"vectors": 1, "augment": {"copies": 2}}
    more = costs(study, tmp_path)
    # 42 more texts, as above; of 63 texts vectors of 32 numbers of two bytes, for two seeds.
    assert work_of(more) - work_of(taught) == pytest.approx(2 * 42 * (3 * 2 * (3 + 1) + 4))
    assert more.table_bytes - taught.table_bytes == 2 * 63 * 32 * 2
    assert "  - tiny: up to 2 texts without labels from each training text; repeats are left out.\n" in plan_text(
        resolve_study(study), more
    )


def test_forms_to_deliver_take_space(study):
    """Of one arm a depth, with each seed: 4, 3 and 1 layers, in ONNX and its int8; and a folder with all forms."""
    alone = plan_study(resolve_study(study))
    study["deliver"] = {"runtimes": ["onnx-int8"]}
    study["budget"] = {"layers": 3}
    plan = plan_study(resolve_study(study))
    sizes = [ModelSize.of(json.loads(Path(study["models"][0]["directory"], "config.json").read_text()))]
    bytes_of = sizes[0].bytes
    assert plan.variant_bytes == round(2 * 1.26 * sum(map(bytes_of, (4, 3, 1))) + 2.26 * bytes_of(4))
    assert plan.peak_bytes == alone.peak_bytes + plan.variant_bytes
    assert "of their forms to deliver" in plan_text(resolve_study(study), plan)
    assert "The time does not count the forms to deliver." in plan_text(resolve_study(study), plan)
