"""Tagged words, from a CoNLL file to scores, and against transformers and seqeval."""

import itertools
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from seqeval.metrics import f1_score
from transformers import AutoModelForTokenClassification, AutoTokenizer

import tagged_words
import tiny
from shallower.analysis import subset_scores
from shallower.analysis.layer_scores import METHODS
from shallower.analysis.readouts import make_folds, read_out
from shallower.analysis.single_layers import load_layers
from shallower.analysis.subset_scores import score_subsets
from shallower.analysis.taylor import taylor_importance
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.core.variants import TORCH
from shallower.delivery import sentences as sentences_of_delivery
from shallower.delivery.description import Inputs
from shallower.delivery.folder import _parity
from shallower.engine.batches import make_batch
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.packed_classifier import PackedClassifier
from shallower.engine.devices import Compute
from shallower.engine.distillation import Distillation
from shallower.engine.dropout import Dropout
from shallower.engine.prediction import predict, predict_with_vectors
from shallower.engine.reloading import compare_reloaded
from shallower.engine.tokens import read_tokens, text_figures, tokenize, write_tokens
from shallower.engine.training import TrainSettings, train
from shallower.evaluation.metrics import metric_for, subject_of, with_tagging
from shallower.evaluation.predictions import Predictions, predictions_of, read_predictions, write_predictions
from shallower.evaluation.records import comparison_record, metrics_record
from shallower.evaluation.reference import checked_scores
from shallower.sources.tasks import check_task, fetch_calibration, fetch_task
from shallower.surgery.drop_layers import drop_layers
from shallower.task_kinds.tokens import Tokens

FAMILIES = ("bert", "roberta", "xlnet", "distilbert", "albert")
CPU = Compute("cpu", "fp32", 1)
SETTINGS = {"metrics": ["entity_f1", "token_accuracy"], "confidence": 0.95, "bootstrap_samples": 50}
TASK = {"name": "entities", "target": "tokens", "labels": tagged_words.TAGS}


def table_of(sentences, tags=None):
    ids = [[tagged_words.TAGS.index(tag) for tag in each] for _, each in sentences]
    return pa.table(
        {
            "id": pa.array(range(len(sentences)), pa.int64()),
            "text": [" ".join(words) for words, _ in sentences],
            "words": pa.array([words for words, _ in sentences], pa.list_(pa.string())),
            "label": pa.array(ids, pa.list_(pa.int64())),
        }
    )


def tokenized(source, sentences, max_length=64, **settings):
    tokenizer = AutoTokenizer.from_pretrained(source)
    table = table_of(sentences).replace_schema_metadata(settings)
    return tokenize(table, tokenizer, max_length, read_json(source / "config.json")["vocab_size"])


def test_tags_that_no_calibration_sentence_has_are_told(tmp_path, caplog):
    (tmp_path / "train.conll").write_text("odd\tB-odd\n\n" + "a\tO\ngood\tB-good\n\n" * 40, encoding="utf-8")
    (tmp_path / "validation.conll").write_text("good\tB-good\nday\tO\n\n" * 2, encoding="utf-8")
    own = {f"{split}_file": str(tmp_path / f"{split}.conll") for split in ("train", "validation")}
    definition = tagged_words.make_task_files(tmp_path / "data", 24, 6) | own | {"labels": ["O", "B-good", "B-odd"]}
    with caplog.at_level("INFO"):
        fetch_calibration(definition, 2, tmp_path / "calibration")
    assert "calibration: none of its 2 sentences has 'B-odd', which training sentences have" in caplog.text


