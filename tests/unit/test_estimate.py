"""What a study will cost: checked against published sizes and against sums done by hand."""

import copy
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiny
from shallower.estimate import (
    BASE_CONFIG,
    COUNTERPART_CONFIGS,
    CPU_RATE,
    GLUE_SIZES,
    GPU_RATE,
    GPU_SECONDS_A_LAYER,
    ModelSize,
    estimate,
    plan_text,
)
from shallower.glue import GLUE_TASKS
from shallower.study import resolve_study

GLUE = Path(__file__).parents[3] / "shared" / "glue"

# Millions of parameters of the encoder, without a head (the checkpoints' own).
PUBLISHED = {
    ("BERT", 12): 108.3,
    ("BERT", 6): 65.8,
    ("RoBERTa", 12): 124.6,
    ("XLNet", 12): 116.7,
    ("DistilBERT", 6): 66.4,
    ("DistilRoBERTa", 6): 82.1,
    ("ALBERT", 12): 11.7,
    ("ALBERT", 6): 11.7,
}


def size_of(counterpart):
    config = BASE_CONFIG | COUNTERPART_CONFIGS.get(counterpart, {})
    if counterpart == "BERT":
        config["vocab_size"] = 28_996
    if counterpart == "XLNet":
        config = {"model_type": "xlnet", "d_model": 768, "n_layer": 12, "d_inner": 3072, "vocab_size": 32_000}
    if counterpart == "DistilBERT":
        config = {"model_type": "distilbert", "dim": 768, "n_layers": 6, "hidden_dim": 3072, "vocab_size": 30_522}
    return ModelSize.of(config)


@pytest.mark.parametrize(("counterpart", "depth"), PUBLISHED)
def test_sizes_are_those_of_the_published_models(counterpart, depth):
    millions = size_of(counterpart).bytes(depth) / 4e6
    assert millions == pytest.approx(PUBLISHED[counterpart, depth], rel=0.06 if counterpart == "ALBERT" else 0.015)


def test_shared_layers_are_computed_each_but_stored_once():
    albert, bert = size_of("ALBERT"), size_of("BERT")
    assert albert.operations(12, 50) == bert.operations(12, 50) == 2 * bert.operations(6, 50)


def test_attention_grows_with_the_square_of_the_length():
    size = size_of("BERT")
    # Scores and their product with the values: 2 operations for each of 2 * tokens * hidden size, token by token.
    attention = 12 * 2 * 2 * 100 * 100 * 768
    assert size.operations(12, 100) == pytest.approx(100 * size.operations(12, 1) + attention, rel=1e-3)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A study of a tiny model of 4 layers, hidden size 32, and a task of 21 rows to train on."""
    folder = tmp_path_factory.mktemp("study")
    model = folder / "model"
    model.mkdir()
    config = {"model_type": "bert", "num_hidden_layers": 4, "hidden_size": 32, "intermediate_size": 64}
    config |= {"vocab_size": 500, "max_position_embeddings": 128}
    (model / "config.json").write_text(json.dumps(config))
    (model / "model.safetensors").touch()
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
    return estimate(resolve_study(study), tmp_path)


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
    waiting = 2 * 3 * (3 * 4 + 2 * 3 + 2 * 1) * GPU_SECONDS_A_LAYER  # of 3 steps an epoch
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
    training = 3 * 21 * (2 * 3 * 4 + 2 * 3 + 2 * 1)  # the whole model for each amount
    assert work_of(frozen) - work_of(before) == pytest.approx(2 * (training + 8 * (3 + 1)))

    study["origins"][-1] = {"name": "gradual", "stage": {"epochs": 5}}
    gradual = costs(study, tmp_path)
    assert gradual.trainings == before.trainings + 2 * (1 + 1 + 3 + 1)
    training = 3 * 21 * (5 * 4 + 2 * 3 + 5 * (4 + 3 + 2) + 2 * 1)
    assert work_of(gradual) - work_of(before) == pytest.approx(2 * (training + 8 * (3 + 1)))


def test_lists_of_layers_are_counted_and_thresholds_are_told(study, tmp_path):
    study["strategies"] = [{"name": "custom", "amounts": [[0, 2]]}, {"name": "contribution", "amounts": [0.9]}]
    cost = costs(study, tmp_path)
    training = 3 * 21 * (3 * 4 + 2 * 2 + 2 * 4)
    assert work_of(cost) == pytest.approx(2 * (training + 8 * (4 + 2 + 4)))
    assert cost.assumptions[-1].endswith("taken to be nothing: contribution.")


def test_disk(study, tmp_path):
    size = ModelSize.of(json.loads((Path(study["models"][0]["directory"]) / "config.json").read_text()))
    kept = costs(study, tmp_path)
    assert kept.model_bytes == 2 * (size.bytes(4) + size.bytes(3) + size.bytes(1))
    assert kept.work_bytes == 8 * size.bytes(4)
    assert kept.input_bytes == size.bytes(4) + 29 * 25 * 10
    assert kept.peak_bytes == kept.model_bytes + kept.work_bytes + kept.input_bytes
    study["keep_models"] = False
    assert costs(study, tmp_path).model_bytes == 2 * size.bytes(4)


def test_slices_and_rows_of_files(study, tmp_path):
    before = costs(study, tmp_path)
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


def test_a_downloaded_model_is_looked_at(study, tmp_path):
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
    lines = plan_text(resolved, estimate(resolved, tmp_path)).splitlines()
    assert lines[0] == "Study s: 10 runs (2 baselines, 4 pretrained and 4 gradual), 18 trainings."
    assert lines[1].startswith("Time, roughly: ")
    assert "minutes on a data-centre GPU" in lines[1]
    assert "of tuned models" in lines[2]
    assert max(map(len, lines)) < 250


@pytest.mark.glue
@pytest.mark.parametrize("subset", ["cola", "mrpc", "rte", "sst2", "stsb", "wnli"])
def test_rows_of_glue(subset):
    if not GLUE.is_dir():
        pytest.skip(f"no GLUE files in {GLUE}")
    names = ("train", GLUE_TASKS[subset].validation)
    found = tuple(pq.read_metadata(GLUE / subset / f"{name}.parquet").num_rows for name in names)
    assert GLUE_SIZES[subset][:2] == found
