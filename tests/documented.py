"""The commands that the documentation gives, in fenced blocks, in sentences and in tables."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
# Pages about what is in the project now; the change log also names what was.
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]
# What makes code in a sentence a command and not, say, a key of a study. In fenced blocks every line is one.
_PROGRAMS = """
apt-get bash cd conda curl docker git make mypy pip pip-audit pre-commit pytest python python3 rm ruff sbatch scancel
scontrol sh sha256sum sinfo snakedeploy snakefmt snakemake source squeue srun tar tmux wget
"""
PROGRAMS = frozenset(_PROGRAMS.split())
# Where options are named without their program, it is this one; on the page of the benchmarks one of their scripts.
DEFAULT_PROGRAM = "snakemake"
# Blocks in a language of their own: studies, workflows, pictures.
_FENCE = r"^```(\w*)\n(.*?)^```$"
_SHELLS = ("", "sh", "bash", "console")
_SETTING = re.compile(r"\w+=")


@dataclass(frozen=True)
class Command:
    """One command: the page that gives it, its text, and its words without settings of the environment."""

    page: str
    text: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, page: str, text: str) -> "Command":
        words = shlex.split(text)
        first = next((index for index, word in enumerate(words) if not _SETTING.match(word)), len(words))
        return cls(page, text, tuple(words[first:]))

    @property
    def program(self) -> str:
        return self.words[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.words[1:]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def code_of(page: Path) -> tuple[str, ...]:
    """Lines of fenced blocks in any language, without comments, and inline code of a page."""
    text = page.read_text(encoding="utf-8")
    lines = [line for _, block in _fences(text) for line in _lines(block)]
    return (*lines, *inline_code(text))


def inline_code(text: str) -> list[str]:
    """Code in sentences and tables; where it goes over the end of a line, with a blank there."""
    prose = re.sub(_FENCE, "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for part in re.split(r"\n\s*\n", prose) for code in re.findall(r"`([^`]+)`", part)]


def commands_in(text: str, page: str) -> Iterator[Command]:
    """The commands of a page: first those of fenced blocks. A single word is the name of a program, no command."""
    for language, block in _fences(text):
        if language in _SHELLS:
            for line in _lines(block):
                for part in re.split(r"&&|;", line):
                    yield Command.of(page, part.strip())
    for code in inline_code(text):
        if re.match(r"--[a-z][\w-]*[ =]", code):
            yield Command.of(page, f"{DEFAULT_PROGRAM if 'benchmarks' not in page else 'benchmark'} {code}")
        elif re.sub(r"^(\w+=\S+ )+", "", code).partition(" ")[0] in PROGRAMS and " " in code:
            yield Command.of(page, code)


def unexplained_columns(columns: Iterable[str], *tables: str) -> list[str]:
    """Columns that docs/tables.md does not name in the sections of these tables, or as those of several tables.

    Of batch sizes it has 1 as an example.
    """
    _, *sections = (ROOT / "docs/tables.md").read_text(encoding="utf-8").split("\n## ")
    explained = {section.partition("\n")[0]: set(inline_code(section)) for section in sections}
    named = explained["In several tables"].union(*(explained[table] for table in tables))
    return [column for column in columns if re.sub(r"_batch\d+$", "_batch1", column) not in named]


def documented_commands() -> list[Command]:
    """The commands of all pages about the present, each text once for each page."""
    found = (command for page in PRESENT for command in commands_in(page.read_text(encoding="utf-8"), name_of(page)))
    return list(dict.fromkeys(found))


def _fences(text: str) -> list[tuple[str, str]]:
    return re.findall(_FENCE, text, flags=re.MULTILINE | re.DOTALL)


def _lines(block: str) -> list[str]:
    """Lines of a block that are not empty, without comments; a line that ends in a backslash goes on in the next."""
    lines = (re.split(r"(?:^|  )#", line)[0].strip() for line in block.replace("\\\n", " ").splitlines())
    return [line for line in lines if line]
