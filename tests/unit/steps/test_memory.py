"""Memory that steps request: sums done by hand, how they grow, and that they cover what was measured."""

from dataclasses import replace

import pytest

from shallower.models.size import BASE_CONFIG, ModelSize
from shallower.models.stack import Stack
from shallower.steps import memory
from shallower.steps.job import Job
from shallower.steps.table import STEPS

BERT = ModelSize.of(BASE_CONFIG)
MINILM = ModelSize.of(BASE_CONFIG | {"num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536})
# A model of 10 MB in fp32, and a job whose sums can be done by hand.
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
    trainings=[{"batch_size": 4, "epochs": 1}, {"batch_size": 2, "epochs": 1}],
    probe_examples=1000,
    measure={"batch_sizes": [1, 16], "sequence_length": 50, "task": None, "repeats": 1},
    rows={"train": 1000, "validation": 500},
    text_bytes=2_000_000,
    outputs=100,
)


@pytest.mark.parametrize(
    ("step", "megabytes", "on_gpu"),
    [
        # 620; four times 10 MB; of 200 tokens, 2500 and 10 times 150 numbers of 4 bytes in each of two layers: 6.4 MB.
        ("finetune", 666, 5020),
        # 540; twice 10 MB; of 1024 tokens, three times 100 numbers: 1.2 MB, and 4000 in one layer: 16.4 MB; five times
        # the 100 logits of 500 examples: 1 MB.
        ("predict", 579, 5021),
        ("score_layers", 579, 5021),
        ("reload_models", 579, 579),
        # 540; twice 37.6 MB; 1 MB.
        ("compare_states", 616, 5041),
        # 579; 100; of 1000 examples twice 300 and four times 100 numbers of 4 bytes: 4 MB.
        ("probe_layers", 683, 5125),
        # 540; 20 MB; of 800 tokens, 4000 numbers in one layer: 12.8 MB.
        ("measure_cost", 573, 5020),
        ("drop_layers", 160, 160),
        # 450; 130 MB for 1 MB at once; twice 2 MB; 15 bytes of each of 1500 times 50 tokens: 1.1 MB.
        ("tokenize_task", 585, 585),
        # 330; eight times the logits: 1.6 MB.
        ("evaluate_predictions", 332, 332),
        # 1000, or 400, and five times 10 MB.
        ("export_onnx", 1050, 1050),
        ("quantise_onnx", 450, 450),
        ("predict_variants", 579, 579),
        # 150 and 500; five models: six times 300 and ten times 60, each with twice 10 MB.
        # On a GPU 150, 5000, and 12 times 300 and 20.
        ("measure_serving", 3370, 8990),
        # 350 and 20 MB.
        ("deliver_model", 370, 370),
    ],
)
def test_sums_done_by_hand(step, megabytes, on_gpu):
    assert STEPS[step].mem_mb(JOB) == megabytes
    assert STEPS[step].mem_mb(replace(JOB, on_gpu=True)) == on_gpu


def of_minilm(batch_size=8, max_length=128, size=MINILM, **changes) -> Job:
    return Job(size, max_length, [{"batch_size": batch_size, "epochs": 1}], **changes)


# Megabytes at the peak, measured with MiniLM: the most of any job, and the least with a text as short as in SST-2.
@pytest.mark.parametrize(
    ("requested", "least", "most"),
    [
        (memory.training(of_minilm()), 847, 1242),
        (memory.training(of_minilm(batch_size=16)), 918, 1601),
        (memory.training(of_minilm(max_length=64)), 776, 874),
        (memory.training(of_minilm(size=replace(MINILM, stack=Stack(3)))), 724, 1028),
        (memory.training(of_minilm(size=replace(MINILM, stack=Stack(1)))), 575, 592),
        (memory.inference(of_minilm()), 571, 698),
        (memory.comparison(of_minilm()), 620, 774),
        (memory.probing(of_minilm(probe_examples=3000)), 721, 859),
        (memory.timing(of_minilm(measure={"batch_sizes": [1, 32], "sequence_length": 64})), 599, 599),
        (memory.exporting(of_minilm()), 847, 847),
        (memory.quantising(of_minilm()), 497, 497),
        (memory.inference(of_minilm(max_length=48, rows={"validation": 500})), 602, 602),
        (memory.delivering(of_minilm()), 340, 340),
        (memory.tokenizing(Job(rows={"train": 7000}, max_length=128, text_bytes=500_000)), 381, 409),
        # 1,000 texts of 80 KB; 400,000 of 120 bytes.
        (memory.tokenizing(Job(rows={"train": 1000}, max_length=128, text_bytes=78_000_000)), 580, 688),
        (memory.tokenizing(Job(rows={"train": 400_000}, max_length=128, text_bytes=49_400_000)), 700, 788),
        # 5,000 and 20,000 examples of 1,000 classes; 400,000 of three.
        (memory.scoring(Job(rows={"validation": 5000}, outputs=1000)), 393, 393),
        (memory.scoring(Job(rows={"validation": 20_000}, outputs=1000)), 728, 728),
        (memory.scoring(Job(rows={"validation": 400_000}, outputs=3)), 326, 326),
    ],
)
def test_the_request_covers_what_was_measured_but_not_twice(requested, least, most):
    assert most <= requested < 2 * least


def test_serving_has_room_for_both_vocabularies():
    # Measured, what processes share counted once: five depths at a time, in one vocabulary.
    measured = 3041
    assert 1.5 * measured < memory.serving(of_minilm()) < 3 * measured


def test_training_grows_with_its_largest_batch_and_with_the_length():
    batches = [memory.training(of_minilm(size)) for size in (8, 16, 32)]
    assert batches[2] - batches[1] == pytest.approx(2 * (batches[1] - batches[0]), abs=2)
    assert memory.training(of_minilm(1, 512)) > memory.training(of_minilm(4, 128))


def test_prediction_grows_only_with_texts_longer_than_a_batch():
    lengths = [memory.inference(of_minilm(max_length=length)) for length in (64, 512, 4096)]
    assert lengths == sorted(lengths)
    assert memory.inference(of_minilm(batch_size=64)) == memory.inference(of_minilm(batch_size=1))


def test_with_a_gpu_the_batch_is_not_in_host_memory():
    small, large = (of_minilm(*batch, size=BERT, on_gpu=True) for batch in ((8, 128), (64, 512)))
    assert memory.training(small) == memory.training(large)


def test_a_teachers_answers_take_memory():
    answered = replace(JOB, rows={**JOB.rows, "unlabelled": 99_000})
    # 100,000 times 100 logits of 4 bytes: 40 MB, five times where they are computed, twice where they are learnt from.
    assert STEPS["teach"].mem_mb(answered) == STEPS["predict"].mem_mb(JOB) - 1 + 200
    assert STEPS["finetune"].mem_mb(answered) == STEPS["finetune"].mem_mb(JOB)
    taught = replace(answered, trainings=[{**JOB.trainings[0], "distill": {}}])
    assert STEPS["finetune"].mem_mb(taught) == STEPS["finetune"].mem_mb(JOB) + 80
    on_gpu = replace(taught, on_gpu=True)
    assert STEPS["finetune"].mem_mb(on_gpu) == STEPS["finetune"].mem_mb(replace(JOB, on_gpu=True)) + 80


def test_a_teachers_vectors_take_memory_where_they_are_learnt():
    answered = replace(JOB, rows={**JOB.rows, "unlabelled": 99_000}, teaches_vectors=True)
    # 100,000 times 100 numbers: of 4 bytes five times, 200 MB, and of 2 bytes twice, 40 MB.
    assert STEPS["teach"].mem_mb(answered) == STEPS["teach"].mem_mb(replace(answered, teaches_vectors=False)) + 200
    assert STEPS["finetune"].mem_mb(answered) == STEPS["finetune"].mem_mb(JOB)
    taught = replace(answered, trainings=[{**JOB.trainings[0], "distill": {}}])
    assert STEPS["finetune"].mem_mb(taught) == STEPS["finetune"].mem_mb(JOB) + 80 + 40


def test_making_texts_takes_memory_for_what_is_made():
    # 450; of 75,000 tokens 80 and four times 10 bytes: 9 MB; 120 bytes of 7,500 texts: 0.9 MB.
    assert STEPS["augment_tokens"].mem_mb(replace(JOB, copies=4)) == 460