def test_from_a_conll_file_to_scores(tmp_path):
    definition = tagged_words.make_task_files(tmp_path / "data")
    assert check_task(definition) == []
    fetch_task(definition, tmp_path / "task")
    task = read_json(tmp_path / "task" / "task.json")
    assert (task["target"], task["scheme"], task["labels"]) == ("tokens", "IOB2", tagged_words.TAGS)
    manifest = read_json(tmp_path / "task" / "manifest.json")
    sentences = tagged_words.make_sentences(80, 1)
    assert manifest["classes"]["train"]["B-bad"] == sum(tags.count("B-bad") for _, tags in sentences)

    words = sum(len(words) for words, _ in sentences)
    assert (manifest["groups"]["sentences"]["train"], manifest["words"]["train"]) == (80, words)

    source = tiny.make_model(tmp_path / "source", "bert", num_layers=2)
    tokenizer, size = AutoTokenizer.from_pretrained(source), read_json(source / "config.json")["vocab_size"]
    fetch_task({**definition, "long_texts": "refuse"}, tmp_path / "refusing")
    with pytest.raises(UserError, match="long_texts: split"):
        tokenize(pq.read_table(tmp_path / "refusing" / "train.parquet"), tokenizer, 9, size)
    tokens = {
        split: tokenize(pq.read_table(tmp_path / "task" / f"{split}.parquet"), tokenizer, 32, size)
        for split in ("train", "validation")
    }
    write_tokens(tmp_path / "tokens.safetensors", tokens["train"])
    assert np.array_equal(read_tokens(tmp_path / "tokens.safetensors").places, tokens["train"].places)
    classifier = load_for_training(source, task, seed=1)
    assert isinstance(classifier, PackedClassifier)
    settings = TrainSettings.parse({"epochs": 8, "learning_rate": 3e-3, "batch_size": 8})
    train(classifier, tokens["train"], settings, 1, CPU, CheckpointFolder(tmp_path / "scratch", {}), 60, "entities")

    run, validation = tmp_path / "run", tokens["validation"]
    classifier.save(source, run)
    logits = predict(load_for_prediction(run), validation, CPU)
    words = sum(len(words) for words, _ in tagged_words.make_sentences(30, 2))
    assert logits.shape == (words, len(tagged_words.TAGS))
    write_predictions(run / "predictions.parquet", validation.ids, validation.labels, logits, validation.groups)
    stored = read_predictions(run / "predictions.parquet", "tokens")
    assert compare_reloaded(run, validation, stored).largest_difference < 1e-4

    answers, settings = predictions_of(stored.logits, "tokens"), with_tagging(SETTINGS, task)
    record, resamples = metrics_record("tokens", stored.labels, answers, settings, task["labels"], stored.groups)
    tags, ends = np.array(tagged_words.TAGS), np.flatnonzero(np.diff(stored.groups)) + 1
    true, found = ([each.tolist() for each in np.split(tags[side], ends)] for side in (stored.labels, answers))
    assert true == [tags for _, tags in tagged_words.make_sentences(30, 2)]
    assert record["metrics"]["entity_f1"]["value"] == pytest.approx(f1_score(true, found))
    assert record["metrics"]["token_accuracy"]["value"] == pytest.approx(np.mean(answers == stored.labels))
    assert record["metrics"]["entity_f1"]["value"] > 0.4 > record["metrics"]["entity_f1"]["chance"] == 0
    assert (record["num_examples"], record["num_groups"], record["collapsed"]) == (words, 30, False)
    assert len(resamples) == 50 and resamples.std() > 0
    write_json(run / "metrics.json", record)
    scores = checked_scores([str(run)])[str(run)]
    assert scores == pytest.approx({name: record["metrics"][name]["value"] for name in SETTINGS["metrics"]})

    worse = np.where(np.arange(words) % 7 == 0, 0, answers)
    comparison = comparison_record("tokens", stored.labels, worse[None], answers[None], [1], settings, stored.groups)
    assert comparison["kept_percent"] == pytest.approx(
        100
        * f1_score(true, [each.tolist() for each in np.split(tags[worse], ends)])
        / record["metrics"]["entity_f1"]["value"]
    )
    assert comparison["kept_low"] < comparison["kept_percent"] < comparison["kept_high"]


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_loss_and_gradients_are_those_of_transformers(tmp_path, family):
    source = tiny.make_model(tmp_path / "source", family, num_layers=2)
    classifier = load_for_training(source, TASK, seed=1)
    classifier.save(source, tmp_path / "saved")
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "saved").eval()
    tokens = tokenized(source, tagged_words.make_sentences(6, 3))
    classifier = load_for_training(tmp_path / "saved", TASK, seed=2, padding_side=tokens.padding_side)
    classifier.begin_prediction("cpu")
    examples = np.array([4, 1, 3])
    outputs = classifier.compute(tokens, examples, Dropout(), with_vectors=True)
    batch = make_batch(tokens, examples)
    inputs = {"input_ids": torch.from_numpy(batch.input_ids)}
    if batch.attention_mask is not None:
        inputs["attention_mask"] = torch.from_numpy(batch.attention_mask)
    if batch.token_type_ids is not None:
        inputs["token_type_ids"] = torch.from_numpy(batch.token_type_ids)
    labels = torch.full(batch.input_ids.shape, -100)
    labels[batch.places] = torch.from_numpy(tokens.labels[tokens.rows(examples)])
    theirs = model(**inputs, labels=labels, output_hidden_states=True)
    torch.testing.assert_close(outputs.logits, theirs.logits[batch.places], rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.vectors, theirs.hidden_states[-1][batch.places], rtol=0, atol=1e-5)
    loss = Tokens().loss(outputs.logits, outputs.labels)
    torch.testing.assert_close(loss, theirs.loss, rtol=0, atol=1e-5)
    loss.backward()
    theirs.loss.backward()
    ours = sum(
        float(each.grad.double().pow(2).sum()) for each in classifier.module.parameters() if each.grad is not None
    )
    assert ours == pytest.approx(
        sum(float(each.grad.double().pow(2).sum()) for each in model.parameters() if each.grad is not None), rel=1e-4
    )
    # The saved head is the task's: it is not drawn again.
    assert "labels are the task's" in classifier.head


