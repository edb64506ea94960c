"""A study for a user's own data, proposed from its files: what they hold, how rows are divided, and a file that runs.

Nothing is guessed in silence: each decision is said with its reason and with what changes it, when the study is made
and in its comments. Where two answers are sensible the study is not made, and the message has the choices.
"""

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import combinations
from typing import Any

import yaml

from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import write_text
from shallower.core.layout import SPLITS, TEST
from shallower.core.wording import counted, listed
from shallower.planning.plan import plan_study
from shallower.planning.sizes import TOKENS_PER_TEXT
from shallower.proposals.base import KindProposal
from shallower.proposals.choice import Asked, Choice, NoLabelError, choose
from shallower.proposals.columns import Column, check_header, listed_values
from shallower.proposals.division import FEWEST_TEXTS, MOST_HELD_OUT, Division, divide
from shallower.proposals.draft import Draft
from shallower.proposals.models import ProposedModel, propose_model
from shallower.proposals.registry import PROPOSALS
from shallower.proposals.request import SHARES, Request
from shallower.proposals.rows import Rows, read_rows, write_division
from shallower.proposals.sizes import lengths
from shallower.sources.file_formats import kind_of, read_beginning
from shallower.study.file import read_study
from shallower.study.resolve import resolve_study
from shallower.study.study import Study

# Columns are told apart by the first rows, in which what belongs together still stands together, and by these with as
# many drawn from the others, since files may be sorted by their labels. All rows of those that are used are read later.
READ_ROWS, FIRST_ROWS = 50_000, 5_000


def propose(request: Request) -> list[str]:
    """Write the study that a request asks for, and return what is to be said of it, line by line.

    Raises UserError where files cannot be read, where something is not clear, and where anything would be overwritten.
    What was written until then is deleted.
    """
    request.check()
    template = read_study(request.template)
    request, columns, first, remarks = _columns(request)
    model = propose_model(request.model, template, request.template)
    place, possible = str(request.paths[SPLITS[0]][0]), _possible(request, model)
    choice = _chosen(place, columns, first, request.asked, possible)
    rows = {
        split: read_rows(paths, choice, request.columns, _ways_out(request, split))
        for split, paths in request.paths.items()
    }
    train = rows[SPLITS[0]]
    labels = [label for each in rows.values() for label in each.labels]
    decisions = (*choice.decisions, *choice.proposal.decisions(choice.label, labels, request.labels))
    division = _divided(request, rows) if request.is_divided else None
    remarks += _on_division(request, train, division) if division else _on_common_texts(rows)
    counts = {split: len(each.texts) for split, each in rows.items()}
    counts |= {split: len(chosen) for split, chosen in division.rows.items()} if division else {}
    read = [(text,) for texts in train.texts for text in texts] if _reads_singly(choice.proposal) else train.texts
    long = lengths(read, model.most_tokens)
    chosen = {split: (each, [*range(len(each.texts))]) for split, each in rows.items()}
    chosen |= {split: (train, [*of_split]) for split, of_split in division.rows.items()} if division else {}
    scored = {split: _num_scored(each, of_split) for split, (each, of_split) in chosen.items() if split != SPLITS[0]}
    draft = Draft(
        request, model, template, choice.proposal, decisions, tuple(columns), counts, scored, long, tuple(remarks)
    )
    with _divided_files(request, train, division):
        estimate = _estimate(_checked(draft.study()), draft)
        if request.study_file.exists():
            raise UserError(
                f"{request.study_file}: is there already, and nothing is overwritten; choose another file with OUTPUT="
            )
        write_text(request.study_file, draft.study(estimate))
    return [*draft.said(), estimate, "", f"{request.study_file}: written; run it with", f"  {draft.command}"]


def _num_scored(rows: Rows, chosen: Sequence[int]) -> int:
    """On how many of some rows models can be scored."""
    return rows.choice.proposal.num_scored([rows.texts[row] for row in chosen], [rows.labels[row] for row in chosen])


