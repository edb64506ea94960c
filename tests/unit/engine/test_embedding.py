"""Sentence embeddings: vectors as transformers and pooling by hand give them, pairs, losses, a folder that reloads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import tiny_embedding
from collection_files import make_collection
from shallower.analysis.single_layers import load_layers
from shallower.analysis.subset_scores import score_subsets
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.core.model_classes import NO_HEAD
from shallower.engine.batches import rows_of
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.packed_classifier import PackedClassifier
from shallower.engine.devices import Compute
from shallower.engine.distillation import Distillation, read_answers, write_answers
from shallower.engine.dropout import Dropout
from shallower.engine.prediction import of_examples, predict
from shallower.engine.reloading import compare_reloaded
from shallower.engine.tokens import each_text_by_itself, read_tokens, tokenize, with_unlabelled, write_tokens
from shallower.engine.training import TrainSettings, train
from shallower.evaluation.metrics import METRICS
from shallower.evaluation.predictions import Predictions
from shallower.models.sentence_embedding import read_embedding
from shallower.sources.retrieval import read_collection
from shallower.surgery.drop_layers import drop_layers
from shallower.task_kinds.embedding import Embedding

CPU = Compute("cpu", "fp32", 1)
TASK = {"name": "tiny", "target": "embedding", "labels": None}
# The last texts make the batch one with padding.
PAIRS = [
    ("the good dog", "a bad dog"),
    ("one two three four five six", "a cat"),
    ("sun", "moon and rain and snow in the night"),
    ("play the song", "play the song"),
    ("red blue green", "a warm summer evening with a friend by the sea"),
]
LABELS = [0.2, 0.0, 0.4, 1.0, 0.6]


def model_folder(folder, family="bert", **options):
    """A tiny embedding as the download leaves it: with its pooling in config.json."""
    folder = tiny_embedding.make_embedding_model(folder / "model", family, **options)
    names = [path.name for path in folder.iterdir()]
    embedding = read_embedding(lambda name: read_json(folder / name), names)
    write_json(folder / "config.json", embedding.within(read_json(folder / "config.json")))
    return folder


def pair_table():
    first, second = zip(*PAIRS, strict=True)
    return pa.table({"id": range(7, 7 + len(PAIRS)), "text": first, "text_pair": second, "label": LABELS})


def tokens_of(folder, table=None):
    texts, more = each_text_by_itself(pair_table() if table is None else table)
    config = read_json(folder / "config.json")
    return replace(tokenize(texts, AutoTokenizer.from_pretrained(folder), 24, config["vocab_size"]), **more)


def by_hand(folder, pooling="mean", normalize=True):
    """Vectors [2 * n, hidden] of the texts of all pairs, one text at a time, so that nothing is padded."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors = []
    for text in (text for pair in PAIRS for text in pair):
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        vector = {
            "cls": states[0],
            "mean": states.sum(0) / len(states),
            "max": states.max(0),
            "mean_sqrt_len_tokens": states.sum(0) / len(states) ** 0.5,
        }[pooling]
        vectors.append(vector / (vector**2).sum() ** 0.5 if normalize else vector)
    return np.array(vectors)


@pytest.mark.parametrize(
    ("family", "pooling", "normalize"),
    [
        ("bert", "mean", True),
        ("bert", "cls", False),
        ("bert", "max", True),
        ("bert", "mean_sqrt_len_tokens", False),
        ("roberta", "mean", False),
        ("distilbert", "mean", True),
        ("albert", "mean", True),
        ("albert", "cls", False),
    ],
)
def test_vectors_are_those_of_transformers_pooled_by_hand(tmp_path, family, pooling, normalize):
    folder = model_folder(tmp_path, family, pooling=pooling, normalize=normalize)
    tokens, classifier = tokens_of(folder), load_for_prediction(folder)
    assert isinstance(classifier, PackedClassifier) == (family != "albert")
    expected = by_hand(folder, pooling, normalize)
    np.testing.assert_allclose(predict(classifier, tokens, CPU), expected, atol=1e-5)
    ids, labels, logits, groups, _ = of_examples(tokens, predict(classifier, tokens, CPU))
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(logits[:, 0], [a @ b for a, b in zip(unit[::2], unit[1::2], strict=True)], atol=1e-5)
    assert ids.tolist() == [7, 8, 9, 10, 11]
    assert labels.tolist() == pytest.approx(LABELS)
    assert groups is None


