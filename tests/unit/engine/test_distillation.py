"""A shallower model learns the answers of its teacher."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

import tiny
from shallower.core.errors import UserError
from shallower.engine.batches import cls_positions, make_batch
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.engine.distillation import Distillation, read_answers, vector_loss, write_answers
from shallower.engine.dropout import Dropout
from shallower.engine.prediction import predict, predict_with_vectors
from shallower.engine.tokens import with_unlabelled
from shallower.engine.training import TrainSettings, train
from shallower.task_kinds.registry import task_kind
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)


class StoppedError(Exception):
    pass


class StoppingFolder(CheckpointFolder):
    """Stops the run after the checkpoint of its third step."""

    def save(self, checkpoint):
        super().save(checkpoint)
        if checkpoint.step == 3:
            raise StoppedError


STUDENT = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, 0.0]])
TEACHER = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])


def divergence(temperature):
    teacher = softmax(TEACHER / temperature, axis=1)
    terms = teacher * (np.log(teacher) - log_softmax(STUDENT / temperature, axis=1))
    return temperature**2 * terms.sum(axis=1).mean()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 10.0])
def test_classes_are_learnt_by_their_softened_probabilities(temperature):
    found = task_kind("classification").distillation_loss(
        torch.from_numpy(STUDENT), torch.from_numpy(TEACHER), temperature
    )
    assert float(found) == pytest.approx(divergence(temperature))


def test_numbers_are_learnt_by_their_squared_error():
    student, teacher = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [1.0]])
    assert float(task_kind("regression").distillation_loss(student, teacher, 5.0)) == pytest.approx(2.5)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_a_teacher_of_another_task_is_refused(kind):
    answers = Distillation(0.5, 1.0, np.zeros((2, 3), np.float32))
    with pytest.raises(UserError, match=r"^the teacher has 3 outputs, the model 1: both must be of the same task"):
        answers.loss(task_kind(kind), torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64), np.array([0, 1]))


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_the_weight_is_shared_with_the_labels(weight):
    kind, labels = task_kind("classification"), torch.tensor([2, 1])
    # Of six examples, those at positions 4 and 1 are in the batch.
    logits = np.zeros((6, 3), np.float32)
    logits[[4, 1]] = TEACHER
    found = Distillation(weight, 2.0, logits).loss(kind, torch.from_numpy(STUDENT), labels, np.array([4, 1]))
    own = -log_softmax(STUDENT, axis=1)[[0, 1], [2, 1]].mean()
    assert float(found) == pytest.approx(weight * divergence(2.0) + (1 - weight) * own, rel=1e-5)


def batch_with_unlabelled():
    """Logits of a student and a teacher for four examples, the first two of which have labels, and some examples."""
    student = np.concatenate([STUDENT, STUDENT[::-1]])
    logits = np.concatenate([TEACHER, TEACHER + np.array([1.0, 0.0, 0.0])]).astype(np.float32)
    return student, logits, np.array([3, 0, 2])


def test_labels_of_a_batch_are_shared_by_all_of_its_examples():
    student, logits, examples = batch_with_unlabelled()
    kind, outputs = task_kind("classification"), torch.from_numpy(student[examples])
    found = Distillation(0.25, 2.0, logits, labelled=2).loss(kind, outputs, torch.tensor([-1, 2, -1]), examples)
    answers = kind.distillation_loss(outputs, torch.from_numpy(logits[examples]).double(), 2.0)
    own = -log_softmax(student, axis=1)[0, 2]  # of example 0 alone
    assert float(found) == pytest.approx(0.25 * float(answers) + 0.75 * own / 3, rel=1e-5)


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_a_batch_without_labels_has_answers_alone(weight):
    student, logits, _ = batch_with_unlabelled()
    kind, outputs = task_kind("classification"), torch.from_numpy(student[[3, 2]])
    found = Distillation(weight, 2.0, logits, labelled=2).loss(kind, outputs, torch.tensor([-1, -1]), np.array([3, 2]))
    answers = kind.distillation_loss(outputs, torch.from_numpy(logits[[3, 2]]).double(), 2.0)
    assert float(found) == pytest.approx(weight * float(answers), rel=1e-5)


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_what_stands_in_place_of_labels_changes_nothing(tmp_path, family, regression):
    labelled, task = make_tokens(tiny.make_model(tmp_path / "model", family), 10, regression=regression)
    unlabelled, _ = make_tokens(tmp_path / "model", 14, regression=regression, seed=1)
    both = with_unlabelled(labelled, unlabelled)
    assert np.array_equal(both.labels[10:], np.full(14, np.nan if regression else -1), equal_nan=True)
    other = replace(both, labels=np.concatenate([both.labels[:10], np.ones(14, both.labels.dtype)]))
    answers = np.random.default_rng(0).normal(size=(24, 1 if regression else 2)).astype(np.float32)

    def trained(tokens, labelled):
        classifier = load_for_training(tmp_path / "model", task, 1, tokens.padding_side)
        result = train(
            classifier,
            tokens,
            TrainSettings.parse({"epochs": 2, "learning_rate": 1e-3, "batch_size": 5}),
            1,
            CPU,
            CheckpointFolder(tmp_path / "checkpoints", {}),
            checkpoint_seconds=600,
            distillation=Distillation(0.5, 1.0, answers, labelled),
        )
        return result, predict(classifier, tokens, CPU)

    (result, found), (same_result, same) = trained(both, 10), trained(other, 10)
    assert result.steps == 10  # 24 examples in batches of 5, twice
    assert np.isfinite(found).all()
    assert np.array_equal(found, same)
    assert [record["loss"] for record in result.records] == [record["loss"] for record in same_result.records]
    # The labels that there are count.
    relabelled = replace(both, labels=np.concatenate([1 - both.labels[:10], both.labels[10:]]))
    assert not np.array_equal(found, trained(relabelled, 10)[1])


def test_answers_come_back_for_the_same_examples_alone(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path / "model", "bert"), 8)
    others, _ = make_tokens(tmp_path / "model", 7)
    logits = np.arange(16, dtype=np.float32).reshape(8, 2)
    write_answers(tmp_path / "teacher.safetensors", tokens, logits)
    found = read_answers(tmp_path / "teacher.safetensors", tokens)
    assert np.array_equal(found.logits, logits)
    assert found.vectors is None
    with pytest.raises(UserError, match="other examples"):
        read_answers(tmp_path / "teacher.safetensors", others)
    write_answers(tmp_path / "teacher.safetensors", tokens, logits * np.nan)
    with pytest.raises(UserError, match=r"not finite; the teacher diverged, lower train\.learning_rate"):
        read_answers(tmp_path / "teacher.safetensors", tokens)
    (tmp_path / "teacher.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match="not a file of a teacher's answers"):
        read_answers(tmp_path / "teacher.safetensors", tokens)


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("family", ["bert", pytest.param("xlnet", marks=pytest.mark.slow)])
def test_a_student_comes_to_answer_as_its_teacher_whatever_the_labels(tmp_path, family, regression):
    tokens, task = make_tokens(tiny.make_model(tmp_path / "model", family), 16, regression=regression)

    def load(seed):
        return load_for_training(tmp_path / "model", task, seed, tokens.padding_side)

    teacher = 3 * predict(load(1), tokens, CPU) + (
        0 if regression else np.tile([1.0, -1.0], (16, 1)).astype(np.float32)
    )
    student = load(2)
    before = np.abs(predict(load(2), tokens, CPU) - teacher).mean()
    train(
        student,
        tokens,
        TrainSettings.parse({"epochs": 60, "learning_rate": 3e-3, "batch_size": 8}),
        1,
        CPU,
        CheckpointFolder(tmp_path / "checkpoints", {}),
        checkpoint_seconds=600,
        distillation=Distillation(1.0, 1.0, teacher),
    )
    found = predict(student, tokens, CPU)
    if not regression:  # only differences of logits matter
        found, teacher = (values[:, 0] - values[:, 1] for values in (found, teacher))
    assert np.abs(found - teacher).mean() < 0.5 * before


# --- vectors -------------------------------------------------------------------------------------------------------


def test_the_loss_of_vectors_is_one_minus_their_cosine_whatever_their_length():
    # Cosines 0.6, -1 and 1 / sqrt(2): 0.4, 2 and 0.292893.
    vectors = torch.tensor([[3.0, 4.0], [0.0, 2.0], [5.0, 5.0]])
    teacher = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.0, 7.0]])
    assert float(vector_loss(vectors, teacher)) == pytest.approx(2.692893 / 3, rel=1e-6)
    assert float(vector_loss(10 * vectors, teacher)) == pytest.approx(2.692893 / 3, rel=1e-6)
    assert float(vector_loss(vectors, vectors)) == pytest.approx(0, abs=1e-6)


def test_the_loss_of_vectors_is_added_for_examples_without_labels_too():
    student, logits, examples = batch_with_unlabelled()
    kind, outputs = task_kind("classification"), torch.from_numpy(student[examples])
    arguments = (kind, outputs, torch.tensor([-1, 2, -1]), examples)
    teacher = np.zeros((4, 2), np.float16)
    teacher[[3, 0, 2]] = [[1, 0], [0, -1], [0, 1]]
    vectors = torch.tensor([[3.0, 4.0], [0.0, 2.0], [5.0, 5.0]], requires_grad=True)
    without = Distillation(0.25, 2.0, logits, 2).loss(*arguments)
    found = Distillation(0.25, 2.0, logits, 2, vector_weight=1.5, vectors=teacher).loss(*arguments, vectors)
    assert found.item() == pytest.approx(without.item() + 1.5 * 2.692893 / 3, rel=1e-6)
    found.backward()
    # By hand: that of -cos(v, t) is (cos v / |v| - t) / |v|, here ((0.36 0.48) - (1 0)) / 5, times 1.5 / 3.
    torch.testing.assert_close(vectors.grad[0], torch.tensor([-0.064, 0.048]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_vectors_are_what_the_head_reads_of_the_last_layer(tmp_path, family):
    tokens, task = make_tokens(tiny.make_model(tmp_path / "model", family), 6, pair=True)
    classifier = load_for_training(tmp_path / "model", task, 1, tokens.padding_side)
    classifier.save(tmp_path / "model", tmp_path / "saved")
    model = load_checked(tmp_path / "saved")
    batch = make_batch(tokens, np.arange(6))
    states = model.base_model(**model_inputs(model, batch, "cpu")).last_hidden_state
    expected = states[np.arange(6), cls_positions(batch, tokens)]
    logits, found = predict_with_vectors(load_for_prediction(tmp_path / "saved", tokens.padding_side), tokens, CPU)
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0, atol=1e-5)
    assert np.array_equal(logits, predict(classifier, tokens, CPU))
    # In training, where only that token of the last layer is computed; gradients reach every layer.
    classifier.begin_training(tokens, "cpu", train_used_embeddings_only=True)
    vectors = classifier.compute(tokens, np.arange(6), Dropout(), with_vectors=True).vectors
    torch.testing.assert_close(vectors, expected, rtol=0, atol=1e-5)
    vector_loss(vectors, torch.ones_like(vectors)).backward()
    assert all(
        any(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in parameters)
        for parameters in map(classifier.layer_parameters, range(0 if family == "albert" else 4))
    )


def test_vectors_are_stored_at_length_one_in_half_precision(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path / "model", "bert"), 8)
    logits, random = np.zeros((8, 2), np.float32), np.random.default_rng(0)
    vectors = random.normal(size=(8, 32)).astype(np.float32) * np.float32(1e6)  # beyond what float16 can hold
    file = tmp_path / "teacher.safetensors"
    write_answers(file, tokens, logits, vectors)
    found = read_answers(file, tokens).vectors
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, vectors / np.linalg.norm(vectors, axis=1)[:, None], rtol=0, atol=5e-4)
    plain = tmp_path / "plain.safetensors"
    write_answers(plain, tokens, logits)
    assert 8 * 32 * 2 <= file.stat().st_size - plain.stat().st_size <= 8 * 32 * 2 + 100
    write_answers(file, tokens, logits, vectors * np.nan)
    with pytest.raises(UserError, match=r"a vector is not finite; the teacher diverged"):
        read_answers(file, tokens)
    with pytest.raises(UserError, match=r"the answers have no vectors, which this run learns; delete it"):
        Distillation.of({"weight": 0.5, "temperature": 2, "vectors": 1}, plain, tokens)


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_vectors_are_learnt_where_they_have_a_weight_and_change_nothing_without(tmp_path, monkeypatch, family):
    monkeypatch.setattr("shallower.engine.training.CHECKPOINT_SHARE", float("inf"))
    tokens, task = make_tokens(tiny.make_model(tmp_path / "model", family), 16)
    teacher = load_for_training(tmp_path / "model", task, 1, tokens.padding_side)
    logits, vectors = predict_with_vectors(teacher, tokens, CPU)
    vectors = np.random.default_rng(0).permutation(vectors)  # the answers of a model that is far away
    write_answers(tmp_path / "teacher.safetensors", tokens, logits, vectors)
    write_answers(tmp_path / "plain.safetensors", tokens, logits)

    def trained(answers, folder="checkpoints", folder_class=CheckpointFolder, **settings):
        student = load_for_training(tmp_path / "model", task, 1, tokens.padding_side)
        result = train(
            student,
            tokens,
            TrainSettings.parse({"epochs": 8, "learning_rate": 1e-3, "batch_size": 4}),
            1,
            CPU,
            folder_class(tmp_path / folder, {}),
            checkpoint_seconds=0 if folder_class is StoppingFolder else 600,
            distillation=Distillation.of(
                {"weight": 0.5, "temperature": 2.0} | settings, tmp_path / f"{answers}.safetensors", tokens
            ),
        )
        return result, *predict_with_vectors(student, tokens, CPU)

    def distance(found):
        return float(vector_loss(torch.from_numpy(found), torch.from_numpy(vectors)))

    result, plain, without = trained("plain")
    for same in (trained("teacher"), trained("teacher", vectors=0)):
        assert [record["loss"] for record in same[0].records] == [record["loss"] for record in result.records]
        assert np.array_equal(same[1], plain)
    learnt, outputs, with_weight = trained("teacher", vectors=5)
    assert distance(with_weight) < 0.9 * distance(without)
    # A run that is stopped and goes on ends the same.
    with pytest.raises(StoppedError):
        trained("teacher", "stopped", StoppingFolder, vectors=5)
    resumed, resumed_outputs, _ = trained("teacher", "stopped", vectors=5)
    assert resumed.sessions == 2
    assert [record["loss"] for record in resumed.records] == [record["loss"] for record in learnt.records]
    assert np.array_equal(resumed_outputs, outputs)