def _columns(request: Request) -> tuple[Request, list[Column], list[Column], list[str]]:
    """The columns of the training file, with the names that they have, and how the file is read.

    The columns are there twice: by the first rows and others, and by the first rows alone.
    """
    path = request.paths[SPLITS[0]][0]
    content = read_beginning(path, request.columns, READ_ROWS)
    columns = [Column(name, _with_others(values)) for name, values in content.values.items()]
    first = [Column(name, values[: 2 * FIRST_ROWS]) for name, values in content.values.items()]
    if request.columns is None:
        check_header(path, columns)
    if request.is_divided and (count := len(columns[0].values)) < FEWEST_TEXTS:
        raise UserError(f"{path}: has {counted(count, 'row')}, too few to divide; at least {FEWEST_TEXTS} are needed")
    if kind_of(path) == ".conll":  # whose columns have names only where somebody gives them some
        request = replace(request, columns=tuple(content.names))
    twice = sorted({name for name in content.names if content.names.count(name) > 1})
    remarks = [content.remark] if content.remark else []
    remarks += [f"two columns are called {listed(twice)}, and are not used"] if twice else []
    return request, columns, first, [f"{path}: {remark}" for remark in remarks]


def _with_others(values: Sequence[Any]) -> Sequence[Any]:
    """The first values, and as many drawn from the others, in their order; the same rows of every column."""
    if len(values) <= 2 * FIRST_ROWS:
        return values
    drawn = random.Random(0).sample(range(FIRST_ROWS, len(values)), FIRST_ROWS)
    return [*values[:FIRST_ROWS], *(values[row] for row in sorted(drawn))]


def _chosen(
    place: str, more: Sequence[Column], first: Sequence[Column], asked: Asked, possible: Mapping[str, KindProposal]
) -> Choice:
    """What is chosen by the columns of more rows, or by those of the first ones where no label is found among more.

    Raises UserError where that is not clear, and where the two differ.
    """
    try:
        choice = choose(place, more, asked, possible)
    except NoLabelError:
        # A value that is none of a label is told with its row once all are read.
        with suppress(UserError):
            return choose(place, first, asked, possible)
        raise
    with suppress(NoLabelError):
        other = choose(place, first, asked, possible)
        if _in_words(choice) != _in_words(other):
            raise UserError(
                f"{place}: by some rows {_in_words(choice)}, by others {_in_words(other)}; say which with KIND=, "
                "LABEL= and TEXT="
            )
    return choice


def _in_words(choice: Choice) -> str:
    label, text = (listed(list(map(repr, names))) for names in (choice.label, choice.text))
    return f"{label} looks like the label of a {choice.proposal.kind.name} of {text}"


def _possible(request: Request, model: ProposedModel) -> Mapping[str, KindProposal]:
    """The kinds of task that a model can answer. Raises UserError where one is asked for that it cannot."""
    possible = {kind: each for kind, each in PROPOSALS.items() if not (model.no_vectors and _reads_singly(each))}
    if request.asked.kind in PROPOSALS.keys() - possible:
        raise UserError(
            f"KIND={request.asked.kind}: is for a model of sentence-transformers, and {model.entry['name']} is none: "
            f"{model.no_vectors}; name another with MODEL="
        )
    return possible


def _reads_singly(proposal: KindProposal) -> bool:
    """Whether a model reads each text of a row by itself, and answers with its vector."""
    return proposal.kind.answers_with_vectors


# --- splits ----------------------------------------------------------------------------------------------------------


def _ways_out(request: Request, split: str) -> str | None:
    """What can be done about rows that lack something, beside filling or removing them; "" where they are left out."""
    if not request.is_divided or split != SPLITS[0]:
        return None
    return "" if request.leaves_out else ", or leave them out with INCOMPLETE=leave-out"


def _divided(request: Request, rows: Mapping[str, Rows]) -> Division:
    train = rows[SPLITS[0]]
    strata = train.choice.proposal.strata(train.choice.label, train.labels)
    shares = {split: share / 100 for split, share in request.divided_shares.items()}
    try:
        taken = rows[TEST].keys if TEST in rows else ()
        # Shares that somebody asked for are kept to.
        most = MOST_HELD_OUT if request.shares is None else None
        return divide(train.keys, strata, shares, request.division_seed, taken, most)
    except UserError as error:
        raise UserError(f"{train.files[0]}: {error}") from None


