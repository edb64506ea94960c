"""How far a study is: what its files, Snakemake's and the logs say, read while it runs, on this machine or a cluster.

Of Snakemake's folder .snakemake: `incomplete` has a file for each output of a job that runs or waits in a queue, named
by its path in base64; `locks` has files while a study runs, with the paths that it may write; `log` has what it prints.
"""

import base64
import binascii
import re
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from shallower.core import layout
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.layout import RESOURCES
from shallower.core.runs import Run
from shallower.core.wording import counted, percent, score_text
from shallower.planning.missing import last_line
from shallower.study.study import Study
from shallower.surgery.origins import ORIGINS

SNAKEMAKE = Path(".snakemake")
LOGS = Path("logs")
STEPS = re.compile(r"^([0-9]+) of ([0-9]+) steps", re.MULTILINE)
# Lines of logs start with the time of day.
CLOCK = re.compile(r"^[0-9:]{8} ")
METRICS, MANIFEST = "metrics.json", "manifest.json"
# Seconds: trainings and searches write a line to their log every ten.
LONG_SILENCE = 600


@dataclass(frozen=True)
class Session:
    """A run of Snakemake that has not ended, or was killed.

    Attributes:
        started: since when, in seconds since the epoch.
        last_written: when one of its logs was last written.
        steps_done: of its steps.
        steps: that it has; None where it has not said so yet.
    """

    started: float
    last_written: float
    steps_done: int = 0
    steps: int | None = None


@dataclass(frozen=True)
class Status:
    """What is known of a study.

    Attributes:
        scores: the score of each run that has one by the first metric of its task, 0 to 1, by the run's folder.
        trained: when each run was trained that was, scored or not, in seconds since the epoch, by its folder.
        session: what runs; None where nothing does.
        running: folders of jobs that run or wait in a queue, each with the last line of its log, where there is one.
        failures: logs that end with an error, with that line.
        lost: runs that failed, or start from a baseline that did: this start will not train them.
        is_complete: whether the last step, the record of the study, is done.
        was_changed: whether the study is another one since this session started, so that runs may be trained again.
    """

    scores: Mapping[str, float]
    trained: Mapping[str, float]
    session: Session | None
    running: Mapping[str, str]
    failures: Mapping[str, str]
    lost: frozenset[str]
    is_complete: bool
    was_changed: bool = False


def read_status(study: Study, folder: Path = Path()) -> Status:
    """The status of a study whose working directory is `folder`. Files that change meanwhile do no harm."""
    scores, trained = {}, {}
    for run in study.runs:
        metric = study.evaluate_settings(run.task)["metrics"][0]
        if (moment := _moment(folder / run.directory / MANIFEST)) is not None:
            trained[run.directory] = moment
        # Before a change of the study it may have been scored by other metrics.
        if (found := _scores(folder / run.directory / METRICS).get(metric)) is not None:
            scores[run.directory] = float(found["value"])
    session = _session(study, folder)
    results = folder / layout.STUDY.format(study=study.name)
    recorded, changed = _moment(results / "SHA256SUMS"), _moment(results / "study.json") or 0
    # Not one of before the study was changed, or a run was added or trained again.
    is_last = recorded is not None and recorded >= max([*trained.values(), changed])
    failures = dict(_failures(study, folder, session))
    return Status(
        scores,
        trained,
        session,
        {} if session is None else dict(_running(study, folder)),
        failures,
        _lost(study, failures, trained),
        is_last and len(scores) == len(study.runs) and session is None,
        was_changed=session is not None and changed >= session.started,
    )


def _scores(file: Path) -> Mapping[str, Any]:
    """The scores in a run's file by metric; none where there is no file, or none any more."""
    try:
        return read_json(file)["metrics"]
    except UserError:
        if file.exists():
            raise
        return {}


def _moment(file: Path) -> float | None:
    """When a file was written, in seconds since the epoch; None where there is none."""
    with suppress(FileNotFoundError):
        return file.stat().st_mtime
    return None


def _keys(study: Study) -> tuple[str, ...]:
    """What the folders and logs of its models, its tasks and their parts are named after."""
    return (*map(study.model_key, study.models), *map(study.task_key, study.tasks))


def _logs(study: Study, folder: Path) -> Iterator[Path]:
    """Logs of a study's steps."""
    keys = _keys(study)
    for log in sorted((folder / LOGS).glob("*/**/*.log")):
        place = log.relative_to(folder / LOGS).parts[1]
        if place in (study.name, f"{study.name}.log") or place.startswith(keys):
            yield log


def _session(study: Study, folder: Path) -> Session | None:
    results = layout.STUDY.format(study=study.name) + "/"
    locks = sorted((folder / SNAKEMAKE / "locks").glob("*.output.lock"))
    for lock in locks:
        with suppress(FileNotFoundError):
            if results in lock.read_text(encoding="utf-8"):
                started = lock.stat().st_mtime
                logs = [*_logs(study, folder)]
                # Which of Snakemake's logs is this study's, where another one runs beside it, no file says.
                if is_alone := len(locks) == 1:
                    logs += (folder / SNAKEMAKE / "log").glob("*.log")
                written = max([started, *filter(None, map(_moment, logs))])
                return Session(started, written, *(_steps(folder, started) if is_alone else (0, None)))
    return None


def _steps(folder: Path, started: float) -> tuple[int, int | None]:
    """Steps done and in all, by the log of the session that began at a time."""
    logs = (folder / SNAKEMAKE / "log").glob("*.snakemake.log")
    if newest := _newest(logs, started):
        with suppress(FileNotFoundError):
            counts = STEPS.findall(newest.read_text(encoding="utf-8", errors="replace"))
            return (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, None)
    return 0, None


