"""Multi-label tasks: losses and weights against torch, transformers and scikit-learn, and how labels are read."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from transformers import BertConfig, BertForSequenceClassification

from shallower.core.errors import StudyErrors
from shallower.core.parquet import to_array
from shallower.sources.labelled_files import Columns, Labelled, read_labelled
from shallower.task_kinds.class_sets import classes_of, memberships, strata
from shallower.task_kinds.registry import task_kind

KIND = task_kind("multi-label")
LABELS = ("anger", "joy", "surprise")


def drawn(examples: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(examples, classes, generator=random)
    return logits, (torch.rand(examples, classes, generator=random) < 0.3).to(torch.int8)


# --- the loss --------------------------------------------------------------------------------------------------------


def test_the_loss_is_that_of_transformers():
    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        num_labels=3,
        problem_type="multi_label_classification",
    )
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).eval()
    _, labels = drawn(5, 3)
    found = model(input_ids=torch.arange(20).reshape(5, 4), labels=labels.float())
    assert KIND.model_config({"labels": list(LABELS)})["problem_type"] == config.problem_type
    assert KIND.loss(found.logits, labels).item() == pytest.approx(found.loss.item(), rel=1e-6)


@pytest.mark.parametrize("balanced", [False, True])
def test_a_new_output_layer_starts_where_the_loss_of_a_constant_answer_is_least(balanced):
    labels = np.random.default_rng(0).binomial(1, [0.5, 0.1, 0.01], (20000, 3)).astype(np.int8)
    kind = KIND.with_weights(KIND.class_weights(labels, 3)) if balanced else KIND
    bias = torch.tensor(kind.output_bias(labels), requires_grad=True)
    kind.loss(bias.expand(len(labels), 3), torch.tensor(labels)).backward()
    assert bias.grad.abs().max() < 1e-3
    assert np.abs(bias.detach().numpy() if balanced else bias[0].item()).max() < 0.05
    # Texts without labels do not count, and a class that none has, or all, starts at a finite value.
    with_unlabelled = np.concatenate([labels, np.full((500, 3), -1, np.int8)])
    assert kind.output_bias(with_unlabelled) == pytest.approx(kind.output_bias(labels))
    assert np.isfinite(KIND.output_bias(np.array([[0, 1], [0, 1]], np.int8))).all()


def test_what_is_no_label_is_not_taken_for_one():
    logits, labels = drawn(4, 3)
    labels[2, 1] = -1
    assert torch.isnan(KIND.loss(logits, labels))


def test_weights_are_the_ratios_of_scikit_learns_balanced_ones():
    _, labels = drawn(50, 3)
    weights = KIND.class_weights(labels.numpy(), 3)
    for column, weight in zip(labels.numpy().T, weights, strict=True):
        lacking, having = compute_class_weight("balanced", classes=np.array([0, 1]), y=column)
        assert weight == pytest.approx(having / lacking)
    assert KIND.class_weights(np.array([[1, 0], [1, 0]]), 2) == [1, 1]
    logits, targets = drawn(6, 3, 1)
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights))(logits, targets.float())
    assert KIND.with_weights(weights).loss(logits, targets).item() == pytest.approx(expected.item(), rel=1e-6)
    assert KIND.weights is None


def test_weights_of_a_classification_are_scikit_learns():
    kind, labels = task_kind("classification"), np.repeat([0, 1, 2], [5, 20, 25])
    weights = kind.class_weights(labels, 3)
    assert weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=labels))
    assert np.mean(np.array(weights)[labels]) == pytest.approx(1)
    assert kind.class_weights(labels, 4) == [*weights, 1.0]
    logits = drawn(50, 3)[0]
    each = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="none")
    expected = (each * torch.tensor(weights)[torch.tensor(labels)]).mean()
    assert kind.with_weights(weights).loss(logits, torch.tensor(labels)).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_distillation_loss_is_a_divergence_of_yes_and_no(temperature):
    (student, _), (teacher, _) = drawn(7, 3), drawn(7, 3, 1)
    ours = torch.distributions.Bernoulli(logits=student.double() / temperature)
    theirs = torch.distributions.Bernoulli(logits=teacher.double() / temperature)
    expected = temperature**2 * torch.distributions.kl_divergence(theirs, ours).mean()
    assert KIND.distillation_loss(student, teacher, temperature).item() == pytest.approx(expected.item(), rel=1e-4)
    assert KIND.distillation_loss(teacher, teacher, temperature).item() == pytest.approx(0, abs=1e-6)
    of_full, of_other = (torch.distributions.Bernoulli(logits=each.double()) for each in (teacher, student))
    of_sum = torch.distributions.kl_divergence(of_full, of_other).sum(1).mean()
    assert KIND.divergence(teacher.numpy(), student.numpy()) == pytest.approx(of_sum.item(), rel=1e-6)


def test_answers_are_the_classes_above_the_threshold():
    logits = np.log([[0.6 / 0.4, 0.2 / 0.8], [0.4 / 0.6, 0.35 / 0.65]]).astype(np.float32)
    assert KIND.answers(logits).tolist() == [[1, 0], [0, 0]]
    assert KIND.with_settings({"threshold": 0.3}).answers(logits).tolist() == [[1, 0], [1, 1]]
    assert KIND.is_collapsed(np.eye(2), np.zeros((2, 2)))
    assert not KIND.is_collapsed(np.eye(2), KIND.answers(logits))


def test_a_text_counts_as_the_rarest_of_its_classes():
    labels = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]], np.int8)
    assert strata(labels).tolist() == [2, 0, 1, 3]
    assert classes_of(labels) == {0, 1, 2}
    assert [found.tolist() for found in memberships(labels)] == [[0, 0, 1, 2, 2], [0, 2, 0, 0, 1]]
    assert strata(np.array([2, 0])).tolist() == [2, 0]


def test_splits_without_anything_to_learn_and_unseen_classes_are_problems():
    found = {"train": [[1, 0], [1, 0]], "validation": [[1, 1], [0, 0]]}
    first, second = KIND.split_problems(found, ("a", "b"))
    assert first.startswith("the train split has the same labels in all rows")
    assert second.startswith("the validation split has 'b', which the train split lacks")


# --- reading ---------------------------------------------------------------------------------------------------------


def read(path: Path, rows: list[tuple[str, object]], columns: Columns | None = None) -> Labelled:
    """Rows of text and label through a file of the kind that the path's name says."""
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.table({"text": [row[0] for row in rows], "label": [row[1] for row in rows]}), path)
        case ".jsonl":
            path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
        case _:
            quoted = [f'{text},"{str(label).replace(chr(34), 2 * chr(34))}"' for text, label in rows]
            path.write_text("\n".join(["text,label", *quoted]) + "\n")
    return read_labelled({"train": [path]}, columns or Columns(("text",), "label", LABELS, target="multi-label"))


