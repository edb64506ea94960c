"""How far a study is: what its files, Snakemake's and the logs say, read while it runs, on this machine or a cluster.

Snakemake's folder `.snakemake/incomplete` has a file for each output of a job that runs or waits in a queue, named by
the output's path in base64, and those that a killed run has left.
"""

import base64
import binascii
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

from shallower.core import layout
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.runs import Run
from shallower.core.wording import counted, percent, score_text
from shallower.planning.missing import last_line
from shallower.planning.session import Session, State, read_session
from shallower.study.study import Study

INCOMPLETE = Path(".snakemake/incomplete")
STEPS = re.compile(r"^([0-9]+) of ([0-9]+) steps", re.MULTILINE)
# Lines of logs start with the time of day, but for messages of errors.
CLOCK = re.compile(r"^[0-9:]{8} ")
# The last line of the log of a step that was not interrupted and has no error.
CLOSING = re.compile(r"^[0-9:]{8} \S+: [0-9.]+ s, peak memory [0-9]+ MB$")
METRICS, MANIFEST = "metrics.json", "manifest.json"
# Seconds: trainings and searches write a line to their log every ten.
LONG_SILENCE = 600
AFTER_A_KILL = (
    "Run snakemake --unlock while no other study runs in this folder, and run it again: what is finished is kept."
)


@dataclass(frozen=True)
class Status:
    """What is known of a study. What its last start has to make again does not count until it has.

    Attributes:
        scores: the score of each run that has one by the first metric of its task, 0 to 1, by the run's folder.
        trained: folders of the runs that are trained, scored or not.
        session: the last start; None where none is on record.
        to_train: folders of the runs that it has to train, or had to.
        steps: of its steps, how many are done, and how many there are; None where it has not said so yet.
        last_written: when one of its logs was last written, in seconds since the epoch.
        running: folders of its jobs that run or wait in a queue, each with the last line of its log, or "".
        failures: logs of its jobs that failed, with the line that says why.
        lost: folders of the runs that it will not train, since they failed, or something that they start from.
        is_complete: whether the last step, the record of the study, is done.
    """

    scores: Mapping[str, float]
    trained: frozenset[str]
    session: Session | None = None
    to_train: frozenset[str] = frozenset()
    steps: tuple[int, int] | None = None
    last_written: float = 0
    running: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    is_complete: bool = False

    @property
    def may_run(self) -> bool:
        """Whether something runs, as far as can be seen from here."""
        return self.session is not None and self.session.state in (State.RUNNING, State.UNKNOWN)


def read_status(study: Study, folder: Path = Path()) -> Status:
    """The status of a study whose working directory is `folder`. Files that change meanwhile do no harm."""
    session = read_session(study.name, folder)
    moments, scores = {}, {}
    for run in study.runs:
        if (moment := _made(folder, f"{run.directory}/{MANIFEST}", session)) is not None:
            moments[run.directory] = moment
        # Before a change of the study it may have been scored by other metrics.
        metric = study.evaluate_settings(run.task)["metrics"][0]
        if (found := _scores(folder, f"{run.directory}/{METRICS}", session).get(metric)) is not None:
            scores[run.directory] = float(found["value"])
    results = layout.STUDY.format(study=study.name)
    recorded = _made(folder, f"{results}/SHA256SUMS", session)
    # Not one of before a run was trained again, or of another study of this name.
    latest = max([*moments.values(), _moment(folder / results / "study.json") or 0])
    is_complete = recorded is not None and recorded >= latest and len(moments) == len(scores) == len(study.runs)
    status = Status(scores, frozenset(moments), is_complete=is_complete)
    return status if session is None else _with_session(status, study, session, folder)