@pytest.mark.parametrize("family", ["bert", "distilbert", "albert"])
def test_a_saved_model_is_one_of_sentence_transformers_with_nothing_missing(tmp_path, family):
    folder = model_folder(tmp_path, family)
    tokens, classifier = tokens_of(folder), load_for_training(folder, TASK, seed=1)
    classifier.set_max_length(20)
    classifier.save(folder, tmp_path / "saved")
    names = {path.name for path in (tmp_path / "saved").iterdir()}
    assert {"modules.json", "1_Pooling", "sentence_bert_config.json", "config_sentence_transformers.json"} <= names
    assert read_json(tmp_path / "saved/sentence_bert_config.json")["max_seq_length"] == 20
    _, report = AutoModel.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not any(report.values())
    assert read_json(tmp_path / "saved/config.json")["architectures"] == [
        type(AutoModel.from_pretrained(folder)).__name__
    ]
    np.testing.assert_allclose(by_hand(tmp_path / "saved"), by_hand(folder), atol=1e-6)
    ids, labels, logits, *_ = of_examples(tokens, predict(load_for_prediction(tmp_path / "saved"), tokens, CPU))
    found = compare_reloaded(tmp_path / "saved", tokens, Predictions(ids, labels, logits))
    assert found.largest_difference < 1e-5


def test_tokens_of_pairs_are_written_and_read_and_their_rows_stay_together(tmp_path):
    tokens = tokens_of(model_folder(tmp_path))
    assert tokens.pairs == 5
    assert tokens.ids.tolist() == [7, 7, 8, 8, 9, 9, 10, 10, 11, 11]
    write_tokens(tmp_path / "tokens.safetensors", tokens)
    assert read_tokens(tmp_path / "tokens.safetensors").pairs == 5
    single = pa.table({"id": [0, 1], "text": [" one two ", "three"]})
    both = with_unlabelled(tokens, tokens_of(tmp_path / "model", single))
    assert both.units().tolist() == [0, 2, 4, 6, 8, 10, 11, 12]
    assert rows_of(both.units(), np.array([6, 1, 5])).tolist() == [11, 2, 3, 10]
    plain = replace(tokens, pairs=0)
    assert rows_of(plain.units(), np.array([3, 0, 9])).tolist() == [3, 0, 9]


def test_losses_are_those_of_sentence_transformers():
    kind, generator = Embedding(), torch.Generator().manual_seed(0)
    ours, teacher = (torch.randn(6, 4, generator=generator) for _ in range(2))
    labels = torch.tensor([0.5, 0.5, 1.0, 1.0, 0.0, 0.0])
    cosines = [float(torch.dot(a, b) / a.norm() / b.norm()) for a, b in zip(ours[::2], ours[1::2], strict=True)]
    expected = sum((cosine - label) ** 2 for cosine, label in zip(cosines, [0.5, 1.0, 0.0], strict=True)) / 3
    assert float(kind.loss(ours, labels)) == pytest.approx(expected, rel=1e-5)
    mean_squared_error = float(((ours - teacher) ** 2).mean())
    assert float(kind.distillation_loss(ours, teacher, 2.0)) == pytest.approx(4 * mean_squared_error, rel=1e-5)
    assert kind.model_class == NO_HEAD
    assert kind.answers_with_vectors


@pytest.mark.parametrize("family", ["bert", "albert"])
@pytest.mark.parametrize("weight", [None, 0.5, 1])
def test_training_by_labels_and_by_teacher_moves_vectors_towards_them(tmp_path, family, weight):
    folder = model_folder(tmp_path, family)
    teacher = model_folder(tmp_path / "teacher", family, seed=3)
    tokens, classifier = tokens_of(folder), load_for_training(folder, TASK, seed=1)
    labelled, distillation = len(tokens.labels), None
    if weight is not None:
        tokens = with_unlabelled(
            tokens, tokens_of(folder, pa.table({"id": [0, 1, 2], "text": ["sea", "hill", "a tree"]}))
        )
        write_answers(tmp_path / "answers", tokens, predict(load_for_prediction(teacher), tokens, CPU))
        distillation = Distillation.of({"weight": weight, "temperature": 1}, tmp_path / "answers", tokens, labelled)
        goal = read_answers(tmp_path / "answers", tokens).logits

    def distance(model):
        vectors = predict(model, tokens, CPU)
        _, labels, cosines, *_ = of_examples(tokens_of(folder), vectors[:labelled])
        by_labels = float(((cosines[:, 0] - labels) ** 2).mean())
        if weight is None:
            return by_labels
        return weight * float(((vectors - goal) ** 2).sum(axis=1).mean()) + (1 - weight) * by_labels

    before = distance(load_for_prediction(folder))
    settings = TrainSettings(epochs=8, batch_size=3, learning_rate=2e-3)
    result = train(classifier, tokens, settings, 1, CPU, CheckpointFolder(tmp_path / "c", {}), 60, "t", distillation)
    assert result.steps == 8 * (2 if weight is None else 3)
    assert distance(classifier) < 0.7 * before


