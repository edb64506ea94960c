"""CoNLL-style files: what is a word, what is none, and where a wrong line is."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tagged_words
from shallower.core.errors import UserError
from shallower.sources.conll import read_sentences
from shallower.sources.tasks import check_task, fetch_task

FOUR_COLUMNS = """-DOCSTART- -X- O O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

# a comment of many words
Peter NNP B-NP B-PER

-DOCSTART- -X- O O

# NNP B-NP O
"""


def read(text, used=("word", "tag"), header=None, **more):
    return read_sentences(text.splitlines(keepends=True), used, header, **more)


def test_columns_by_name_documents_and_comments():
    found = read(FOUR_COLUMNS, header=["word", "pos", "chunk", "tag"])
    # The last line has as many columns as a word, and so it is one.
    assert found.values == {"word": [["EU", "rejects"], ["Peter"], ["#"]], "tag": [["B-ORG", "O"], ["B-PER"], ["O"]]}
    assert found.lines == [[3, 4], [7], [11]]
    assert found.remark == "3 sentences, columns separated by blanks; left out: 1 comment, 2 -DOCSTART- lines"


def test_tabs_are_what_the_first_word_has():
    found = read("10 000\tB-x\n#tag\tO\n# no word\n \nb\tO\r\n")
    assert found.values == {"word": [["10 000", "#tag"], ["b"]], "tag": [["B-x", "O"], ["O"]]}


def test_conllu_leaves_out_what_is_no_word_of_its_own():
    lines = ["# text = vámonos", *(f"{number}\tw{number}" + "\t_\tVERB" + "\t_" * 6 for number in ("1-2", 1, 2, "2.1"))]
    found = read("\n".join(lines), used=("form", "upos"), is_conllu=True)
    assert found.values["form"] == [["w1", "w2"]]


@pytest.mark.parametrize(
    ("text", "header", "message"),
    [
        ("a O\nb\n", None, "line 2: has 1 column, the first word 2; give each word a line"),
        ("a X O\n", None, "line 1: has 3 columns, two are expected, a word and its tag; name all of them"),
        ("a X O\n", ["word", "tag"], "line 1: has 3 columns, columns names 2"),
    ],
)
def test_wrong_lines_are_named(text, header, message):
    assert message in read(text, header=header).problems[0]


@pytest.mark.parametrize("separator", ["\t", " "])
def test_files_in_all_forms_are_the_same_task(tmp_path, separator):
    definition = tagged_words.make_task_files(tmp_path / "data", 8, 6)
    sentences = tagged_words.make_sentences(8, 1)
    tagged_words.write_conll(tmp_path / "data/train.conll", sentences, separator)
    fetch_task(definition, tmp_path / "task")
    table = pq.read_table(tmp_path / "task/train.parquet")
    assert table["words"].to_pylist() == [words for words, _ in sentences]
    assert table["text"].to_pylist() == [" ".join(words) for words, _ in sentences]
    ids = [[tagged_words.TAGS.index(tag) for tag in tags] for _, tags in sentences]
    assert table["label"].to_pylist() == ids
    columns = {"word": [words for words, _ in sentences], "tag": ids}
    pq.write_table(pa.table(columns), tmp_path / "data/train.parquet")
    lists = [[tags for _, tags in tagged_words.make_sentences(6, 2)], [w for w, _ in tagged_words.make_sentences(6, 2)]]
    validation = {"tag": [[tagged_words.TAGS.index(tag) for tag in tags] for tags in lists[0]], "word": lists[1]}
    pq.write_table(pa.table(validation), tmp_path / "data/validation.parquet")
    files = {f"{split}_file": str(tmp_path / f"data/{split}.parquet") for split in ("train", "validation")}
    fetch_task(definition | files, tmp_path / "by-ids")
    assert pq.read_table(tmp_path / "by-ids/train.parquet").equals(table)


def test_tags_are_names_or_ids_in_all_rows_and_lines_are_named(tmp_path):
    definition = tagged_words.make_task_files(tmp_path, 8, 6)
    path = tmp_path / "train.conll"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\nsome\tO\nword\t3\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        fetch_task(definition, tmp_path / "task")
    line = text.count("\n") + 3
    assert f"line {line}: tag of word 2: '3' is an id, but 'O' in row 1" in str(error.value).replace("B-good", "O")
    assert check_task(definition)
