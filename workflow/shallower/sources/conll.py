"""CoNLL-style files: a word a line with its columns, a blank line after each sentence.

Columns are separated by tabs where the first word's line has one, else by blanks; all lines have as many. Lines that
begin with -DOCSTART- end a sentence and count as nothing else. Comments begin with #, and are no words: a line without
a tab in a file of tabs or, before the first word of a sentence, one that has another number of columns than words have.
In CoNLL-U, words that others are parts of (1-2) and empty ones (1.1) are left out, as its tags are not of them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shallower.core.wording import counted

DOCUMENT = "-DOCSTART-"
CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

_NO_WORD = re.compile(r"[0-9]+[-.][0-9]+")


@dataclass(frozen=True)
class Sentences:
    """What a file holds: columns that are used, by name, a list a sentence; of each sentence the lines of its words."""

    names: list[str]
    values: dict[str, list[list[str]]]
    lines: list[list[int]]
    problems: list[str]
    remark: str


def read_sentences(
    file: Iterable[str], used: Sequence[str] | None, header: Sequence[str] | None, is_conllu: bool = False
) -> Sentences:
    """Read the columns `used`, the one of tags last, or all of them; `header` names all columns.

    Without it the columns are CoNLL-U's, or a file has two: the words and the tags. Problems name lines.
    """
    tagged = list(enumerate(file, start=1))
    first = next((line for _, line in tagged if line.strip() and not _is_document(line) and line[0] != "#"), "")
    separator = "\t" if "\t" in first else None
    width = len(_fields(first, separator)) if first else None
    names = list(header or (CONLLU if is_conllu else used or numbered(width or 0)))
    used, width = used or names, len(names) if width is None else width
    if width != len(names):
        return Sentences(names, {name: [] for name in used}, [], [_wrong_width(tagged, first, width, header)], "")
    places = {name: names.index(name) for name in used if name in names}
    values: dict[str, list[list[str]]] = {name: [] for name in places}
    lines: list[list[int]] = []
    problems, counts, is_open = [], Counter[str](), False
    for number, line in tagged:
        if not line.strip() or _is_document(line):
            is_open = False
            counts["document"] += bool(line.strip())
            continue
        fields = _fields(line, separator)
        if line[0] == "#" and (separator not in line if separator else not is_open and len(fields) != width):
            counts["comment"] += 1
            continue
        if is_conllu and _NO_WORD.fullmatch(fields[0]):
            counts["part"] += 1
            continue
        if len(fields) != width:
            problems.append(
                f"line {number}: has {counted(len(fields), 'column')}, the first word {width}; give each word a line "
                "with all columns, and put a blank line between sentences"
            )
            continue
        if not is_open:
            lines.append([])
            for column in values.values():
                column.append([])
            is_open = True
        lines[-1].append(number)
        for name, place in places.items():
            values[name][-1].append(fields[place])
    return Sentences(names, values, lines, problems, _remark(separator, len(lines), counts))


def numbered(width: int) -> list[str]:
    """Names of columns that nobody has named."""
    return ["word", "tag"] if width == 2 else [f"column {number}" for number in range(1, width + 1)]


def _is_document(line: str) -> bool:
    return line.startswith(DOCUMENT)


def _fields(line: str, separator: str | None) -> list[str]:
    return line.rstrip("\r\n").split(separator) if separator else line.split()


def _wrong_width(tagged: Sequence[tuple[int, str]], first: str, width: int, header: Sequence[str] | None) -> str:
    number = next(number for number, line in tagged if line == first)
    expected = f"columns names {len(header)}" if header else "two are expected, a word and its tag"
    return f"line {number}: has {counted(width, 'column')}, {expected}; name all of them in their order in columns"


def _remark(separator: str | None, sentences: int, counts: Counter[str]) -> str:
    left_out = [
        counted(counts[what], name)
        for what, name in (("comment", "comment"), ("document", f"{DOCUMENT} line"), ("part", "line of no word"))
        if counts[what]
    ]
    read = f"{counted(sentences, 'sentence')}, columns separated by {'tabs' if separator else 'blanks'}"
    return read + (f"; left out: {', '.join(left_out)}" if left_out else "")