def labels_of(path: Path, values: list[object]) -> tuple[list[list[int]], str]:
    labelled = read(path, [(f"text {row}", value) for row, value in enumerate(values)])
    return to_array(labelled.tables["train"]["label"]).tolist(), labelled.labels_are


EXPECTED = [[1, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("suffix", "values", "form"),
    [
        (".csv", ["anger|joy", "surprise", "[]"], "names, separated by '|'"),
        (".csv", ["joy, anger", "surprise", "[]"], "names, separated by ','"),
        (".csv", ["joy anger", "surprise", "[]"], "names, separated by blanks"),
        (".csv", ["0;1", "2", "[]"], "ids, separated by ';'"),
        (".csv", ['["anger", "joy"]', '["surprise"]', "[]"], "names in lists that are written as text"),
        (".csv", ["[0, 1]", "[2]", "[]"], "ids in lists that are written as text"),
        (".csv", ["[1, 1, 0]", "[0,0,1]", "[0, 0, 0]"], "lists of 0 or 1 for each class"),
        (".jsonl", [["anger", "joy"], ["surprise"], []], "names in lists"),
        (".jsonl", [[1, 0], [2], []], "ids in lists"),
        (".jsonl", [[True, True, False], [False, False, True], [False] * 3], "lists of 0 or 1 for each class"),
        (".jsonl", ["anger|joy", "surprise", "[]"], "names, separated by '|'"),
        (".parquet", [["joy", "anger"], ["surprise"], []], "names in lists"),
        (".parquet", [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0] * 3], "lists of 0 or 1 for each class"),
    ],
)
def test_lists_of_labels_are_read_as_they_are_written(tmp_path, suffix, values, form):
    assert labels_of(tmp_path / f"train{suffix}", values) == (EXPECTED, form)


