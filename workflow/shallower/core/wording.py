"""Numbers and names for readers, the same in tables, figures and sentences."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
JOINED = "\N{NO-BREAK SPACE}"  # keeps a number and its unit on one line


class Unit(NamedTuple):
    """What there are many of, such as queries: the word for one, and that for several."""

    one: str
    many: str

    def counted(self, number: int) -> str:
        """`1 query`, `1,200 queries`."""
        return f"{number:,} {self.one if number == 1 else self.many}"


EXAMPLE = Unit("example", "examples")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 layer`, `2 layers`, `no layers`."""
    return f"{number or 'no'} {noun if number == 1 else plural or f'{noun}s'}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def unsuited(what: str, kind: str, reason: str, task: str | None = None) -> str:
    """That a kind of task does not take something, with reason and remedy; the one wording of all such refusals.

    `task` names the task where the place of the message does not.
    """
    return f"{what} does not suit {kind}{f' (task {task})' if task else ''}: {reason}"


def layer_ranges(layers: Iterable[int]) -> str:
    """Layer indices, with consecutive ones joined by an en dash: `0-2, 5` for 0, 1, 2 and 5."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}{DASH}{run[-1]}" for run in runs)


def score_text(value: float) -> str:
    """A score with three decimals and a true minus sign."""
    return f"{value:.3f}".replace("-", MINUS)


def percent(value: float, decimals: int = 1) -> str:
    """`99.4 %`, with a true minus sign."""
    return f"{value:.{decimals}f}{JOINED}%".replace("-", MINUS)


def megabytes(size: float) -> str:
    """A file size in decimal megabytes."""
    return f"{size / 1e6:.{0 if size >= 10e6 else 1}f}{JOINED}MB"


def milliseconds(duration: float) -> str:
    """A duration in milliseconds with about three digits."""
    return f"{duration:.{0 if duration >= 100 else 1 if duration >= 10 else 2}f}{JOINED}ms"