def _newest(files: Iterable[Path], since: float) -> Path | None:
    """The file that was written last, if it was since a time."""
    moments = {file: moment for file in files if (moment := _moment(file) or 0) >= since}
    return max(moments, key=lambda file: moments[file], default=None)


def _running(study: Study, folder: Path) -> Iterator[tuple[str, str]]:
    results, keys = layout.STUDY.format(study=study.name) + "/", _keys(study)
    for marker in sorted((folder / SNAKEMAKE / "incomplete").rglob("*")):
        with suppress(binascii.Error, UnicodeDecodeError, FileNotFoundError):
            # Longer names than a file system takes are divided into folders.
            name = "".join(marker.relative_to(folder / SNAKEMAKE / "incomplete").parts)
            output = base64.urlsafe_b64decode(name).decode() if marker.is_file() else ""
            place = Path(output).parent
            # What studies share is named after its model or task.
            is_shared = place.parts[:1] == (RESOURCES,) and len(place.parts) > 2 and place.parts[2].startswith(keys)
            if is_shared or output.startswith(results):
                # A job begins its log anew.
                newest = _newest(folder.glob(_log_pattern(place)), marker.stat().st_mtime)
                yield str(place), CLOCK.sub("", last_line(newest)) if newest else ""


def _log_pattern(place: Path) -> str:
    """Where the log of a job with outputs in a folder may be: for results and for what studies share."""
    return f"{LOGS}/*/{Path(*place.parts[2 if place.parts[0] == RESOURCES else 1 :])}*.log"


def _failures(study: Study, folder: Path, session: Session | None) -> Iterator[tuple[str, str]]:
    """Logs of the study that end with an error, of this session where there is one."""
    for log in _logs(study, folder):
        with suppress(FileNotFoundError):
            line = last_line(log)
            if line.startswith("error:") and (session is None or log.stat().st_mtime >= session.started):
                yield str(log.relative_to(folder)), line


def _lost(study: Study, failures: Iterable[str], trained: Container[str]) -> frozenset[str]:
    # Logs of runs are named as their folders are: logs/finetune/study/... and results/study/...; what is trained before
    # has a log in a folder of the run's, and a teacher one for all runs that it teaches.
    failed, teachers = set[Path](), set[Path]()
    for log in map(Path, failures):
        place = Path(*log.parts[2:]).with_suffix("")
        (teachers if log.parts[1] == "teach" else failed).update([place, *place.parents])
    untrained = [run for run in study.runs if run.directory not in trained]
    lost = [run for run in untrained if Path(*Path(run.directory).parts[1:]) in failed]
    baselines = {(run.model, run.task, run.seed) for run in lost if run.is_baseline}
    for run in untrained:
        if run.is_baseline:
            continue
        is_taught = "distill" in study.refine_settings(run.task, run.origin)
        lacks_teacher = Path(study.name, run.model, run.task, f"seed{run.seed}") in teachers
        lacks_baseline = (run.model, run.task, run.seed) in baselines
        if (is_taught and lacks_teacher) or ((is_taught or ORIGINS[run.origin].from_baseline) and lacks_baseline):
            lost.append(run)
    return frozenset(run.directory for run in lost)


def seconds_left(status: Status, operations: Mapping[str, float], now: float) -> float | None:
    """How long the runs that are left take at the pace of this session, by their floating-point operations.

    None where nothing runs, or no run has been trained in this session yet.
    """
    if status.session is None:
        return None
    done = sum(operations[run] for run, moment in status.trained.items() if moment >= status.session.started)
    left = sum(count for run, count in operations.items() if run not in status.trained and run not in status.lost)
    return (now - status.session.started) * left / done if done else None


def status_text(study: Study, status: Status, operations: Mapping[str, float], now: float) -> str:
    """A status for people."""
    results = layout.STUDY.format(study=study.name)
    done, total = len(status.scores), len(study.runs)
    lines = [f"Study {study.name}: of {counted(total, 'run')} {len(status.trained):,} trained, {done:,} scored."]
    if status.is_complete:
        lines.append(f"The study is complete: {results}/report.html")
    elif status.session is None:
        lines.append("Nothing runs. Run it again to go on: what is finished is kept.")
    else:
        lines.append(_session_text(status, operations, now))
        if status.was_changed and any(moment < status.session.started for moment in status.trained.values()):
            lines.append("The study was changed: runs of before count as trained, though some may be trained again.")
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
    assert status.session
    if now - status.session.last_written > LONG_SILENCE:
        return (
            f"Started at {_clock(status.session.started, now)}, and no log was written after "
            f"{_clock(status.session.last_written, now)}: all jobs wait in a queue, or the run was killed. If it was, "
            "run snakemake --unlock, and run it again: what is finished is kept."
        )
    began = f"Running since {_clock(status.session.started, now)}"
    if status.session.steps:
        began += f": {status.session.steps_done:,} of {status.session.steps:,} steps of this start done"
    if (seconds := seconds_left(status, operations, now)) is None:
        return f"{began}. No run was trained since then, so the time left is not known yet."
    if not seconds:
        return f"{began}. All runs that can be are trained; scores, exports, tables and figures may be left."
    end = f"in {_duration(seconds)}, at about {_clock(now + seconds, now)}"
    return f"{began}. At this pace the last run is trained {end}; scores, exports and tables may follow."


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
