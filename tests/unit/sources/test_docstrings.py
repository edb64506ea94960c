"""Tasks made of docstrings: which sentences are taken, and what their labels must not give away."""

import importlib.util
import itertools
import random
import re
import string
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from shallower.core.errors import UserError
from shallower.sources import docstrings as docs_corpus
from shallower.sources.docstrings import DOCS_TASKS, LIBRARIES, SHARED_RUN, check_sizes, make_examples, prose_sentences

# --- sentences -----------------------------------------------------------------------------------------------------


def test_prose_is_taken_sentence_by_sentence() -> None:
    docstring = (
        "Compute the mean of each separate group.\n\nEmpty groups are skipped here. The result is always sorted by key."
    )
    assert prose_sentences(docstring) == [
        "Compute the mean of each separate group.",
        "The result is always sorted by key.",  # the one before is too short
    ]


def test_wrapped_lines_become_one_sentence() -> None:
    assert prose_sentences("Return the largest value that was found\nalong the rows.") == [
        "Return the largest value that was found along the rows."
    ]


def test_a_summary_gets_the_full_stop_it_lacks_but_a_broken_off_paragraph_does_not() -> None:
    docstring = (
        "Compute the weighted mean of several values\n\nThe weighted mean of these values is defined as\n\n    sum / n"
    )
    assert prose_sentences(docstring) == ["Compute the weighted mean of several values."]


@pytest.mark.parametrize(
    "docstring",
    [
        "Parameters\n----------\nvalues : list of numbers\n    The numbers that are to be averaged here.",
        "Args:\n    values: The numbers that are to be averaged here.",
        ">>> Compute the mean of the whole group here.",
        "- Compute the mean of the whole group here.",
        ".. note:: Compute the mean of the whole group here.",
        "Compute the mean of the whole group here::\n\n    mean(group)",
        "Compute it by calling group_mean on the whole group.",
        "Compute it by calling GroupMean on the whole group.",
        "Compute it by calling ``mean(group)`` on the whole group.",
        "Compute :math:`x^2` of the values in the group.",
        "Compute the mean as described by the authors [1]_.",
        "Given x compute the mean of the whole group.",
        "Compute the mean of values as numpy does it.",
        "Compute the mean of values as NumPy does it.",
        "Compute the mean of values like scikit-learn does.",
        "TODO compute the mean of the whole group here.",
        "compute the mean of the whole group here.",
        "Compute the mean (of the whole group here.",
        "Berechne den Mittelwert der größten Gruppe von allen.",
        "It is up to you.",
        "Compute " + "the mean and " * 20 + "so on.",
    ],
)
def test_what_is_not_plain_prose_is_left_out(docstring: str) -> None:
    assert prose_sentences(docstring) == []


def test_markup_around_ordinary_words_goes() -> None:
    assert prose_sentences("The ``axis`` argument of *this* function is :term:`broadcast` to `shape`.") == [
        "The axis argument of this function is broadcast to shape."
    ]


def test_headings_go_and_their_text_stays() -> None:
    assert prose_sentences("Notes\n-----\nThe algorithm visits every node exactly once.") == [
        "The algorithm visits every node exactly once."
    ]


def test_an_empty_docstring_has_no_sentences() -> None:
    assert prose_sentences("") == prose_sentences("\n\n") == []


# --- examples from made-up libraries -------------------------------------------------------------------------------


def word(source: random.Random) -> str:
    return "".join(source.choices(string.ascii_lowercase, k=source.randint(4, 9)))


Places = dict[str, tuple[str, str, int]]


def write_libraries(folder: Path, files: int = 12, docstrings: int = 5, sentences: int = 4) -> Places:
    """Write a folder for each library; return where each sentence stands: library, file and docstring."""
    source = random.Random(3)
    places = {}
    for library in LIBRARIES:
        topics = [word(source) for _ in range(40)]
        for number in range(files):
            path = folder / library / f"part{number}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            functions = ["raise RuntimeError('this file must not be run')"]
            for position in range(docstrings):
                words = source.sample(topics, 4)
                lines = []
                for _ in range(sentences):
                    chosen = [*source.sample(words, 2), *(word(source) for _ in range(source.randint(4, 9)))]
                    source.shuffle(chosen)
                    sentence = " ".join(chosen).capitalize() + "."
                    places[sentence] = (library, path.name, position)
                    lines.append(sentence)
                docstring = " ".join(lines)
                functions.append(f'def function{position}():\n    """{docstring}"""')
            path.write_text("\n\n".join(functions) + "\n")
    return places


