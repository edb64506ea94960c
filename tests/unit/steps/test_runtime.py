"""Time that steps request: sums done by hand, and how they grow."""

from dataclasses import replace

import pytest

from shallower.models.size import ModelSize
from shallower.models.stack import Stack
from shallower.steps.job import Job
from shallower.steps.table import STEPS

# A model for which a forward pass of a text of 50 tokens takes 2.02e8 operations: 4.04 ms on a CPU core.
SMALL = ModelSize(
    stack=Stack(2),
    hidden_size=100,
    num_heads=10,
    vocabulary=1000,
    layer_parameters=1_000_000,
    other_parameters=500_000,
    shares_layers=False,
)
JOB = Job(
    SMALL,
    max_length=50,
    trainings=[{"batch_size": 8, "epochs": 3}, {"batch_size": 8, "epochs": 1}],
    rows={"train": 10_000, "validation": 30_000},
    probe_examples=5_000,
    measure={"batch_sizes": [1, 49], "sequence_length": 50, "task": None, "repeats": 400, "texts": 100},
    models=40,
)


@pytest.mark.parametrize(
    ("step", "minutes"),
    [
        # Ten minutes to start, and three times the seconds, rounded up.
        ("finetune", 10 + 19),  # 3 epochs of 10,000 texts, each three passes: 363.6 s
        ("predict", 10 + 7),  # 30,000 texts: 121.2 s
        ("score_layers", 10 + 7),
        ("compare_states", 10 + 13),  # two models: 242.4 s
        ("probe_layers", 10 + 11),  # 35,000 texts: 141.4 s; 5,000 examples at 3 depths, 5 ms each: 75 s
        ("measure_cost", 10 + 9),  # 50 texts, 400 times, 2 depths: 161.6 s
        ("reload_models", 10 + 60),  # 40 models, half a minute each
        ("export_onnx", 10 + 60),  # the same
        ("quantise_onnx", 10 + 20),  # 40 models, 10 s each
        ("predict_variants", 10 + 1512),  # 40 models in 5 forms, each 121.2 s and 30 s
        # 401 rounds of 100 texts in 2 sizes of batch: 80,200 texts, each 4.04 ms and 10 ms, twice as many with other
        # threads; 30 s to start; 7 forms of each of 3 depths.
        ("measure_serving", 10 + 2397),
        ("deliver_model", 10 + 5),  # three forms, half a minute each
    ],
)
def test_sums_done_by_hand(step, minutes):
    assert STEPS[step].runtime(JOB) == minutes


def test_threads_share_the_work():
    assert STEPS["finetune"].runtime(replace(JOB, threads=4)) == 10 + 5


def test_on_a_gpu_small_batches_count_by_their_number():
    # 3 epochs of 1,250 steps, 3 ms in each of 2 layers: 22.5 s.
    assert STEPS["finetune"].runtime(replace(JOB, on_gpu=True)) == 10 + 2
    # 3 epochs of 10,000 steps: 180 s.
    single = replace(JOB, on_gpu=True, trainings=[{"batch_size": 1, "epochs": 3}])
    assert STEPS["finetune"].runtime(single) == 10 + 9
    # 3 epochs of a million texts of 512 tokens, 2.26e9 operations in each of three passes: 508 s.
    large = replace(single, max_length=512, rows={"train": 1_000_000}, trainings=[{"batch_size": 100_000, "epochs": 3}])
    assert STEPS["finetune"].runtime(large) == 10 + 26


def test_timing_the_texts_of_a_task_takes_as_long_as_these():
    """Of 100 texts, which are more than a batch of 49: 200 in place of 1 + 49, four times 161.6 s."""
    of_texts = replace(JOB, measure={**JOB.measure, "task": "tiny"})
    assert STEPS["measure_cost"].runtime(of_texts) == 10 + 33


def test_deeper_models_get_more():
    deep = replace(JOB, size=replace(SMALL, stack=Stack(24)))
    for step in ("finetune", "predict", "compare_states", "probe_layers", "measure_cost"):
        assert STEPS[step].runtime(deep) > 4 * STEPS[step].runtime(JOB)


def test_texts_without_labels_count_for_the_teacher_and_for_whom_it_teaches():
    answered = replace(JOB, rows={**JOB.rows, "unlabelled": 20_000})
    # 30,000 texts: 121.2 s.
    assert STEPS["teach"].runtime(answered) == 10 + 7
    assert STEPS["teach"].runtime(JOB) == 10 + 3
    taught = replace(answered, trainings=[JOB.trainings[0], {"batch_size": 8, "epochs": 2, "distill": {}}])
    # 2 epochs of 30,000 texts, each three passes: 727.2 s, more than 3 epochs of 10,000.
    assert STEPS["finetune"].runtime(taught) == 10 + 37
    assert STEPS["finetune"].runtime(answered) == STEPS["finetune"].runtime(JOB)
    # The same on a GPU, by steps: 2 epochs of 3,750, 3 ms in each of 2 layers: 45 s.
    assert STEPS["finetune"].runtime(replace(taught, on_gpu=True)) == 10 + 3