@pytest.mark.parametrize("family", FAMILIES)
def test_each_word_is_answered_at_its_first_token(tmp_path, family):
    source = tiny.make_model(tmp_path, family, num_layers=1)
    tokenizer = AutoTokenizer.from_pretrained(source)
    sentences = [(["good", "gooddog", "the", "bad"], ["B-good", "O", "O", "B-bad"])]
    tokens = tokenized(source, sentences)
    pieces = [tokenizer.tokenize(f" {word}") for word in sentences[0][0]]
    found = tokenizer.convert_ids_to_tokens(tokens.input_ids[tokens.places].tolist())
    assert [each.strip("▁Ġ#").lower() for each in found] == [
        next(piece for piece in word if piece.strip("▁Ġ#")).strip("▁Ġ#").lower() for word in pieces
    ]
    assert tokens.labels.tolist() == [1, 0, 0, 3]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("max_length", [6, 9])
def test_long_sentences_are_split_and_each_word_is_answered_once(tmp_path, family, max_length):
    source = tiny.make_model(tmp_path, family, num_layers=1)
    sentences = tagged_words.make_sentences(12, 5)
    whole, split = tokenized(source, sentences), tokenized(source, sentences, max_length)
    assert split.size > whole.size == 12
    assert np.diff(split.offsets).max() <= max_length
    assert np.array_equal(split.input_ids[split.places], whole.input_ids[whole.places])
    for name in ("labels", "ids", "groups"):
        assert np.array_equal(getattr(split, name), getattr(whole, name))
    assert (np.diff(split.places) > 0).all()
    assert split.split_texts > 0 == whole.split_texts == whole.lost_words
    with pytest.raises(UserError, match=r"row .*more than the 6 tokens.*long_texts: split"):
        tokenized(source, sentences, 6, long_texts="refuse")


def test_a_word_in_the_overlap_is_answered_where_it_has_more_context():
    from shallower.engine.words import answering_places

    # Ten words of one letter each, in two parts that share words 4 and 5; the special token in front is place 0.
    words = list("abcdefghij")
    parts = [
        np.array([(2 * word, 2 * word + 1, place + 1) for place, word in enumerate(each)])
        for each in (range(6), range(4, 10))
    ]
    found = answering_places(words, parts)
    assert list(zip(found.parts, found.tokens, strict=True)) == [
        *((0, place) for place in (1, 2, 3, 4, 5)),
        (1, 2),
        *((1, place) for place in (3, 4, 5, 6)),
    ]


def test_a_word_of_which_nothing_is_left_is_answered_at_the_token_before(tmp_path):
    source = tiny.make_model(tmp_path, "bert", num_layers=1)
    sentences = [(["good", "\u200b", "bad"], ["B-good", "O", "B-bad"]), (["\u200b", "good"], ["O", "B-good"])]
    tokens = tokenized(source, sentences)
    assert text_figures(tokens) == {
        "texts": 2,
        "tokens": 3,
        "unknown_tokens": 0,
        "cut_texts": 0,
        "words": 5,
        "lost_words": 2,
        "split_texts": 0,
    }
    assert tokens.places.tolist() == [1, 1, 2, 5, 5]
    with pytest.raises(UserError, match="row 2"):
        tokenized(source, [sentences[0], (["\u200b"], ["O"])])


