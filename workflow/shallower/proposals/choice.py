"""Which columns of a file are text and label, and of which kind its task is: decided with a reason, or refused.

Where two answers are sensible, none is taken: the message has the choices and the option that decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shallower.core.errors import UserError
from shallower.core.wording import listed
from shallower.proposals.base import Candidate, Decision, KindProposal
from shallower.proposals.columns import LABEL_NAMES, Column, are_pair
from shallower.proposals.registry import PROPOSALS
from shallower.task_kinds.registry import TASK_KINDS

# So many columns that can be one label together are taken so, without asking.
SEVERAL = 3


@dataclass(frozen=True)
class Asked:
    """What the user said of a file; None where it is to be found out."""

    kind: str | None = None
    text: tuple[str, ...] | None = None
    label: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Choice:
    """The kind of a task, the names of its columns, and the keys of its entry that this decides, with the reasons."""

    proposal: KindProposal
    text: tuple[str, ...]
    label: tuple[str, ...]
    decisions: tuple[Decision, ...]


class NoLabelError(UserError):
    """No column of a file can be the label."""


def choose(
    place: str, columns: Sequence[Column], asked: Asked, possible: Mapping[str, KindProposal] = PROPOSALS
) -> Choice:
    """Text, label and kind of a file, which messages call `place`. Raises UserError where they are not clear.

    `possible` are the kinds that the study's model can answer, which one that is asked for must be.
    """
    _check_asked(place, columns, asked)
    try:
        if len(columns) < 2:
            raise _lone_column(columns[0])
        texts = {kind: _texts(proposal, columns, asked) for kind, proposal in PROPOSALS.items()}
        kinds = [asked.kind] if asked.kind else [*possible]
        if not any(texts[kind] for kind in kinds):
            raise UserError(f"no column looks like text; name one or two with TEXT=. {_all(columns)}")
        label, others = _label(columns, asked, kinds, texts)
        proposal = PROPOSALS[label.kind]
        kind = _kind(label, asked, texts, possible)
        text = _text(proposal, [column for column in texts[label.kind] if column not in label.columns], asked)
    except UserError as error:
        raise type(error)(f"{place}: {error}") from None
    named = _named_label(label, asked, others)
    return Choice(proposal, tuple(text.value), tuple(column.name for column in label.columns), (text, named, kind))


def _check_asked(place: str, columns: Sequence[Column], asked: Asked) -> None:
    if asked.kind in TASK_KINDS and asked.kind not in PROPOSALS:
        raise UserError(
            f"KIND={asked.kind}: its tasks are several files (source: {TASK_KINDS[asked.kind].source}), not one of "
            f"rows; write the task into a study yourself, as docs/{asked.kind}.md shows"
        )
    if asked.kind and asked.kind not in PROPOSALS:
        raise UserError(f"KIND={asked.kind} is none of {listed(list(PROPOSALS))}")
    if asked.text is not None and (len(asked.text) > 2 or len({*asked.text}) < len(asked.text)):
        raise UserError(f"TEXT={','.join(asked.text)}: name one column, or two different ones for pairs of texts")
    names = [column.name for column in columns]
    for option, wanted in (("TEXT", asked.text or ()), ("LABEL", asked.label or ())):
        if missing := [repr(name) for name in wanted if name not in names]:
            raise UserError(f"{option}: {place} has no column {listed(missing)}; it has {listed([*map(repr, names)])}")
    if both := {*(asked.label or ())} & {*(asked.text or ())}:
        raise UserError(f"LABEL={min(both)}: is a column of TEXT, too; a model could read the answer")


def _lone_column(column: Column) -> UserError:
    hint = next((sign for sign in (";", "\t", "|") if sign in column.name), None)
    return UserError(
        f"has one column, {column.name!r}; a task needs texts and labels"
        + (f", and the name holds {hint!r}: separate columns by commas, or by tabs in a .tsv file" if hint else "")
    )


def _texts(proposal: KindProposal, columns: Sequence[Column], asked: Asked) -> list[Column]:
    """Columns of text: those that are named, or those that look like it."""
    if asked.text:
        return [column for name in asked.text for column in columns if column.name == name]
    return proposal.texts([column for column in columns if column.name not in (asked.label or ())])


def _label(
    columns: Sequence[Column], asked: Asked, kinds: Sequence[str], texts: Mapping[str, Sequence[Column]]
) -> tuple[Candidate, list[str]]:
    """The label with the kind that it suits, and the names of other columns that can be it."""
    found: list[Candidate] = []
    for kind in kinds:
        others = [
            column for column in columns if column not in texts[kind] and not column.is_text and not column.is_ids
        ]
        if asked.label:
            others = [column for name in asked.label for column in columns if column.name == name]
        candidates = PROPOSALS[kind].candidates(others, texts[kind]) if texts[kind] else ()
        found += [candidate for candidate in candidates if candidate.is_natural or asked.kind]
    outdone = {kind for candidate in found for kind in candidate.outdoes}
    found = [candidate for candidate in found if candidate.kind not in outdone]
    if asked.label:
        found = [candidate for candidate in found if len(candidate.columns) == len(asked.label)]
    if not found:
        raise NoLabelError(_no_label(columns, asked))
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
        raise UserError(f"{len(labels)} columns can be the label; choose one: {choices}")
    name = by_name[0] if by_name else labels[0]
    suitable = [candidate for candidate in alone if candidate.name == name]
    if len(suitable) > 1:
        meanings = "; ".join(f"for {each.kind}: {each.reason}" for each in suitable)
        raise UserError(
            f"the label {name!r} suits kinds of task that are trained and scored in other ways ({meanings}); "
            f"say {' or '.join(f'KIND={each.kind}' for each in suitable)}"
        )
    return suitable[0], list(dict.fromkeys(each.name for each in found if each.name != name))


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
    of_kind = f"{kind}; it holds {column.holds}: choose another with LABEL="
    if column.counts and len(column.counts) == len(column.present):
        return f"no label of the column {column.name!r} is there twice, so that none can be learnt{of_kind}"
    return f"the column {column.name!r} cannot be the label{of_kind}"


def _kind(
    label: Candidate, asked: Asked, texts: Mapping[str, Sequence[Column]], possible: Mapping[str, KindProposal]
) -> Decision:
    """What is to be said of the kind, and of others that the label suits less well."""
    others = []
    for kind, proposal in PROPOSALS.items():
        readable = [column for column in texts[kind] if column not in label.columns]
        if kind != label.kind and readable and any(True for _ in proposal.candidates(label.columns, readable)):
            others.append(f"KIND={kind}{'' if kind in possible else proposal.needs}")
    return Decision(
        "target", label.kind, "KIND says so" if asked.kind else f"the label has {label.reason}", " or ".join(others)
    )


def _text(proposal: KindProposal, texts: Sequence[Column], asked: Asked) -> Decision:
    names = [column.name for column in texts]
    if asked.text:
        return Decision("text", names, "TEXT says so")
    if len(names) == 1:
        why, other = proposal.why_text
        return Decision("text", names, why.format(texts[0].holds), other)
    pairs = [(one, other) for one in names for other in names if are_pair(one, other)]
    if len(pairs) == 1:
        reason = "pairs of texts, by the names of the columns"
        return Decision("text", [*pairs[0]], reason, f"TEXT={pairs[0][0]} for one column alone")
    choices = [f"TEXT={name}" for name in names]
    choices += [f"TEXT={names[0]},{names[1]} for both, as pairs of texts"] if len(names) == 2 else ["two of them"]
    raise UserError(f"{len(names)} columns hold text; choose: {', '.join(choices[:-1])} or {choices[-1]}")


def _named_label(label: Candidate, asked: Asked, others: Sequence[str]) -> Decision:
    """What is to be said of the label, and of other columns that can be it."""
    names = [column.name for column in label.columns]
    key, value = ("label", names[0]) if len(names) == 1 else ("label_columns", names)
    if asked.label:
        return Decision(key, value, "LABEL says so")
    why = "called so" if label.name.casefold() in LABEL_NAMES else "all that can be the label"
    holds = label.columns[0].holds if len(names) == 1 else label.reason
    return Decision(key, value, f"{why}; {holds}", " or ".join(f"LABEL={each}" for each in others) or "LABEL=")


def _all(columns: Sequence[Column]) -> str:
    """What all columns hold, for messages."""
    return "Columns: " + "; ".join(f"{column.name!r}: {column.holds}" for column in columns)