def test_a_separator_that_a_name_holds_separates_nothing(tmp_path):
    columns = Columns(("text",), "label", ("food, drink", "joy", "fear"), target="multi-label")
    labelled = read(tmp_path / "train.csv", [("a", "food, drink|joy"), ("b", "fear"), ("c", "[]")], columns)
    assert to_array(labelled.tables["train"]["label"]).tolist() == EXPECTED


def test_ids_of_a_parquet_file_that_names_its_classes_are_read_by_name(tmp_path):
    path, names = tmp_path / "train.parquet", ["surprise", "anger", "joy"]
    features = {"label": {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}}
    table = pa.table({"text": ["a", "b", "c"], "label": [[1, 2], [0], []]})
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    columns = Columns(("text",), "label", LABELS, target="multi-label")
    assert to_array(read_labelled({"train": [path]}, columns).tables["train"]["label"]).tolist() == EXPECTED


def test_columns_of_0_and_1(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text,anger,joy,surprise\na,1,1,0\nb,0,0.0,true\nc,0,0,0\n")
    columns = Columns(("text",), "", LABELS, target="multi-label", label_columns=LABELS)
    labelled = read_labelled({"train": [path]}, columns)
    assert to_array(labelled.tables["train"]["label"]).tolist() == EXPECTED
    assert labelled.labels_are == "0 or 1 in a column for each class"
    path.write_text("text,anger,joy,surprise\na,1,2,0\nb,0,,1\nc,0,0,0\n")
    with pytest.raises(StudyErrors) as raised:
        read_labelled({"train": [path]}, columns)
    assert [problem.partition(": ")[2] for problem in raised.value.problems] == [
        "row 1: joy is '2', neither 0 nor 1; correct the row",
        "row 2: joy is missing; fill it or remove the row",
    ]


@pytest.mark.parametrize(
    ("suffix", "values", "row", "problem"),
    [
        (".csv", ["anger|joy", "", "joy"], 2, "is missing; fill it or remove the row, or write [] where a text has no"),
        (".jsonl", [["anger"], None, ["joy"]], 2, "is missing; fill it or remove the row, or write []"),
        (".csv", ["anger|joy", "joy|joy", "anger"], 2, "names a label twice"),
        (".jsonl", [["anger"], ["joy", None], ["joy"]], 2, "has an empty entry"),
        (".jsonl", [["anger"], ["joi"], ["joy"]], 2, "'joi' is none of the labels 'anger', 'joy', 'surprise'"),
        (".jsonl", [["anger"], ["joy", 1], ["joy"]], 2, "1 is an id, but 'anger' in row 1 of"),
        (".jsonl", [["anger"], {"joy": 1}, ["joy"]], 2, "is no list of labels"),
        (".csv", ['["anger"]', "joy", "[]"], 2, "is not a list, as other rows are"),
        (".csv", ["[anger]", '["joy"]', "[]"], 1, "is not a list, as other rows are"),
        (".jsonl", [[0, 1, 1], [1], [2]], 1, "names a label twice; remove the repeats (0 or 1 for each class"),
        (".jsonl", [[0], [1, 3], [2]], 2, "3 is out of range; 3 labels have the ids 0 to 2"),
    ],
)
def test_rows_that_cannot_be_read_are_refused(tmp_path, suffix, values, row, problem):
    path = tmp_path / f"train{suffix}"
    with pytest.raises(StudyErrors) as raised:
        labels_of(path, values)
    (found,) = raised.value.problems
    assert f"{path}: row {row}: label " in found
    assert problem in found
