"""The time that steps ask a cluster for: how it grows, and that no step is forgotten."""

from dataclasses import replace

import pytest

from shallower.models.size import BASE_CONFIG, ModelSize
from shallower.planning.estimate import CPU_RATE
from shallower.planning.runtime import RELOADING_SECONDS, SAFETY, START_MINUTES, step_minutes
from shallower.study.study import Study

BERT = ModelSize.of(BASE_CONFIG)
ROWS = {"train": 67_349, "validation": 872}


def a_study(**changes):
    settings = {"epochs": 3, "batch_size": 32, "max_length": 128}
    return Study(
        {
            "tasks": [{"name": "t"}],
            "origins": [{"name": "pretrained"}, {"name": "gradual", "stage": {"epochs": 6}}],
            "train": settings,
            "refine": {"epochs": 1},
            "probe": {"train_examples": 5000},
            "measure": {"batch_sizes": [1, 32], "sequence_length": 64, "repeats": 20},
            "compute": {"threads": 1},
        }
        | changes
    )


def test_a_training_is_given_what_its_operations_take_and_more():
    expected = 3 * 3 * 67_349 * BERT.operations(12, 128) / CPU_RATE / 60
    minutes = step_minutes("finetune", a_study(), BERT, "t", rows=ROWS)
    assert minutes == pytest.approx(START_MINUTES + SAFETY * expected, abs=1)
    more_threads = step_minutes("finetune", a_study(compute={"threads": 4}), BERT, "t", rows=ROWS)
    assert more_threads - START_MINUTES == pytest.approx((minutes - START_MINUTES) / 4, abs=1)


def test_the_longest_tuning_of_an_origin_counts():
    baseline, pretrained, gradual = (
        step_minutes("finetune", a_study(), BERT, "t", origin, ROWS) for origin in (None, "pretrained", "gradual")
    )
    assert baseline == pretrained  # one epoch of refining, but three of training in the same study
    assert gradual - START_MINUTES == pytest.approx(2 * (baseline - START_MINUTES), abs=1)


def test_on_a_gpu_small_batches_count_by_their_number():
    many, few = (
        step_minutes(
            "finetune",
            a_study(train={"epochs": 3, "batch_size": size, "max_length": 128}),
            BERT,
            "t",
            rows=ROWS,
            on_gpu=True,
        )
        for size in (1, 32)
    )
    assert many - START_MINUTES == pytest.approx(SAFETY * 3 * 67_349 * 12 * 0.002 / 60, abs=1)
    assert few - START_MINUTES < (many - START_MINUTES) / 10
    assert few < step_minutes("finetune", a_study(), BERT, "t", rows=ROWS)


@pytest.mark.parametrize("step", ["predict", "score_layers", "compare_states", "probe_layers", "measure_cost"])
def test_deeper_models_are_given_more(step):
    deep = replace(BERT, num_layers=48)
    rows = {"train": 67_349, "validation": 40_000}
    study = a_study(measure={"batch_sizes": [512], "sequence_length": 128, "repeats": 20})
    assert (
        START_MINUTES
        < step_minutes(step, study, BERT, "t", rows=rows)
        < step_minutes(step, study, deep, "t", rows=rows)
    )


def test_models_are_loaded_again_one_by_one():
    minutes = step_minutes("reload_models", a_study(), BERT, "t", rows=ROWS, runs=40)
    assert minutes == START_MINUTES + SAFETY * RELOADING_SECONDS * 40 / 60


def test_a_step_without_a_formula():
    with pytest.raises(ValueError, match="no formula for the duration of baking"):
        step_minutes("baking", a_study(), BERT)
