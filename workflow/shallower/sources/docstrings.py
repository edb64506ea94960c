"""Labelled English sentences from the documentation of the installed libraries: tasks without a download.

Docstrings are found with `ast`; nothing is imported or run. The same library versions give the same examples
on every machine. Two kinds of task are made of them, see `DOCS_TASKS`.
"""

import ast
import gc
import hashlib
import importlib.metadata
import importlib.util
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from shallower.core.errors import UserError

# Import name and distribution. Big, well documented in prose, pinned by this project. The standard library is
# left out: it comes with whichever Python is installed, and the data would change with it. Those with the
# least prose come first, so that later ones can make up for what they lack.
LIBRARIES = {
    "numpy": "numpy",
    "matplotlib": "matplotlib",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "networkx": "networkx",
    "pandas": "pandas",
    "scipy": "scipy",
    "sympy": "sympy",
}

# Copies of other projects and test code.
SKIPPED_FOLDERS = {
    "_vendor",
    "array_api_compat",
    "array_api_extra",
    "conftest",
    "externals",
    "testing",
    "tests",
    "third_party",
}

# Files with fewer triple quotes have too few docstrings to be worth the time of parsing them.
FEWEST_QUOTES = 8
# Two sentences that share this many words in a row count as repeats of one another.
SHARED_RUN = 6
FEWEST_WORDS, MOST_WORDS = 6, 28
FEWEST_CONTENT_WORDS = 3
# Sentences (or, for kind "pair", sentence pairs) taken from one docstring at most.
MOST_FROM_A_DOCSTRING = 2
# Read this many for each one needed, so that a large file does not fill a library's share alone.
SPARE = 1.25
# Partners of a "different" pair are sought among this many docstrings: with more they get more alike.
PARTNERS = 16
# Two sentences with a larger share of common content words say the same thing twice.
MOST_OVERLAP = 0.5


@dataclass(frozen=True)
class DocsTask:
    """What is asked about the sentences; labels in order of their ids, the primary metric first."""

    question: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    has_pair: bool
    fewest_examples: int  # of a split


DOCS_TASKS = {
    "source": DocsTask(
        question="Which library does the sentence document?",
        labels=tuple(LIBRARIES.values()),
        metrics=("accuracy", "macro_f1"),
        has_pair=False,
        fewest_examples=len(LIBRARIES),
    ),
    "pair": DocsTask(
        question="Do the two sentences stand in the same docstring?",
        labels=("different", "same"),
        metrics=("accuracy", "f1"),
        has_pair=True,
        # Each library needs two sentence pairs to swap partners between, and as many that stay together.
        fewest_examples=4 * len(LIBRARIES),
    ),
}


@dataclass(frozen=True)
class Example:
    """One labelled example; `label` is an index into the labels of its task."""

    text: str
    text_pair: str | None
    label: int


@dataclass(frozen=True)
class Passage:
    """One sentence of a docstring, or two for kind "pair"; `file` is relative to the library's folder."""

    file: str
    sentences: tuple[str, ...]


# --- examples -----------------------------------------------------------------------------------------------