def test_layers_are_scored_and_a_teacher_is_learnt_from(tmp_path):
    source = tiny.make_model(tmp_path / "source", "bert", num_layers=3)
    tokens = tokenized(source, tagged_words.make_sentences(8, 3))
    from shallower.analysis.hidden_states import load_encoder

    encoder = load_encoder(source)
    for method in METHODS.values():
        assert np.isfinite(np.concatenate([np.ravel(each) for each in method(encoder, tokens, CPU)])).all()
    # The mean cosine of words, sentence by sentence.
    cosines = []
    for example in range(tokens.size):
        batch = make_batch(tokens, np.array([example]))
        states = encoder(torch.from_numpy(batch.input_ids), output_hidden_states=True).hidden_states
        read = [state[batch.places] for state in states]
        cosines += torch.stack(
            [torch.cosine_similarity(one, other, dim=-1) for one, other in itertools.pairwise(read)]
        ).T.tolist()
    assert METHODS["contribution"](encoder, tokens, CPU) == pytest.approx(np.mean(cosines, axis=0), abs=1e-5)
    assert all(score > 0 for score in taylor_importance(load_for_training(source, TASK, 0), tokens, CPU))

    teacher = load_for_training(source, TASK, seed=1)
    logits, vectors = predict_with_vectors(teacher, tokens, CPU)
    assert logits.shape[0] == len(vectors) == len(tokens.labels)
    student = load_for_training(source, TASK, seed=2)
    student.begin_prediction("cpu")
    examples = np.array([2, 0])
    outputs = student.compute(tokens, examples, Dropout())
    distillation = Distillation(1.0, 2.0, logits)
    loss = distillation.loss(Tokens(), outputs.logits, outputs.labels, tokens.rows(examples))
    softened = torch.from_numpy(logits[tokens.rows(examples)]).div(2).softmax(-1)
    terms = softened * (softened.log() - outputs.logits.div(2).log_softmax(-1))
    assert float(loss) == pytest.approx(float(4 * terms.sum(-1).mean()), rel=1e-4)


@pytest.mark.parametrize("family", ["bert", "xlnet", "albert"])
def test_subsets_of_layers_are_judged_by_their_words(tmp_path, monkeypatch, family):
    source = tiny.make_model(tmp_path / "source", family, num_layers=3)
    full = tmp_path / "full"
    tokens = tokenized(source, tagged_words.make_sentences(30, 4), 9)  # some sentences are several examples
    load_for_training(source, TASK, 1, tokens.padding_side).save(source, full)
    settings = with_tagging(SETTINGS, {"labels": tagged_words.TAGS, "scheme": "IOB2"})
    metric = metric_for("entity_f1", "tokens", subject_of(settings))
    runner = load_layers(full, tokens, CPU, with_head=True)
    monkeypatch.setattr(subset_scores, "READOUT_WORDS", 100)
    found = score_subsets(runner, tokens.labels, Tokens(), metric, 100, tokens.groups)
    rows = {row["kept_layers"]: row for row in found.rows}
    kept = [0, 1] if family == "albert" else [0, 2]
    drop_layers(full, kept, tmp_path / "dropped")
    logits, vectors = predict_with_vectors(load_for_prediction(tmp_path / "dropped", tokens.padding_side), tokens, CPU)
    of_full = predict_with_vectors(load_for_prediction(full, tokens.padding_side), tokens, CPU)
    row = rows[" ".join(map(str, kept))]
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(tokens.labels))
    assert row["loss"] == pytest.approx(loss.item(), abs=1e-4)
    cosines = torch.cosine_similarity(*(torch.from_numpy(each) for each in (vectors, of_full[1])), dim=-1)
    assert row["cosine"] == pytest.approx(cosines.mean().item(), abs=1e-4)
    tags, ends = np.array(tagged_words.TAGS), np.flatnonzero(np.diff(tokens.groups)) + 1
    sentences = [[each.tolist() for each in np.split(tags[side], ends)] for side in (tokens.labels, logits.argmax(1))]
    assert row["score"] == pytest.approx(f1_score(*sentences))
    # Readouts are of whole sentences, which no fold divides.
    chosen = subset_scores.readout_rows(tokens.labels, Tokens(), tokens.groups)
    assert 80 < len(chosen) == found.readout_rows <= 100
    assert np.isin(tokens.groups, tokens.groups[chosen]).sum() == len(chosen)
    folds = make_folds(tokens.labels[chosen], True, tokens.groups[chosen])
    readout = read_out(vectors[chosen], tokens.labels[chosen], folds, has_classes=True)
    assert found.vector == "word"
    assert row["readout_loss"] == pytest.approx(readout.loss, rel=1e-3)