def test_without_labelled_rows_a_model_stays_as_it_is_or_learns_from_its_teacher_alone(tmp_path):
    folder, teacher = model_folder(tmp_path), model_folder(tmp_path / "teacher", seed=3)
    nothing = tokens_of(folder, pair_table().slice(0, 0))
    assert (nothing.size, nothing.pairs, nothing.num_examples) == (0, 0, 0)
    write_tokens(tmp_path / "tokens", nothing)
    nothing = read_tokens(tmp_path / "tokens")
    classifier, checkpoints = load_for_training(folder, TASK, seed=1), CheckpointFolder(tmp_path / "c", {})
    before = classifier.module.word_embeddings.weight.detach().clone()
    settings = TrainSettings(epochs=0, batch_size=3, learning_rate=2e-3)
    assert train(classifier, nothing, settings, 1, CPU, checkpoints, 60, "t").steps == 0
    assert torch.equal(classifier.module.word_embeddings.weight, before)
    with pytest.raises(UserError, match="there are no training examples"):
        train(classifier, nothing, replace(settings, epochs=1), 1, CPU, checkpoints, 60, "t")
    texts = pa.table({"id": [0, 1, 2], "text": ["sea", "hill", "a tree"]})
    tokens = with_unlabelled(nothing, tokens_of(folder, texts))
    write_answers(tmp_path / "answers", tokens, predict(load_for_prediction(teacher), tokens, CPU))
    distillation = Distillation.of({"weight": 0.5, "temperature": 1}, tmp_path / "answers", tokens, 0)
    distance = ((predict(classifier, tokens, CPU) - distillation.logits) ** 2).sum()
    settings = replace(settings, epochs=8)
    assert train(classifier, tokens, settings, 1, CPU, checkpoints, 60, "t", distillation).steps == 8
    assert ((predict(classifier, tokens, CPU) - distillation.logits) ** 2).sum() < 0.7 * distance


@pytest.mark.parametrize(("family", "pooling"), [("bert", "mean"), ("albert", "max")])
def test_a_collection_is_searched_and_found_again_by_a_reloaded_model(tmp_path, family, pooling):
    folder = model_folder(tmp_path, family, pooling=pooling)
    collection = make_collection(tmp_path / "data")
    table, _ = read_collection({part: [Path(collection[f"{part}_file"])] for part in ("queries", "corpus", "qrels")})
    tokens = tokens_of(folder, table)
    write_tokens(tmp_path / "tokens", tokens)
    tokens = read_tokens(tmp_path / "tokens")
    assert (tokens.queries, tokens.size, len(tokens.judged), tokens.pairs) == (6, 26, 24, 0)
    ids, labels, logits, groups, found = of_examples(tokens, predict(load_for_prediction(folder), tokens, CPU))
    assert (ids.tolist(), groups, logits.shape, found.documents.shape) == ([*range(6)], None, (6, 20), (6, 20))
    assert (labels[:, 0] >= labels[:, -1]).all()
    predictions = Predictions(ids, labels, logits, found=found)
    assert compare_reloaded(folder, tokens, predictions).largest_difference < 1e-5
    with pytest.raises(UserError, match="logits are up to"):
        compare_reloaded(model_folder(tmp_path / "other", family, seed=5), tokens, predictions)


@pytest.mark.parametrize(("family", "pooling"), [("bert", "mean"), ("bert", "max"), ("albert", "mean")])
def test_subsets_of_layers_are_judged_by_the_vectors_of_models_that_keep_them(tmp_path, family, pooling):
    folder = model_folder(tmp_path, family, pooling=pooling, num_layers=3)
    tokens = tokens_of(folder)
    found = score_subsets(load_layers(folder, tokens, CPU, True), tokens.labels, Embedding(), METRICS["pearson"], 4095)
    rows = {row["kept_layers"]: row for row in found.rows}
    full = predict(load_for_prediction(folder), tokens, CPU)
    assert rows["0 1 2"]["loss"] == pytest.approx(0, abs=1e-9)
    drop_layers(folder, [0, 1], tmp_path / "dropped")
    vectors = predict(load_for_prediction(tmp_path / "dropped"), tokens, CPU)
    assert rows["0 1"]["loss"] == pytest.approx(float(((vectors - full) ** 2).sum(1).mean()), rel=1e-3)
    _, labels, cosines, *_ = of_examples(tokens, vectors)
    assert rows["0 1"]["score"] == pytest.approx(np.corrcoef(labels, cosines[:, 0])[0, 1], abs=1e-4)


def test_gradients_of_a_batch_are_those_of_transformers(tmp_path):
    folder = model_folder(tmp_path, "bert")
    tokens, classifier = tokens_of(folder), load_for_training(folder, TASK, seed=1)
    classifier.begin_training(tokens, "cpu", train_used_embeddings_only=False)
    outputs = classifier.compute(tokens, np.arange(10), Dropout())
    Embedding().loss(outputs.logits, outputs.labels).backward()
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer([text for pair in PAIRS for text in pair], padding=True, return_tensors="pt")
    states, mask = model.eval()(**inputs).last_hidden_state, inputs["attention_mask"][..., None]
    vectors = (states * mask).sum(1) / mask.sum(1)
    cosines = torch.nn.functional.cosine_similarity(vectors[::2], vectors[1::2])
    torch.nn.functional.mse_loss(cosines, torch.tensor(LABELS)).backward()
    ours = classifier.module.layers[0].intermediate.weight.grad
    torch.testing.assert_close(ours, model.encoder.layer[0].intermediate.dense.weight.grad, atol=1e-6, rtol=1e-4)