def _with_session(status: Status, study: Study, session: Session, folder: Path) -> Status:
    """The status with what the last start has done, and does."""
    lost = {file for failure in session.failures for file in failure.files}
    logs = filter(None, {session.log, *session.jobs.values()})
    found = replace(
        status,
        session=session,
        to_train=frozenset(run.directory for run in study.runs if f"{run.directory}/{MANIFEST}" in session.jobs),
        steps=_steps(folder / session.log) if session.log else None,
        last_written=max([session.started, *(_moment(folder / log) or 0 for log in logs)]),
        failures=dict(_failures(session, folder)),
        lost=frozenset(run.directory for run in study.runs if f"{run.directory}/{MANIFEST}" in lost),
    )
    if found.may_run:
        return replace(found, running=dict(_running(session, folder)), is_complete=False)
    # It may have had more to make than what is looked at here.
    is_over = all(_made(folder, file, session) for file in session.jobs if file not in session.temporary)
    return replace(found, is_complete=found.is_complete and is_over)


def _made(folder: Path, file: str, session: Session | None) -> float | None:
    """When a file was written, in seconds since the epoch; None where it is still to be made, perhaps again."""
    moment = _moment(folder / file)
    is_old = session is not None and file in session.jobs and moment is not None and moment < session.started
    return None if is_old else moment


def _scores(folder: Path, file: str, session: Session | None) -> Mapping[str, Any]:
    """The scores in a run's file by metric; none where there is no file, or none any more."""
    if _made(folder, file, session) is None:
        return {}
    try:
        return read_json(folder / file)["metrics"]
    except UserError:
        if (folder / file).exists():
            raise
        return {}


def _moment(file: Path) -> float | None:
    """When a file was written, in seconds since the epoch; None where there is none."""
    with suppress(FileNotFoundError):
        return file.stat().st_mtime
    return None


def _steps(log: Path) -> tuple[int, int] | None:
    """Steps done and in all, by what Snakemake has printed."""
    with suppress(FileNotFoundError):
        if counts := STEPS.findall(log.read_text(encoding="utf-8", errors="replace")):
            return int(counts[-1][0]), int(counts[-1][1])
    return None


def _running(session: Session, folder: Path) -> Iterator[tuple[str, str]]:
    for marker in sorted((folder / INCOMPLETE).rglob("*")):
        with suppress(binascii.Error, UnicodeDecodeError, FileNotFoundError):
            # Longer names than a file system takes are divided into folders.
            name = "".join(part.removeprefix("@") for part in marker.relative_to(folder / INCOMPLETE).parts)
            output = base64.urlsafe_b64decode(name).decode() if marker.is_file() else ""
            began = marker.stat().st_mtime
            if output in session.jobs and began >= session.started:
                log = folder / session.jobs[output]
                # A job begins its log anew: this one may be of an earlier job.
                is_its_own = log.is_file() and log.stat().st_mtime >= began
                yield str(Path(output).parent), CLOCK.sub("", last_line(log)) if is_its_own else ""


def _failures(session: Session, folder: Path) -> Iterator[tuple[str, str]]:
    for failure in session.failures:
        # Of a group of jobs, those that went well or did not begin have none.
        reasons = {log: reason for log in failure.logs if (reason := _reason(folder / log, session.started))}
        if not reasons:
            reasons = {next(iter(failure.logs), "a job"): f"failed without a message; see {session.log}"}
        yield from reasons.items()


def _reason(log: Path, started: float) -> str:
    """Why the step of a log failed, as far as that says it; "" for a log of before, or of a step that went well."""
    line = last_line(log)
    if not line or (_moment(log) or 0) < started or CLOSING.match(line):
        return ""
    return f"ended without a message after: {CLOCK.sub('', line)}" if CLOCK.match(line) else line


def seconds_left(status: Status, operations: Mapping[str, float], now: float) -> float | None:
    """How long the runs take that the last start has still to train, at its pace, by their floating-point operations.

    None where nothing runs, or it has trained no run yet.
    """
    if status.session is None or not status.may_run:
        return None
    left = sum(operations[run] for run in status.to_train - status.trained - status.lost)
    done = sum(operations[run] for run in status.to_train & status.trained)
    if not left:
        return 0
    return (now - status.session.started) * left / done if done else None