def test_where_all_sentences_are_split_beginnings_are_delivered(tmp_path, monkeypatch):
    """Their answers are those to the beginnings alone, which in the longer text are others."""
    monkeypatch.setattr(sentences_of_delivery, "BEGINNING", 2)
    source = tiny.make_model(tmp_path / "source", "bert", num_layers=2)
    sentences = [each for each in tagged_words.make_sentences(6, 3) if len(each[0]) > 4]
    words = {number: each for number, (each, _) in enumerate(sentences)}
    tokens = tokenized(source, sentences, 5)
    assert tokens.split_texts == len(sentences) > 2
    folder = tmp_path / "delivered"
    load_for_training(source, TASK, 1, tokens.padding_side).save(source, folder)
    classifier = load_for_prediction(folder, tokens.padding_side)
    logits = predict(classifier, tokens, CPU)
    examples = sentences_of_delivery.choose_words(words, tokens, Predictions(tokens.ids, tokens.labels, logits))
    beginnings = [text.split(" ") for (text,) in examples.texts]
    assert all(any(each[: len(part)] == part for each in words.values()) for part in beginnings)
    tokenizer = AutoTokenizer.from_pretrained(source)
    inputs = Inputs(5, tokenizer.pad_token, tokenizer.pad_token_id, tokenizer.pad_token_type_id, tokens.padding_side)
    delivered = SimpleNamespace(inputs=inputs, forms=[SimpleNamespace(runtime=TORCH)], model="tiny", task="tags")
    record = _parity(folder, delivered, examples)
    alone = predict(classifier, tokenized(source, [(part, ["O"] * len(part)) for part in beginnings], 5), CPU)
    assert np.abs(alone - examples.logits).max() > 1e-3
    np.testing.assert_allclose(record["logits"]["fp32"], alone, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", pytest.param("roberta", marks=pytest.mark.slow)])
def test_forms_that_are_delivered_answer_each_word(tmp_path, family):
    pytest.importorskip("onnxruntime")
    from shallower.core.variants import ONNX
    from shallower.delivery.parity import answer, choose_sentences, difference, parity_record
    from shallower.export.onnx_export import export_onnx
    from shallower.export.onnx_prediction import OnnxModel
    from shallower.export.onnx_prediction import predict as predict_by_onnx

    source = tiny.make_model(tmp_path / "source", family, num_layers=2)
    sentences = tagged_words.make_sentences(6, 3)
    tokens = tokenized(source, sentences)
    folder = tmp_path / "delivered"
    load_for_training(source, TASK, 1, tokens.padding_side).save(source, folder)
    logits = predict(load_for_prediction(folder, tokens.padding_side), tokens, CPU)
    (folder / "onnx").mkdir()
    export_onnx(folder, folder / "onnx/model.onnx")
    np.testing.assert_allclose(predict_by_onnx(OnnxModel(folder / "onnx/model.onnx"), tokens), logits, atol=1e-4)

    of_sentence = [logits[tokens.groups == sentence] for sentence in range(6)]
    words = [words for words, _ in sentences]
    words[2] = ["with a blank", *words[2][1:]]
    examples = choose_sentences(words, of_sentence, 4)
    assert [text.split(" ") for (text,) in examples.texts] == [
        words for place, (words, _) in enumerate(sentences) if place != 2 and [" ".join(words)] in examples.texts
    ]
    tokenizer = AutoTokenizer.from_pretrained(source)
    inputs = Inputs(64, tokenizer.pad_token, tokenizer.pad_token_id, tokenizer.pad_token_type_id, tokens.padding_side)
    record = parity_record(examples, inputs)
    for runtime in (TORCH, ONNX):
        assert difference(answer(folder, runtime, record).logits, record["logits"]["fp32"]) < 1e-4