def make_examples(kind: str, train_examples: int, validation_examples: int) -> dict[str, list[Example]]:
    """Shuffled examples of a task of `DOCS_TASKS` for the splits "train" and "validation".

    Classes are as even as the sizes allow, and libraries too unless one has too few sentence pairs. No
    docstring is used in both splits, and no two sentences share a run of `SHARED_RUN` words.

    Raises UserError when a library is not installed or there is too little documentation for the sizes.
    """
    missing = {"validation": validation_examples, "train": train_examples}
    if problem := check_sizes(kind, missing):
        raise UserError(problem)
    has_pair = DOCS_TASKS[kind].has_pair
    examples: dict[str, list[Example]] = {split: [] for split in missing}
    seen: set[tuple[str, ...]] = set()
    for index, library in enumerate(LIBRARIES):
        quotas = {split: number // (len(LIBRARIES) - index) for split, number in missing.items()}
        passages = _passages_of(library, has_pair, sum(quotas.values()), seen)
        share = min(1.0, sum(map(len, passages)) / sum(quotas.values()))
        for split, quota in quotas.items():
            dealt = _deal(passages, int(quota * share))
            missing[split] -= len(dealt)
            if has_pair:
                examples[split] += _label_pairs(dealt, _rarer_label(examples[split]))
            else:
                examples[split] += [Example(passage.sentences[0], None, index) for passage in dealt]
            if len(dealt) < quota and (not has_pair or library == [*LIBRARIES][-1]):
                raise UserError(
                    f"installed-docs ({kind}): {LIBRARIES[library]} has too little documentation for "
                    f"{train_examples} train and {validation_examples} validation examples; ask for fewer"
                )
    return {split: sorted(made, key=lambda example: _shuffled(example.text)) for split, made in examples.items()}


def check_sizes(kind: str, sizes: Mapping[str, int]) -> str | None:
    """What is wrong with the numbers of examples of the splits, or None."""
    fewest = DOCS_TASKS[kind].fewest_examples
    small = [f"{split}_examples" for split, size in sizes.items() if size < fewest]
    return f"installed-docs ({kind}): {' and '.join(small)} must be at least {fewest}" if small else None


def installed_versions() -> dict[str, str]:
    """Version of each library that is read.

    Raises UserError naming every library that is not installed.
    """
    versions, missing = {}, []
    for distribution in LIBRARIES.values():
        try:
            versions[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            missing.append(distribution)
    if missing:
        raise _not_installed(missing)
    return versions


def _deal(passages: list[list[Passage]], quota: int) -> list[Passage]:
    """Take whole docstrings off the list until there are `quota` passages; those too many are lost."""
    dealt: list[Passage] = []
    while passages and len(dealt) < quota:
        dealt += passages.pop()
    return dealt[:quota]


def _rarer_label(examples: Sequence[Example]) -> int:
    return int(2 * sum(example.label for example in examples) <= len(examples))


def _label_pairs(passages: Sequence[Passage], first_label: int) -> list[Example]:
    """Every other pair stays together (label 1), the rest change partners among themselves (label 0).

    So each sentence by itself says nothing about the label. The passages of one docstring are neighbours in
    the list and never more than two, hence never change partners with one another.
    """
    same, apart = passages[1 - first_label :: 2], passages[first_label::2]
    groups = max(1, len(apart) // PARTNERS)
    return [
        *(Example(*passage.sentences, 1) for passage in same),
        *(Example(*pair, 0) for group in range(groups) for pair in _change_partners(apart[group::groups])),
    ]


def _change_partners(passages: Sequence[Passage]) -> list[tuple[str, str]]:
    """Give each first sentence another one's second, from another file and with many words in common.

    Random partners would have fewer words in common than neighbours in a docstring have, and that alone would
    tell the labels apart. Partners are exchanged two by two for as long as this brings more words in common.
    """
    numbers = range(len(passages))
    gains = [[_partner_gain(passages[i], passages[j], i == j) for j in numbers] for i in numbers]
    partner = list(numbers)
    improved = True
    while improved:
        improved = False
        for i in numbers:
            for j in range(i):
                now = gains[i][partner[i]] + gains[j][partner[j]]
                exchanged = gains[i][partner[j]] + gains[j][partner[i]]
                if exchanged > now + 1e-9:
                    partner[i], partner[j] = partner[j], partner[i]
                    improved = True
    return [(passages[i].sentences[0], passages[partner[i]].sentences[1]) for i in numbers]


def _partner_gain(first: Passage, second: Passage, is_own: bool) -> float:
    if is_own:
        return -100.0
    if first.file == second.file:
        return -1.0
    return min(_overlap(first.sentences[0], second.sentences[1]), MOST_OVERLAP)


def _overlap(first: str, second: str) -> float:
    """Share of content words that two sentences have in common, from 0 to 1."""
    first_words, second_words = _content_words(first), _content_words(second)
    return len(first_words & second_words) / max(1, len(first_words | second_words))


def _content_words(sentence: str) -> set[str]:
    """Beginnings of the words of four letters and more: roughly those that carry a topic, without endings."""
    return {word[:5] for word in re.findall(r"[a-z]{4,}", sentence.lower())}


# --- passages -----------------------------------------------------------------------------------------------


def _passages_of(library: str, has_pair: bool, needed: int, seen: set[tuple[str, ...]]) -> list[list[Passage]]:
    """The passages of each docstring of a library, docstrings shuffled, from as many files as needed.

    `seen` holds the word runs of all sentences so far; sentences that repeat one of them are left out.
    """
    root = _folder_of(library)
    found: list[tuple[bytes, list[Passage]]] = []
    count = 0
    for path in sorted(_python_files(root), key=lambda path: _shuffled(path.relative_to(root).as_posix())):
        if count >= needed * SPARE:
            break
        file = path.relative_to(root).as_posix()
        for position, docstring in enumerate(_docstrings(path)):
            sentences = [sentence for sentence in prose_sentences(docstring) if _is_new(sentence, seen)]
            passages = _pair_up(file, sentences) if has_pair else [Passage(file, (text,)) for text in sentences]
            passages = passages[:MOST_FROM_A_DOCSTRING]
            if passages:
                found.append((_shuffled(f"{file}:{position}"), passages))
                count += len(passages)
    return [passages for _, passages in sorted(found, key=lambda item: item[0])]


def _pair_up(file: str, sentences: Sequence[str]) -> list[Passage]:
    pairs = zip(sentences[::2], sentences[1::2], strict=False)
    return [Passage(file, pair) for pair in pairs if _overlap(*pair) <= MOST_OVERLAP]


def _is_new(sentence: str, seen: set[tuple[str, ...]]) -> bool:
    """Whether a sentence shares no run of words with an earlier one; remembers its runs."""
    words = re.findall(r"\w+", sentence.lower())
    runs = {tuple(words[start : start + SHARED_RUN]) for start in range(max(1, len(words) - SHARED_RUN + 1))}
    is_new = seen.isdisjoint(runs)
    seen |= runs
    return is_new


def _folder_of(library: str) -> Path:
    spec = importlib.util.find_spec(library)  # of a package at the top, so that nothing is imported
    if spec is None or not spec.submodule_search_locations:
        raise _not_installed([LIBRARIES[library]])
    return Path(spec.submodule_search_locations[0])


def _not_installed(distributions: Sequence[str]) -> UserError:
    return UserError(
        f"installed-docs: {', '.join(distributions)} not installed next to this Python; "
        "install the project's pinned requirements, or use tasks of another source"
    )


def _python_files(root: Path) -> Iterator[Path]:
    for path in root.rglob("*.py"):
        if SKIPPED_FOLDERS.isdisjoint(path.relative_to(root).parts):
            yield path


def _docstrings(path: Path) -> list[str]:
    """Docstrings of a file's module, classes and functions; none if this Python cannot parse the file."""
    source = path.read_bytes()
    if source.count(b'"""') < FEWEST_QUOTES:
        return []
    try:
        with warnings.catch_warnings(action="ignore"), _collector_off():  # warnings are about others' strings
            tree = ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError):
        return []
    return [docstring for node in _documented(tree) if (docstring := ast.get_docstring(node))]


@contextmanager
def _collector_off() -> Iterator[None]:
    """Without the garbage collector, which takes almost half of the time of building a syntax tree."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _documented(
    node: ast.AST,
) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The node and those below it that can have a docstring, without functions inside functions."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for block in ("body", "orelse", "finalbody"):
            for statement in getattr(node, block, ()):
                if isinstance(statement, ast.stmt):
                    yield from _documented(statement)


# --- sentences ----------------------------------------------------------------------------------------------

# Stands for markup that cannot be turned into plain words; a sentence with it is left out.
_REFUSED = "\0"
_ROLE = re.compile(r":[a-z:]+:`([^`]*)`")
_CODE = re.compile(r"``([^`]*)``|`([^`]*)`_{0,2}")
_CITATION = re.compile(r"\[[\w.]+\]_")
_EMPHASIS = re.compile(r"(?<!\S)(\*{1,2})([A-Za-z][\w -]*)\1(?![\w*])")
_LIST_OR_DIRECTIVE = re.compile(r"(>>>|\.\.|:|[-*+|#<@\[]|\d+[.)]|[\w.*, ]+ : )")
_UNDERLINE = re.compile(r"([-=~^*#\"'`])\1{2,}")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"(])")
_SENTENCE = re.compile(r"[A-Z][A-Za-z0-9 ,;'\"()./-]*[A-Za-z0-9)'\"]\.")
_WORD = re.compile(r"'?[A-Za-z]+(?:[-'/][A-Za-z]+)*'?|\d\d?|\d-[A-Z]")
_SINGLE_LETTER = re.compile(r"[B-HJ-Zb-z]")
_CAMEL_CASE = re.compile(r"(?!NaNs?)[A-Za-z]*[a-z][A-Z][A-Za-z]*")
_NAMES = re.compile(
    r"\b(matplotlib|pyplot|mpl|networkx|nx|numpy|np|pandas|pd|scipy|scikit|sklearn|sympy|pytorch|torch)",
    re.IGNORECASE,
)
_NOTES_TO_SELF = re.compile(r"\b(TODO|FIXME|XXX|NOTE)\b")


def prose_sentences(docstring: str) -> list[str]:
    """Sentences of plain English in a docstring: no code, lists, parameters, markup or library names."""
    summary, *others = [_plain_text(paragraph) for paragraph in _paragraphs(docstring)] or [""]
    if summary[-1:].isalpha():
        summary += "."  # which many one-line summaries lack
    candidates = chain.from_iterable(_SENTENCE_END.split(paragraph) for paragraph in [summary, *others])
    return [sentence for sentence in candidates if _is_usable(sentence)]


def _paragraphs(docstring: str) -> Iterator[str]:
    """Paragraphs without indentation; indented ones hold code, lists and descriptions of parameters."""
    for block in re.split(r"\n\s*\n", docstring):
        lines = [line.rstrip() for line in block.strip("\n").splitlines()]
        if len(lines) > 1 and _UNDERLINE.fullmatch(lines[1]):
            lines = lines[2:]
        if lines and not any(line[:1].isspace() or _LIST_OR_DIRECTIVE.match(line) for line in lines):
            yield " ".join(lines)


def _plain_text(paragraph: str) -> str:
    text = _CITATION.sub(_REFUSED, paragraph)
    text = _ROLE.sub(_bare_word, text)
    text = _CODE.sub(_bare_word, text)
    text = _EMPHASIS.sub(r"\2", text)
    return re.sub(r"\s+", " ", text).strip()


def _bare_word(code: re.Match[str]) -> str:
    """Inline code that is one ordinary word, such as a parameter's name, as that word."""
    content = next(group for group in code.groups() if group is not None)
    return content if re.fullmatch(r"[A-Z]?[a-z]+", content) else _REFUSED


def _is_usable(sentence: str) -> bool:
    if not _SENTENCE.fullmatch(sentence) or _NAMES.search(sentence) or _NOTES_TO_SELF.search(sentence):
        return False
    words = [word.strip(',;."()') for word in sentence.split()]
    return (
        FEWEST_WORDS <= len(words) <= MOST_WORDS
        and len(_content_words(sentence)) >= FEWEST_CONTENT_WORDS
        and sentence.count("(") == sentence.count(")")
        and all(_WORD.fullmatch(word) and not _CAMEL_CASE.fullmatch(word) for word in words)
        and not any(_SINGLE_LETTER.fullmatch(word) for word in words)
    )


def _shuffled(text: str) -> bytes:
    """Sorting key that gives an arbitrary order, the same on every machine and Python."""
    return hashlib.sha256(text.encode("utf-8")).digest()