def status_text(study: Study, status: Status, operations: Mapping[str, float], now: float) -> str:
    """A status for people."""
    results = layout.STUDY.format(study=study.name)
    done, total = len(status.scores), len(study.runs)
    lines = [f"Study {study.name}: of {counted(total, 'run')} {len(status.trained):,} trained, {done:,} scored."]
    if status.is_complete:
        lines.append(f"The study is complete: {results}/report.html")
    else:
        lines.append(_session_text(status, operations, now))
    if status.running:
        lines += ["", "Running, or waiting in a queue:"]
        for folder, line in status.running.items():
            lines.append(f"  {folder.removeprefix(f'{results}/')}{f': {line}' if line else ''}")
    if status.failures:
        lines += ["", "Failed:", *(f"  {log}: {line}" for log, line in status.failures.items())]
    if status.scores:
        lines += ["", "Scores so far (means over seeds; per cent of the full model's on the same seeds):"]
        lines += _score_lines(study, status.scores)
    return "\n".join(lines)


def _session_text(status: Status, operations: Mapping[str, float], now: float) -> str:
    session = status.session
    if session is None:
        return "No start of it is on record here, so what runs is not known."
    if session.state is State.ENDED:
        return "Nothing runs. Run it again to go on: what is finished is kept."
    began = _clock(session.started, now)
    if session.state is State.KILLED:
        return f"Nothing runs: the run that started at {began} was killed. {AFTER_A_KILL}"
    if session.state is State.UNKNOWN and now - status.last_written > LONG_SILENCE:
        return (
            f"Started at {began}, and no log was written after {_clock(status.last_written, now)}: all jobs wait in a "
            f"queue, or the run was killed, which cannot be seen from this machine. {AFTER_A_KILL}"
        )
    text = f"Running since {began}"
    if status.steps is not None:
        text += ": {:,} of {:,} steps of this start done".format(*status.steps)
    if not status.to_train:
        return f"{text}. This start has no run to train."
    if (seconds := seconds_left(status, operations, now)) is None:
        return f"{text}. No run was trained since then, so the time left is not known yet."
    if not seconds:
        return f"{text}. All runs that can be are trained; scores, exports, tables and figures may be left."
    end = f"in {_duration(seconds)}, at about {_clock(now + seconds, now)}"
    return f"{text}. At this pace the last run is trained {end}; scores, exports and tables may follow."


def _score_lines(study: Study, scores: Mapping[str, float]) -> Iterator[str]:
    """For each model and task the full model, then all arms of which a run is finished, best first in each origin."""
    for model in study.models:
        for task in study.tasks:
            runs = [run for run in study.runs if (run.model, run.task) == (model, task)]
            full = {run.seed: scores[run.directory] for run in runs if run.is_baseline and run.directory in scores}
            arms: dict[str, list[Run]] = {}
            for run in runs:
                arms.setdefault(run.arm, []).append(run)
            found = [
                _arm_line(arm, of_arm, scores, full)
                for arm, of_arm in arms.items()
                if any(run.directory in scores for run in of_arm)
            ]
            if found:
                yield f"  {model} on {task}, {study.evaluate_settings(task)['metrics'][0]}:"
                yield from (f"    {line}" for _, line in sorted(found, key=lambda entry: entry[0], reverse=True))


def _arm_line(
    arm: str, runs: Sequence[Run], scores: Mapping[str, float], full: Mapping[int, float]
) -> tuple[tuple[bool, float], str]:
    """A line for an arm, and what it is sorted by: the full model first, then by score."""
    found = {run.seed: scores[run.directory] for run in runs if run.directory in scores}
    value, is_baseline = mean(found.values()), runs[0].is_baseline
    seeds = "" if len(runs) == 1 else f" ({len(found)} of {counted(len(runs), 'seed')})"
    common = sorted(found.keys() & full.keys())
    whole = mean(full[seed] for seed in common) if common else 0
    kept = "" if is_baseline or whole <= 0 else f", {percent(100 * mean(found[seed] for seed in common) / whole)}"
    name = "full model" if is_baseline else arm
    return (is_baseline, value), f"{name}: {score_text(value)}{kept}{seeds}"


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def _clock(moment: float, now: float) -> str:
    """A time of day, with the date where it is another one than today's."""
    moment_time, today = time.localtime(moment), time.localtime(now)
    same_day = (moment_time.tm_year, moment_time.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", moment_time)