def _on_division(request: Request, rows: Rows, division: Division) -> Iterator[str]:
    """What is to be said of the division of a file by its texts."""
    if rows.incomplete:
        yield f"{counted(len(rows.incomplete), 'row')} left out, as INCOMPLETE says: the first is {rows.incomplete[0]}"
    what, several = rows.choice.proposal.unit(len(rows.choice.text))
    shares = " : ".join(map(str, request.divided_shares.values()))
    if request.shares is None and len(rows.texts) * max(SHARES[1:]) / 100 > MOST_HELD_OUT:
        shares += f", no more than {MOST_HELD_OUT:,} texts to validate or test on"
    yield (
        f"{listed(list(division.rows))} are drawn from the one file with seed {request.division_seed} (SEED=), "
        f"{shares} (SHARES=), each with its share of every label, and written to {request.data_folder}"
    )
    yield (
        f"{counted(division.repeats, 'row')} repeat the {what} of an earlier one; rows with the same {what}, whatever "
        f"case and blanks, are in one split, so that no split has a {what} of another"
    )
    if division.contradictions:
        yield f"Warning: {counted(division.contradictions, what, several)} have several labels; look at them"
    if division.known:
        yield f"{counted(division.known, 'row')} are left out, whose texts {request.files[TEST]} has, too"
    if division.small:
        names = listed_values([str(stratum) for stratum in division.small])
        yield (
            f"Warning: too few texts for each split to have one: {names} (the training split comes first); what is not "
            "in the validation split is not scored"
        )


def _on_common_texts(rows: Mapping[str, Rows]) -> Iterator[str]:
    """Texts that are in several of the files that were given."""
    keys = {split: each.keys for split, each in rows.items()}
    for one, other in combinations(rows, 2):
        known = {*keys[one]}
        common = sum(key in known for key in keys[other])
        share = 100 * common / len(rows[other].texts)
        warning = "Warning: " if common else ""
        remedy = "; remove them from one, or scores are too good" if common else ""
        yield f"{warning}{counted(common, 'row')} of {other} ({share:.1f} %) have texts that {one} has, too{remedy}"


@contextmanager
def _divided_files(request: Request, rows: Rows, division: Division | None) -> Iterator[None]:
    """The files of a division in their folder, which is deleted again where the block fails."""
    if division is None:
        yield
        return
    # Before anything that would remove it again: a folder that is there meanwhile is somebody else's.
    try:
        request.data_folder.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{request.data_folder}: is there already; take another NAME, or remove it") from None
    try:
        write_division(request.data_folder, rows, division, request.division_seed, request.divided_shares)
        yield
    except BaseException:
        shutil.rmtree(request.data_folder, ignore_errors=True)
        raise


# --- the study -------------------------------------------------------------------------------------------------------


def _checked(text: str) -> Study:
    """The study, with all that the pipeline itself checks before any job. Raises StudyErrors."""
    try:
        return resolve_study(yaml.safe_load(text))
    except StudyErrors as error:
        raise UserError("the study was not written: " + str(error)) from None


def _estimate(study: Study, draft: Draft) -> str:
    """How long the study takes, in a sentence: the plan's estimate, for texts as long as these."""
    (task,) = study.tasks
    columns: list[Any] = draft.value("text")
    assumed = min(TOKENS_PER_TEXT * len(columns), study.max_length(task))
    # The plan takes the texts of pairs for one where each is read by itself.
    tokens = draft.lengths.mean * (len(columns) if _reads_singly(draft.proposal) else 1)
    minutes = 60 * plan_study(study).cpu_core_hours * tokens / assumed
    rounded = f"{minutes / 60:.1f} hours" if minutes >= 120 else counted(max(1, round(minutes)), "minute")
    return (
        f"Trainings and predictions take about {rounded} on one core, by the plan's estimate for texts of "
        f"{draft.lengths.mean:.0f} tokens; measuring speed and exports come on top."
    )
