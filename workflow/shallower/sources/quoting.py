"""Whether the quotation marks of a TSV file quote its fields, as pandas and spreadsheets write them, or are text.

A file says it by itself only as a whole: GLUE's texts hold quotation marks that quote nothing, and csv.writer puts them
around those fields alone that need it. So the file is read both ways, and what fits all its rows is taken.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shallower.core.wording import counted

# What stands within quotation marks, where each of its own is doubled; and a field with or without them.
_INNER = r'[^"]*+(?:""[^"]*+)*+'
_FIELD = rf'"{_INNER}"|[^"\t]*+'
_RECORD = re.compile(rf"(?:{_FIELD})(?:\t(?:{_FIELD}))*+")
_FIELDS = re.compile(rf"(?:^|\t)({_FIELD})")


@dataclass
class _Seen:
    """What the records of a file show, if they are taken as quoted."""

    quoted: int = 0
    doubled: int = 0  # quoted fields with a quotation mark, which is doubled, or with nothing
    broken: int = 0  # quoted fields with a tab or a line break
    commas: int = 0  # quoted fields with a comma
    bare_commas: int = 0  # fields with a comma that are not quoted
    names: int = 0  # quoted fields of the line of names
    columns: set[int] | None = None  # those that are quoted in each row
    widths: set[int] = field(default_factory=set)  # numbers of fields

    def add(self, fields: list[str], is_header: bool) -> None:
        quoted = {place for place, text in enumerate(fields) if text.startswith('"')}
        self.quoted += len(quoted)
        for place, text in enumerate(fields):
            if place in quoted:
                self.doubled += '"' in text[1:-1] or text == '""'
                self.broken += bool(re.search(r"[\t\r\n]", text))
                self.commas += "," in text
            else:
                self.bare_commas += "," in text
        if is_header:
            self.names = len(quoted)
        else:  # some writers do not quote the names
            self.columns = quoted if self.columns is None else self.columns & quoted
        self.widths.add(len(fields))


@dataclass(frozen=True)
class Quoting:
    """Whether fields are quoted, and what is to be said of it; nothing where there are no quotation marks."""

    is_used: bool
    remark: str | None = None


def quoting(lines: Iterable[str], has_header: bool) -> Quoting:
    """How the lines of a TSV file, with their ends, are to be read; the first may be a header, of names.

    They are quoted if every quotation mark is one that quotes or a doubled one within, and
    - only so all rows have the same number of fields, or
    - a name in the header is quoted, or
    - no field would hold a tab or a line break, and some quoted field holds a doubled one, or a whole column is quoted,
      or just the fields with commas are (Excel).
    """
    seen, widths, has_marks = _Seen(), set[int](), False
    for number, record in _records(lines, widths):
        has_marks = has_marks or '"' in record
        if not _RECORD.fullmatch(record):
            return Quoting(False, f"quotation marks are read as text; those in line {number} do not quote a field")
        seen.add(_FIELDS.findall(record), is_header=has_header and not seen.widths)
    if not has_marks:
        return Quoting(False)
    fits, fits_as_text = len(seen.widths) == 1, len(widths) == 1
    if fits_as_text:
        quotes = seen.doubled or seen.columns or (seen.commas == seen.quoted and not seen.bare_commas)
        is_used = bool(fits and (seen.names or (quotes and not seen.broken)))
    else:
        is_used = fits
    if is_used:
        return Quoting(True, f"{counted(seen.quoted, 'quoted field')} read without the quotation marks")
    return Quoting(False, f"quotation marks are read as text; also those around {counted(seen.quoted, 'field')}")


def _records(lines: Iterable[str], widths: set[int]) -> Iterator[tuple[int, str]]:
    """Records without their line ends, if quotation marks quote, and the line that each begins in.

    The numbers of fields, if they do not quote, are added to `widths`.
    """
    parts: list[str] = []
    first, is_open = 1, False
    for number, line in enumerate(lines, start=1):
        if content := line.rstrip("\r\n"):
            widths.add(content.count("\t") + 1)
        parts.append(line)
        is_open ^= line.count('"') % 2 == 1
        if not is_open:
            if record := "".join(parts).rstrip("\r\n"):
                yield first, record
            first, parts = number + 1, []
    if parts:
        yield first, "".join(parts)
