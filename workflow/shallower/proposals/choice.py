"""Which columns of a file are text and label, and of which kind its task is: decided with a reason, or refused.

Where two answers are sensible, none is taken: the message has the choices and the option that decides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shallower.core.errors import UserError
from shallower.core.wording import listed
from shallower.proposals.base import LABEL_NAMES, Candidate, Decision, KindProposal
from shallower.proposals.columns import Column
from shallower.proposals.registry import PROPOSALS
from shallower.task_kinds.registry import TASK_KINDS

# So many columns that can be one label together are taken so, without asking.
SEVERAL = 3
# Names of two columns of text that belong together, beside those that differ in a last digit or letter.
PAIRS = (
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question", "answer"),
    ("question", "context"),
    ("question", "passage"),
    ("query", "passage"),
    ("query", "document"),
    ("query", "text"),
)
_NUMBERED = (re.compile(r"(.*?)[_ ]?1"), re.compile(r"(.*?)[_ ]?2"))
_LETTERED = (re.compile(r"(?i)(.*?)[_ ]?a"), re.compile(r"(?i)(.*?)[_ ]?b"))


@dataclass(frozen=True)
class Asked:
    """What the user said of a file; None where it is to be found out."""

    kind: str | None = None
    text: tuple[str, ...] | None = None
    label: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Choice:
    """The columns of a task and its kind, with the reasons.

    Attributes:
        proposal: of the kind.
        text: names of one or two columns.
        label: names of the columns of labels, mostly of one.
        decisions: the keys of the task's entry that this decides.
    """

    proposal: KindProposal
    text: tuple[str, ...]
    label: tuple[str, ...]
    decisions: tuple[Decision, ...]


def choose(place: str, columns: Sequence[Column], asked: Asked) -> Choice:
    """Text, label and kind of a file, which messages call `place`. Raises UserError where they are not clear."""
    _check_asked(place, columns, asked)
    if len(columns) < 2:
        (only,) = columns
        hint = next((sign for sign in (";", "\t", "|") if sign in only.name), None)
        raise UserError(
            f"{place}: has one column, {only.name!r}; a task needs texts and labels"
            + (f", and the name holds {hint!r}: separate columns by commas, or by tabs in a .tsv file" if hint else "")
        )
    proposals = [PROPOSALS[asked.kind]] if asked.kind else [*PROPOSALS.values()]
    if not any(_texts(proposal, columns, asked) for proposal in proposals):
        raise UserError(f"{place}: no column looks like text; name one or two with TEXT=. {_all(columns)}")
    label, decisions = _label(place, columns, asked, proposals)
    proposal = PROPOSALS[label.kind]
    texts = [column for column in _texts(proposal, columns, asked) if column not in label.columns]
    text = _text(place, texts, asked)
    return Choice(proposal, tuple(text.value), tuple(column.name for column in label.columns), (text, *decisions))


def _check_asked(place: str, columns: Sequence[Column], asked: Asked) -> None:
    if asked.kind and asked.kind not in PROPOSALS:
        by_hand = "; write a study for it by hand, as README.md shows" if asked.kind in TASK_KINDS else ""
        raise UserError(f"KIND={asked.kind} is none of {listed(list(PROPOSALS))}{by_hand}")
    if asked.text is not None and (len(asked.text) > 2 or len({*asked.text}) < len(asked.text)):
        raise UserError(f"TEXT={','.join(asked.text)}: name one column, or two different ones for pairs of texts")
    names = [column.name for column in columns]
    for option, wanted in (("TEXT", asked.text or ()), ("LABEL", asked.label or ())):
        if missing := [name for name in wanted if name not in names]:
            raise UserError(
                f"{option}: {place} has no column {listed([*map(repr, missing)])}; it has {_named(columns)}"
            )
    if both := {*(asked.label or ())} & {*(asked.text or ())}:
        raise UserError(f"LABEL={min(both)}: is a column of TEXT, too; a model could read the answer")


def _texts(proposal: KindProposal, columns: Sequence[Column], asked: Asked) -> list[Column]:
    """Columns of text: those that are named, or those that look like it."""
    if asked.text:
        return [column for name in asked.text for column in columns if column.name == name]
    return [column for column in columns if proposal.holds_text(column) and column.name not in (asked.label or ())]


def _label(
    place: str, columns: Sequence[Column], asked: Asked, proposals: Sequence[KindProposal]
) -> tuple[Candidate, list[Decision]]:
    """The label with the kind that it suits, and what is to be said of both."""
    found = []
    for proposal in proposals:
        texts = _texts(proposal, columns, asked)
        candidates = proposal.candidates(_others(columns, texts, asked), texts)
        found += [candidate for candidate in candidates if texts and (candidate.is_natural or asked.kind)]
    if asked.label:
        found = [candidate for candidate in found if len(candidate.columns) == len(asked.label)]
    if not found:
        raise UserError(f"{place}: {_no_label(columns, asked)}")
    # Many columns that are one label together are not meant one by one.
    together = {column for each in found if len(each.columns) >= SEVERAL for column in each.columns}
    alone = [each for each in found if len(each.columns) > 1 or each.columns[0] not in together]
    labels = list(dict.fromkeys(candidate.name for candidate in alone))
    by_name = [name for name in labels if name.casefold() in LABEL_NAMES]
    if len(labels) > 1 and len(by_name) != 1:
        choices = "; ".join(
            f"LABEL={name} ({' or '.join(f'{each.kind}: {each.reason}' for each in alone if each.name == name)})"
            for name in labels
        )
        raise UserError(f"{place}: {len(labels)} columns can be the label; choose one: {choices}")
    name = by_name[0] if by_name else labels[0]
    kinds = [candidate for candidate in alone if candidate.name == name]
    if len(kinds) > 1:
        choices = " or ".join(f"KIND={each.kind}" for each in kinds)
        meanings = "; ".join(f"for {each.kind}: {each.reason}" for each in kinds)
        raise UserError(
            f"{place}: the label {name!r} suits kinds of task that are trained and scored in other ways ({meanings}); "
            f"say {choices}"
        )
    (label,) = kinds
    others = dict.fromkeys(each.name for each in found if each.name != name)
    return label, [_named_label(label, asked, list(others)), _kind(label, asked, columns)]


def _kind(label: Candidate, asked: Asked, columns: Sequence[Column]) -> Decision:
    """What is to be said of the kind, and of others that the label suits less well."""
    others = []
    for kind, proposal in PROPOSALS.items():
        texts = [column for column in _texts(proposal, columns, asked) if column not in label.columns]
        if kind != label.kind and texts and any(True for _ in proposal.candidates(label.columns, texts)):
            others.append(f"KIND={kind}")
    reason = "KIND says so" if asked.kind else f"the label has {label.reason}"
    return Decision("target", label.kind, reason, " or ".join(others))


def _others(columns: Sequence[Column], texts: Sequence[Column], asked: Asked) -> list[Column]:
    """Columns that may be labels."""
    if asked.label:
        return [column for name in asked.label for column in columns if column.name == name]
    return [column for column in columns if column not in texts and not column.is_text and not column.is_ids]


def _no_label(columns: Sequence[Column], asked: Asked) -> str:
    """Why no column can be the label, with a remedy."""
    kind = f" of a {asked.kind}" if asked.kind else ""
    if asked.label is None:
        constant = [column for column in columns if len(column.counts) == 1 and not column.is_text]
        why = f" ({constant[0].name!r} has one value only)" if len(constant) == 1 else ""
        return f"no column looks like the label{kind}{why}; name it with LABEL=. {_all(columns)}"
    if len(asked.label) > 1:
        return f"LABEL={','.join(asked.label)}: these columns are no label together{kind}. {_all(columns)}"
    column = next(column for column in columns if column.name in asked.label)
    if len(column.counts) == 1:
        return f"the column {column.name!r} has one value only, {column.in_order[0]!r}; nothing can be learnt from it"
    if column.counts and len(column.counts) == len(column.present):
        return f"no label of the column {column.name!r} is there twice, so that none can be learnt{_of(kind, column)}"
    return f"the column {column.name!r} cannot be the label{_of(kind, column)}"


def _of(kind: str, column: Column) -> str:
    return f"{kind}; it holds {column.holds}: choose another with LABEL="


def _text(place: str, texts: Sequence[Column], asked: Asked) -> Decision:
    names = [column.name for column in texts]
    if asked.text:
        return Decision("text", names, "TEXT says so")
    if len(names) == 1:
        return Decision(
            "text", names, f"the only column of {texts[0].holds}", "TEXT= with one column, or two for pairs"
        )
    pairs = [(one, other) for one in names for other in names if _are_pair(one, other)]
    if len(pairs) == 1:
        reason = "pairs of texts, by the names of the columns"
        return Decision("text", [*pairs[0]], reason, f"TEXT={pairs[0][0]} for one column alone")
    choices = [f"TEXT={name}" for name in names]
    choices += [f"TEXT={names[0]},{names[1]} for both, as pairs of texts"] if len(names) == 2 else ["two of them"]
    raise UserError(f"{place}: {len(names)} columns hold text; choose: {', '.join(choices[:-1])} or {choices[-1]}")


def _are_pair(one: str, other: str) -> bool:
    """Whether the names of two columns say that they are the first and the second text of pairs."""
    if (one.casefold(), other.casefold()) in PAIRS:
        return True
    for first, second in (_NUMBERED, _LETTERED):
        stems = first.fullmatch(one), second.fullmatch(other)
        if stems[0] and stems[1] and stems[0][1] == stems[1][1]:
            return True
    return False


def _named_label(label: Candidate, asked: Asked, others: Sequence[str]) -> Decision:
    """What is to be said of the label, and of other columns that can be it."""
    names = [column.name for column in label.columns]
    key, value = ("label", names[0]) if len(names) == 1 else ("label_columns", names)
    if asked.label:
        return Decision(key, value, "LABEL says so")
    why = "called so" if label.name.casefold() in LABEL_NAMES else "all that can be the label"
    return Decision(key, value, f"{why}; {label.holds}", " or ".join(f"LABEL={each}" for each in others) or "LABEL=")


def _named(columns: Sequence[Column]) -> str:
    return listed([repr(column.name) for column in columns])


def _all(columns: Sequence[Column]) -> str:
    """What all columns hold, for messages."""
    return "Columns: " + "; ".join(f"{column.name!r}: {column.holds}" for column in columns)
