"""A study for a user's own data, proposed from its files: what they hold, how rows are divided, and a file that runs.

Nothing is guessed in silence: each decision is said with its reason and with what changes it, when the study is made
and in its comments. Where two answers are sensible the study is not made, and the message has the choices.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import yaml

from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import write_text
from shallower.core.layout import SPLITS, STUDY, TEST
from shallower.core.wording import counted, listed
from shallower.planning.plan import plan_study
from shallower.planning.sizes import TOKENS_PER_TEXT
from shallower.proposals.choice import Choice, choose
from shallower.proposals.columns import Column, listed_values
from shallower.proposals.division import FEWEST_TEXTS, Division, Texts, divide
from shallower.proposals.draft import Draft, study_of
from shallower.proposals.header import check_header
from shallower.proposals.models import propose_model
from shallower.proposals.request import Request
from shallower.proposals.rows import Rows, check_complete, read_rows, write_division
from shallower.proposals.sizes import lengths
from shallower.sources.file_formats import read_beginning
from shallower.study.file import read_study
from shallower.study.resolve import resolve_study
from shallower.study.study import Study

# Rows by which columns are told apart; all rows of the columns that are used are read afterwards.
FIRST_ROWS = 10_000


def propose(request: Request) -> list[str]:
    """Write the study that a request asks for, and return what is to be said of it, line by line.

    Raises UserError where files cannot be read, where something is not clear, and where anything would be overwritten.
    What was written until then is deleted.
    """
    request.check(STUDY.format(study=request.study_name))
    template = read_study(request.template)
    columns, remarks = _columns(request)
    train = request.paths[SPLITS[0]]
    choice = choose(str(train[0]), columns, request.asked)
    rows = {split: _rows(request, choice, split, paths) for split, paths in request.paths.items()}
    labels = [label for each in rows.values() for label in each.labels]
    decisions = [*choice.decisions, *choice.proposal.decisions(choice.label, labels, request.labels)]
    remarks += _on_incomplete(rows[SPLITS[0]])
    division = _divided(request, choice, rows) if request.is_divided else None
    remarks += _on_division(request, choice, division) if division else _on_common_texts(choice, rows)
    model = propose_model(request.model, template, request.template)
    counts = {split: len(each.texts) for split, each in rows.items()}
    counts |= {split: len(chosen) for split, chosen in division.rows.items()} if division else {}
    draft = Draft(
        request=request,
        model=model,
        template=template,
        decisions=tuple(decisions),
        columns=tuple(columns),
        rows=counts,
        lengths=lengths(rows[SPLITS[0]].texts, model.most_tokens),
        remarks=tuple(remarks),
    )
    with _divided_files(request, choice, rows[SPLITS[0]], division):
        estimate = _estimate(_checked(study_of(draft)), draft)
        _write_new(request.study_file, study_of(draft, estimate))
    return [*draft.said(), estimate, "", f"{request.study_file}: written; run it with", f"  {draft.command}"]


def _columns(request: Request) -> tuple[list[Column], list[str]]:
    """The columns of the training file by its first rows, and what was decided on how to read it."""
    path = request.paths[SPLITS[0]][0]
    content = read_beginning(path, request.columns, FIRST_ROWS)
    columns = [Column(name, values) for name, values in content.values.items()]
    if request.columns is None:
        check_header(path, columns)
    if request.is_divided and (count := len(columns[0].values)) < FEWEST_TEXTS:
        raise UserError(f"{path}: has {counted(count, 'row')}, too few to divide; at least {FEWEST_TEXTS} are needed")
    twice = sorted({name for name in content.names if content.names.count(name) > 1})
    remarks = [content.remark] if content.remark else []
    remarks += [f"two columns are called {listed(twice)}, and are not used"] if twice else []
    return columns, [f"{path}: {remark}" for remark in remarks]


def _rows(request: Request, choice: Choice, split: str, paths: list[Path]) -> Rows:
    may_be_left_out = request.is_divided and split == SPLITS[0]
    rows = read_rows(paths, choice.text, choice.label, request.columns, choice.proposal)
    if not (request.leaves_out and may_be_left_out):
        check_complete(rows, may_be_left_out)
    if not rows.texts:
        raise UserError(f"{paths[0]}: no row has a text and a label; a task needs examples")
    return rows


# --- splits ----------------------------------------------------------------------------------------------------------


def _divided(request: Request, choice: Choice, rows: Mapping[str, Rows]) -> Division:
    train = rows[SPLITS[0]]
    try:
        return divide(
            _keys(choice, train),
            choice.proposal.strata(choice.label, train.labels),
            {split: share / 100 for split, share in request.divided_shares.items()},
            request.seed,
            taken=_keys(choice, rows[TEST]) if TEST in rows else (),
        )
    except UserError as error:
        raise UserError(f"{train.files[0]}: {error}") from None


def _keys(choice: Choice, rows: Rows) -> list[Texts]:
    return [choice.proposal.key(texts) for texts in rows.texts]


def _on_incomplete(rows: Rows) -> Iterator[str]:
    if rows.incomplete:
        yield f"{counted(len(rows.incomplete), 'row')} left out, as INCOMPLETE says: the first is {rows.incomplete[0]}"


def _on_division(request: Request, choice: Choice, division: Division) -> Iterator[str]:
    """What is to be said of the division of a file by its texts."""
    what = choice.proposal.unit(len(choice.text))
    shares = " : ".join(map(str, request.divided_shares.values()))
    yield (
        f"{listed(list(division.rows))} are drawn from the one file with seed {request.seed} (SEED=), {shares} "
        f"(SHARES=), each with its share of every label, and written to {request.data_folder}"
    )
    yield (
        f"{counted(division.repeats, 'row')} repeat the {what} of an earlier one; rows with the same {what}, whatever "
        f"case and blanks, are in one split, so that no split has a {what} of another"
    )
    if division.contradictions:
        yield f"Warning: {counted(division.contradictions, what)} have several labels; look at them"
    if division.known:
        yield f"{counted(division.known, 'row')} are left out, whose texts {request.files[TEST]} has, too"
    if division.small:
        names = listed_values([str(stratum) for stratum in division.small])
        yield (
            f"Warning: too few texts for each split to have one: {names} (the training split comes first); what is not "
            "in the validation split is not scored"
        )


def _on_common_texts(choice: Choice, rows: Mapping[str, Rows]) -> Iterator[str]:
    """Texts that are in several of the files that were given."""
    keys = {split: _keys(choice, each) for split, each in rows.items()}
    known = {split: {*each} for split, each in keys.items()}
    for one, other in combinations(rows, 2):
        common = sum(key in known[one] for key in keys[other])
        share = 100 * common / len(rows[other].texts)
        warning = "Warning: " if common else ""
        remedy = "; remove them from one, or scores are too good" if common else ""
        yield f"{warning}{counted(common, 'row')} of {other} ({share:.1f} %) have texts that {one} has, too{remedy}"


@contextmanager
def _divided_files(request: Request, choice: Choice, rows: Rows, division: Division | None) -> Iterator[None]:
    """The files of a division in their folder, which is deleted again where the block fails."""
    if division is None:
        yield
        return
    folder = request.data_folder
    try:
        folder.mkdir(parents=True)
        shares = request.divided_shares
        write_division(folder, rows, division, choice.text, choice.label, request.seed, shares)
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
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
    assumed = min(TOKENS_PER_TEXT * len(draft.value("text")), study.max_length(task))
    minutes = 60 * plan_study(study).cpu_core_hours * draft.lengths.mean / assumed
    return (
        f"Trainings and predictions take about {_rounded(minutes)} on one core, by the plan's estimate for texts of "
        f"{draft.lengths.mean:.0f} tokens; measuring speed and exports come on top."
    )


def _rounded(minutes: float) -> str:
    return f"{minutes / 60:.1f} hours" if minutes >= 120 else counted(max(1, round(minutes)), "minute")


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not be there. Raises UserError where it has come to be there."""
    if path.exists():
        raise UserError(f"{path}: is there already, and nothing is overwritten; choose another file with OUTPUT=")
    write_text(path, text)