@pytest.fixture
def use_folder(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    def use(folder: Path) -> None:
        monkeypatch.setattr(docs_corpus, "_folder_of", lambda library: folder / library)

    return use


@pytest.fixture
def places(tmp_path: Path, use_folder: Callable[[Path], None]) -> Places:
    use_folder(tmp_path)
    return write_libraries(tmp_path)


def texts(examples: list[docs_corpus.Example]) -> list[str]:
    return [text for example in examples for text in (example.text, example.text_pair) if text]


@pytest.mark.parametrize("kind", sorted(DOCS_TASKS))
def test_sizes_and_balance(places: Places, kind: str) -> None:
    examples = make_examples(kind, 200, 67)
    assert {split: len(made) for split, made in examples.items()} == {"train": 200, "validation": 67}
    for made in examples.values():
        counts = Counter(example.label for example in made)
        assert sorted(counts) == list(range(len(DOCS_TASKS[kind].labels)))
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("kind", sorted(DOCS_TASKS))
def test_no_docstring_is_in_both_splits_and_no_sentence_is_used_twice(places: Places, kind: str) -> None:
    examples = make_examples(kind, 200, 67)
    docstrings = {split: {places[text] for text in texts(made)} for split, made in examples.items()}
    assert not docstrings["train"] & docstrings["validation"]
    used = texts(examples["train"]) + texts(examples["validation"])
    assert len(used) == len(set(used))


def test_source_labels_are_the_libraries(places: Places) -> None:
    names = list(LIBRARIES)
    for example in make_examples("source", 200, 67)["train"]:
        assert example.text_pair is None
        assert names[example.label] == places[example.text][0]


def test_pair_labels_say_whether_the_docstring_is_the_same(places: Places) -> None:
    for example in itertools.chain.from_iterable(make_examples("pair", 200, 67).values()):
        first, second = places[example.text], places[example.text_pair]
        assert (first == second) == bool(example.label)
        assert first[0] == second[0], "partners come from the same library"
        if not example.label:
            assert first[1] != second[1], "partners come from different files"


def test_different_pairs_have_words_in_common_too(places: Places) -> None:
    examples = make_examples("pair", 200, 67)["train"]
    overlap = {label: [] for label in (0, 1)}
    for example in examples:
        overlap[example.label].append(docs_corpus._overlap(example.text, example.text_pair))
    mean = {label: sum(values) / len(values) for label, values in overlap.items()}
    strangers = [
        docs_corpus._overlap(a.text, b.text_pair)
        for a, b in itertools.combinations(examples, 2)
        if places[a.text][0] == places[b.text_pair][0] and places[a.text] != places[b.text_pair]
    ]
    assert mean[0] > 1.5 * sum(strangers) / len(strangers)


def test_the_same_everywhere(tmp_path: Path, use_folder: Callable[[Path], None]) -> None:
    made = []
    for name in ("here", "there"):
        use_folder(tmp_path / name)
        write_libraries(tmp_path / name)
        made.append(make_examples("pair", 100, 50))
    assert made[0] == made[1]


def test_near_repeats_count_as_repeats(tmp_path: Path, use_folder: Callable[[Path], None]) -> None:
    use_folder(tmp_path)
    write_libraries(tmp_path)
    for library in LIBRARIES:  # every docstring of every library begins the same, but for a word
        for path in (tmp_path / library).glob("*.py"):
            kind = path.stem.translate(str.maketrans(string.digits, string.ascii_lowercase[:10]))
            beginning = f'    """This supports many kinds of input and {kind}. '
            path.write_text(path.read_text().replace('    """', beginning))
    examples = make_examples("source", 200, 100)
    found = texts(examples["train"]) + texts(examples["validation"])
    assert sum("supports many kinds" in text for text in found) == 1


def test_files_that_cannot_be_parsed_are_passed_over(tmp_path: Path, use_folder: Callable[[Path], None]) -> None:
    use_folder(tmp_path)
    write_libraries(tmp_path)
    whole = make_examples("source", 64, 32)
    quotes = '"""Compute the mean of the whole group here."""\n' * 8
    for number in range(20):
        (tmp_path / "numpy" / f"broken{number}.py").write_text(quotes + "def :\n")
        (tmp_path / "numpy" / f"binary{number}.py").write_bytes(quotes.encode() + b"\0")
    assert make_examples("source", 64, 32) == whole


def test_tests_and_copies_of_other_projects_are_not_read(tmp_path: Path) -> None:
    for name in ("part.py", "tests/test_part.py", "deep/_vendor/other/part.py", "deep/part.py", "deep/data.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {path.relative_to(tmp_path).as_posix() for path in docs_corpus._python_files(tmp_path)}
    assert found == {"part.py", "deep/part.py"}


def test_too_much_is_asked(places: Places) -> None:
    with pytest.raises(UserError, match=r"numpy has too little documentation for 5000 train and 100 validation"):
        make_examples("source", 5000, 100)
    with pytest.raises(UserError, match=r"too little documentation.*ask for fewer"):
        make_examples("pair", 5000, 100)


def test_other_libraries_make_up_for_one_with_few_pairs(tmp_path: Path, use_folder: Callable[[Path], None]) -> None:
    use_folder(tmp_path)
    places = write_libraries(tmp_path)
    for path in sorted((tmp_path / "numpy").glob("*.py"))[3:]:
        path.unlink()
    examples = make_examples("pair", 400, 100)
    assert [len(examples[split]) for split in ("train", "validation")] == [400, 100]
    for made in examples.values():
        assert sum(example.label for example in made) == len(made) / 2
        found = Counter(places[example.text][0] for example in made)
        assert 0 < found["numpy"] < min(count for library, count in found.items() if library != "numpy")


def test_too_few_are_asked() -> None:
    assert check_sizes("pair", {"train": 32, "validation": 32}) is None
    problem = check_sizes("pair", {"train": 100, "validation": 8})
    assert problem == "installed-docs (pair): validation_examples must be at least 32"
    with pytest.raises(UserError, match="train_examples must be at least 8"):
        make_examples("source", 7, 100)


def test_the_smallest_sizes_work(places: Places) -> None:
    for kind, task in DOCS_TASKS.items():
        made = make_examples(kind, task.fewest_examples, task.fewest_examples)
        assert {len(examples) for examples in made.values()} == {task.fewest_examples}


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs_corpus, "LIBRARIES", {"no_such_library": "no-such-library"})
    with pytest.raises(UserError, match="no-such-library not installed"):
        docs_corpus.installed_versions()
    with pytest.raises(UserError, match="no-such-library not installed"):
        make_examples("source", 64, 64)


# --- examples from the installed libraries -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=sorted(DOCS_TASKS))
def installed(request: pytest.FixtureRequest) -> list[str]:
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    loaded = {name.partition(".")[0] for name in sys.modules} & set(LIBRARIES)
    examples = make_examples(request.param, 160, 80)
    assert {name.partition(".")[0] for name in sys.modules} & set(LIBRARIES) == loaded, "nothing is imported"
    return texts(examples["train"]) + texts(examples["validation"])


def test_installed_sentences_are_short_prose(installed: list[str]) -> None:
    lengths = [len(text.split()) for text in installed]
    assert min(lengths) >= 6
    assert 9 < sum(lengths) / len(lengths) < 18
    assert all(re.fullmatch(r"[A-Z][\w ,;'\"()./-]*\.", text, flags=re.ASCII) for text in installed)


def test_installed_sentences_do_not_name_their_library(installed: list[str]) -> None:
    names = r"numpy|matplotlib|sklearn|scikit|torch|networkx|pandas|scipy|sympy"
    assert not [text for text in installed if re.search(names, text, re.IGNORECASE)]


def test_installed_sentences_do_not_repeat_one_another(installed: list[str]) -> None:
    owner: dict[tuple[str, ...], str] = {}
    for text in installed:
        words = re.findall(r"\w+", text.lower())
        for start in range(len(words) - SHARED_RUN + 1):
            assert owner.setdefault(tuple(words[start : start + SHARED_RUN]), text) == text
