"""What columns are taken for, and how text, label and kind are chosen among them."""

from datetime import date

import pytest

from bad_files import mood, row_number, text
from shallower.core.errors import UserError
from shallower.proposals.choice import Asked, choose
from shallower.proposals.columns import Column, num_words

ROWS = range(200)


def column(name, value):
    return Column(name, [value(row) for row in ROWS])


TEXT = column("comment", text)


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ([text(row) for row in ROWS], "text, 8 words on average"),
        (["不错的电影很好看", "太差了不想再看"] * 60, "2 values"),
        ([f"这部电影的第{row}集很好看" for row in ROWS], "text"),
        (["not at all happy", "very happy with it"] * 100, "2 values: not at all happy, very happy with it"),
        ([*ROWS], "another value in each row"),
        ([f"a{row:x}" for row in ROWS], "another value in each row"),
        (["2024-01-31", "2023-12-01T10:00"] * 60, "dates"),
        ([date(2024, 1, 1)] * 5, "dates"),
        ([row / 7 for row in ROWS], "200 different numbers from 0 to 28.4286"),
        (["", None, float("nan")], "nothing"),
        ([["a"], ["b", "c"]], "lists of 1.5 entries on average, such as a, b, c"),
        ([{"a": 1}, "b"], "values of several kinds"),
        (["a", "b", "", "a"], "2 values: a, b; missing in 1 row"),
        (["10", "9", "10"], "2 values: 9, 10"),
    ],
)
def test_what_a_column_holds(values, holds):
    assert Column("a", values).holds.startswith(holds)


def test_short_texts_are_known_by_the_name_of_their_column():
    values = [f"word{row % 150}" for row in ROWS]
    assert Column("utterance", values).is_text
    assert not Column("user", values).is_text


def test_words_of_scripts_without_blanks_are_counted_by_letters():
    assert (num_words("two words"), num_words("好看"), num_words("")) == (2, 3, 0)


@pytest.mark.parametrize(
    ("others", "asked", "expected"),
    [
        ([column("mood", mood)], Asked(), ("classification", "mood")),
        ([column("label", lambda row: row % 6)], Asked(), ("classification", "label")),
        ([column("label", lambda row: row % 6)], Asked(kind="regression"), ("regression", "label")),
        ([column("spam", lambda row: row % 2)], Asked(), ("classification", "spam")),
        ([column("toxic", lambda row: row % 2 == 0)], Asked(), ("classification", "toxic")),
        ([column("label", lambda row: row % 90)], Asked(), ("classification", "label")),
        ([column("price", lambda row: row % 90)], Asked(), ("regression", "price")),
        ([column("score", lambda row: row % 90 / 4)], Asked(), ("regression", "score")),
        ([column("stars", lambda row: 1 + row % 5)], Asked(kind="classification"), ("classification", "stars")),
        ([column("id", row_number), column("mood", mood)], Asked(), ("classification", "mood")),
        ([column("label", mood), column("score", lambda row: row / 7)], Asked(), ("classification", "label")),
        (
            [column("label", mood), column("score", lambda row: row / 7)],
            Asked(label=("score",)),
            ("regression", "score"),
        ),
        (
            [column("mood", mood), column("score", lambda row: row / 7)],
            Asked(kind="regression"),
            ("regression", "score"),
        ),
    ],
)
def test_kind_and_label(others, asked, expected):
    choice = choose("my.csv", [TEXT, *others], asked)
    assert (choice.proposal.name, *choice.label) == expected
    assert choice.text == ("comment",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("sentence1", "sentence2"), ("sentence1", "sentence2")),
        (("text_b", "text_a"), ("text_a", "text_b")),
        (("hypothesis", "premise"), ("premise", "hypothesis")),
        (("question1", "question2", "comment"), ("question1", "question2")),
        (("comment",), ("comment",)),
    ],
)
def test_pairs_are_known_by_their_names(names, expected):
    choice = choose("my.csv", [*(column(name, text) for name in names), column("mood", mood)], Asked())
    assert choice.text == expected


@pytest.mark.parametrize("label", ["a very long name of a class", "another name of some length"])
def test_a_label_of_several_words_may_be_asked_for(label):
    columns = [TEXT, column("why", lambda row: f"{label} {row % 100}")]
    assert choose("my.csv", columns, Asked(label=("why",))).text == ("comment",)
    with pytest.raises(UserError, match="TEXT=comment, TEXT=why or TEXT=comment,why for both"):
        choose("my.csv", [*columns, column("mood", mood)], Asked())
