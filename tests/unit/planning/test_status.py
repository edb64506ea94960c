"""How far a study is, from folders as Snakemake and the steps leave them."""

import base64
import errno
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import tiny
from shallower.core.files import read_json, write_json
from shallower.planning import session, status
from shallower.planning.session import SessionRecord, read_session
from shallower.planning.status import read_status, seconds_left, status_text
from shallower.study.resolve import resolve_study

# What makes the files of a run that a status knows of.
STEPS = (("finetune", "manifest.json"), ("finetune", "model.safetensors"), ("evaluate", "metrics.json"))
STARTED, NOW = 1_700_000_000, 1_700_000_600
BASELINE, TOP = "results/s/m/tiny/baseline/seed{}", "results/s/m/tiny/finetuned/top-1/seed{}"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return resolve_study(
        {
            "study": "s",
            "models": [{"name": "m", "source": "local", "directory": str(tiny.make_model(folder / "model", "bert"))}],
            "tasks": [tiny.make_task_files(folder, 21, 8)],
            "origins": [{"name": "finetuned"}],
            "strategies": [{"name": "top", "amounts": [1]}],
            "seeds": [1, 2],
        }
    )


# Twice as much for a baseline, as if it trained for twice as long.
OPERATIONS = {BASELINE.format(seed): 2.0 for seed in (1, 2)} | {TOP.format(seed): 1.0 for seed in (1, 2)}


def write(path, text, moment=STARTED + 60):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (moment, moment))


def train(folder, run, score=None, moment=STARTED + 60):
    for name in ("manifest.json", "model.safetensors"):
        write(folder / run / name, "{}", moment)
    if score is not None:
        content = {"metrics": {"accuracy": {"value": score}}}
        write(folder / run / "metrics.json", json.dumps(content), moment)


def log_of(step, run):
    return f"logs/{step}/{run.partition('/')[2]}.log"


# What a start makes that has everything to do.
ALL = {f"{run}/{name}": log_of(step, run) for run in OPERATIONS for step, name in STEPS} | {
    "results/s/SHA256SUMS": "logs/record_study/s.log"
}


@pytest.fixture
def start(tmp_path):
    """Record a start of the study at STARTED, which runs until the test or `end`."""
    records = []

    def begin(jobs=ALL, log="", temporary=(), **changes):
        record = SessionRecord("s", tmp_path)
        record.begin(log, jobs, temporary)
        content = read_json(record._files.start)
        session._write(record._files.start, content | {"log": log, "started": STARTED} | changes)
        records.append(record)
        return record

    yield begin
    for record in records:
        record.end()


def mark(folder, output, moment=STARTED + 30):
    write(folder / ".snakemake/incomplete" / base64.urlsafe_b64encode(output.encode()).decode(), "", moment)


def shown(study, folder):
    return status_text(study, read_status(study, folder), OPERATIONS, NOW)


def test_a_study_that_runs(study, tmp_path, start):
    tokens, log = "resources/tokens/m/tiny/length128/train.safetensors", "logs/tokenize_task/m/tiny/length128.log"
    start(ALL | {tokens: log}, log=str(tmp_path / "printed.log"))
    train(tmp_path, BASELINE.format(1), 0.8)
    train(tmp_path, TOP.format(1), 0.6)
    train(tmp_path, BASELINE.format(2))
    for name in ("model.safetensors", "manifest.json"):
        mark(tmp_path, f"{TOP.format(2)}/{name}")
    mark(tmp_path, tokens)
    # Of another study, and left by a run that was killed.
    mark(tmp_path, "results/other/m/tiny/baseline/seed1/config.json")
    mark(tmp_path, f"{BASELINE.format(1)}/predictions.parquet", STARTED - 60)
    (tmp_path / ".snakemake/incomplete/a folder of a longer name").mkdir()
    write(tmp_path / log, "10:00:00 train: 5 of 21 texts\n")
    write(tmp_path / log_of("finetune", TOP.format(2)), "10:00:00 m tiny finetuned top-1 seed 2: epoch 1/3\n")
    # Of another run, whose name begins in the same way.
    write(tmp_path / log_of("finetune", TOP.format(21)), "10:00:00 m tiny finetuned top-1 seed 21: epoch 1/3\n", NOW)
    write(tmp_path / "printed.log", "1 of 40 steps (2%) done\n12 of 40 steps (30%) done\n")
    text = shown(study, tmp_path)
    assert "of 4 runs 3 trained, 2 scored" in text
    assert "12 of 40 steps of this start done" in text
    # 5 of 6 parts of the work in 10 minutes.
    assert "the last run is trained in 2 min" in text
    assert "\n  m/tiny/finetuned/top-1/seed2: m tiny finetuned top-1 seed 2: epoch 1/3\n" in text
    assert text.count("seed2:") == 1
    assert "\n  resources/tokens/m/tiny/length128: train: 5 of 21 texts\n" in text
    assert "other" not in text and "baseline/seed1" not in text
    assert "Failed" not in text
    assert "full model: 0.800 (1 of 2 seeds)" in text
    assert "finetuned/top-1: 0.600, 75.0\N{NO-BREAK SPACE}% (1 of 2 seeds)" in text


def test_the_log_of_an_earlier_job_is_not_that_of_one_that_waits(study, tmp_path, start):
    start()
    mark(tmp_path, f"{TOP.format(2)}/model.safetensors")
    write(tmp_path / log_of("finetune", TOP.format(2)), "error: old\n", STARTED - 60)
    assert "\n  m/tiny/finetuned/top-1/seed2" in shown(study, tmp_path)
    assert "old" not in shown(study, tmp_path)


def test_the_share_kept_is_of_the_same_seeds(study, tmp_path):
    for seed, score in ((1, 0.8), (2, 0.4)):
        train(tmp_path, BASELINE.format(seed), score)
    train(tmp_path, TOP.format(2), 0.4)
    assert "finetuned/top-1: 0.400, 100.0\N{NO-BREAK SPACE}% (1 of 2 seeds)" in shown(study, tmp_path)


def test_the_pace_counts_what_this_start_has_trained(study, tmp_path, start):
    start({file: log for file, log in ALL.items() if not file.startswith(BASELINE.format(1))})
    train(tmp_path, BASELINE.format(1), moment=STARTED - 1000)
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) is None
    assert "not known yet" in shown(study, tmp_path)
    train(tmp_path, TOP.format(1))
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == pytest.approx(600 * 3 / 1)
    for seed in (1, 2):
        train(tmp_path, BASELINE.format(seed))
        train(tmp_path, TOP.format(seed))
    assert "All runs that can be are trained" in shown(study, tmp_path)


def test_a_start_of_a_part_of_the_study_ends_with_that(study, tmp_path, start):
    start({f"{BASELINE.format(seed)}/manifest.json": "" for seed in (1, 2)})
    train(tmp_path, BASELINE.format(1))
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == pytest.approx(600)


def test_what_is_made_again_does_not_count_until_it_is(study, tmp_path, start):
    """As after a change of the code. Of one run, only the scores are made again."""
    start({file: log for file, log in ALL.items() if file != f"{BASELINE.format(1)}/manifest.json"})
    for run in OPERATIONS:
        train(tmp_path, run, 0.5, STARTED - 1000)
    write(tmp_path / "results/s/SHA256SUMS", "", STARTED - 900)
    assert "of 4 runs 1 trained, 0 scored" in shown(study, tmp_path)
    assert "complete" not in shown(study, tmp_path)
    train(tmp_path, TOP.format(1), 0.7)
    assert "of 4 runs 2 trained, 1 scored" in shown(study, tmp_path)
    assert "finetuned/top-1: 0.700 (1 of 2 seeds)" in shown(study, tmp_path)


def test_runs_that_failed_and_what_starts_from_them_are_not_waited_for(study, tmp_path, start):
    record = start()
    train(tmp_path, BASELINE.format(1))
    log = log_of("finetune", BASELINE.format(2))
    write(tmp_path / log, "10:00:00 a\nerror: disk full\n")
    record.add_failure([log], [f"{run.format(2)}/manifest.json" for run in (BASELINE, TOP)])
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == pytest.approx(600 * 1 / 2)
    assert f"Failed:\n  {log}: error: disk full" in shown(study, tmp_path)
    train(tmp_path, TOP.format(1))
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("10:00:00 a\nerror: disk full\n", "error: disk full"),
        ("10:00:00 epoch 1/3\n", "ended without a message after: epoch 1/3"),
        ("Traceback (most recent call last):\n  File\nValueError: wrong\n", "ValueError: wrong"),
        ("", "failed without a message; see printed.log"),
    ],
)
def test_what_is_said_of_a_failure(study, tmp_path, start, text, line):
    """Also of a step that was killed, as where memory runs out."""
    log = log_of("finetune", BASELINE.format(1))
    write(tmp_path / log, text)
    start(log="printed.log").add_failure([log], [f"{BASELINE.format(1)}/manifest.json"])
    assert read_status(study, tmp_path).failures == {log: line}


def test_of_a_group_of_jobs_those_that_went_well_have_not_failed(study, tmp_path, start):
    logs = ["logs/drop_layers/s/a.log", "logs/finetune/s/a.log"]
    write(tmp_path / logs[0], "10:00:00 drop_layers.py: 1.2 s, peak memory 300 MB\n")
    write(tmp_path / logs[1], "error: disk full\n")
    record = start()
    record.add_failure(logs, [])
    assert read_status(study, tmp_path).failures == {logs[1]: "error: disk full"}


def test_the_log_of_an_earlier_start_is_no_reason(study, tmp_path, start):
    """Of a job that failed before its step began: cancelled in a queue, say."""
    old, new = log_of("finetune", BASELINE.format(1)), log_of("finetune", BASELINE.format(2))
    write(tmp_path / old, "error: disk full\n", STARTED - 60)
    write(tmp_path / new, "error: disk full\n")
    record = start(log="printed.log")
    record.add_failure([old], [])
    assert read_status(study, tmp_path).failures == {old: "failed without a message; see printed.log"}
    record.end()
    # In a group, the others have a reason.
    start(log="printed.log").add_failure([old, new], [])
    assert read_status(study, tmp_path).failures == {new: "error: disk full"}


def test_failures_are_those_of_the_last_start(study, tmp_path, start):
    log = log_of("finetune", BASELINE.format(1))
    write(tmp_path / log, "error: disk full\n")
    record = start()
    record.add_failure([log], [])
    record.end()
    text = shown(study, tmp_path)
    assert "Nothing runs" in text and "error: disk full" in text
    start().end()
    assert "disk full" not in shown(study, tmp_path)


def test_a_run_that_is_made_again_meanwhile_has_no_score(study, tmp_path, monkeypatch):
    train(tmp_path, BASELINE.format(1), 0.8)
    metrics = tmp_path / BASELINE.format(1) / "metrics.json"
    monkeypatch.setattr(status, "read_json", lambda file: metrics.unlink(missing_ok=True) or read_json(file))
    assert read_status(study, tmp_path).scores == {}


def test_scores_by_another_metric_do_not_count(study, tmp_path):
    """A study that was changed and has not been started since."""
    train(tmp_path, BASELINE.format(1), 0.5)
    write_json(tmp_path / BASELINE.format(1) / "metrics.json", {"metrics": {"f1": {"value": 0.9}}})
    assert "of 4 runs 1 trained, 0 scored" in shown(study, tmp_path)
    assert "No start of it is on record here" in shown(study, tmp_path)


def test_a_run_that_was_killed(study, tmp_path, start):
    record = start()
    mark(tmp_path, f"{TOP.format(1)}/model.safetensors")
    assert "Running since" in shown(study, tmp_path)
    record._lock.release()  # as the system does when its process ends
    text = shown(study, tmp_path)
    assert "was killed. Run snakemake --unlock while no other study runs" in text
    assert "in a queue" not in text


@pytest.mark.parametrize(("age", "is_silent"), [(500, False), (700, True)])
@pytest.mark.parametrize("reason", ["another machine", "no locks"])
def test_a_run_that_cannot_be_seen_and_writes_nothing_may_have_been_killed(
    study, tmp_path, start, age, is_silent, reason
):
    record = start(**{"host": "another"} if reason == "another machine" else {"is_locked": False})
    record._lock.release()
    write(tmp_path / log_of("finetune", BASELINE.format(1)), "10:00:00 epoch 1/3\n", STARTED + 3600)
    # Of another study.
    write(tmp_path / "logs/finetune/other/m/tiny/baseline/seed1.log", "10:00:00 epoch 1/3\n", STARTED + 4200)
    text = status_text(study, read_status(study, tmp_path), OPERATIONS, STARTED + 3600 + age)
    assert ("snakemake --unlock" in text) is is_silent
    assert ("Running since" in text) is not is_silent


@pytest.mark.parametrize("state", ["none", "ended", "running"])
def test_a_complete_study_is_not_complete_while_it_runs_again(study, tmp_path, start, state):
    if state != "none":
        record = start({} if state == "running" else ALL)
        if state == "ended":
            record.end()
    for run in OPERATIONS:
        train(tmp_path, run, 0.5)
    write(tmp_path / "results/s/SHA256SUMS", "", STARTED + 90)
    assert ("complete: results/s/report.html" in shown(study, tmp_path)) is (state != "running")


@pytest.mark.parametrize("is_temporary", [False, True])
def test_a_part_that_is_not_made_again_leaves_a_study_incomplete(study, tmp_path, start, is_temporary):
    """After a start of one part that was stopped; what is deleted after its use is no such part."""
    for run in OPERATIONS:
        train(tmp_path, run, 0.5)
    write(tmp_path / "results/s/SHA256SUMS", "", STARTED + 90)
    jobs = {"results/s/m/cost.json": ""}
    start(jobs, temporary=jobs if is_temporary else ()).end()
    assert ("complete: results/s/report.html" in shown(study, tmp_path)) is is_temporary


def test_a_start_without_trainings(study, tmp_path, start):
    start({"resources/models/m/config.json": ""})
    assert "This start has no run to train." in shown(study, tmp_path)


@pytest.mark.parametrize("missing", [False, True])
def test_the_record_of_an_earlier_state_does_not_complete_a_study(study, tmp_path, missing):
    """As after a run was added, or trained again, by a start of a part of the study."""
    for run in OPERATIONS:
        train(tmp_path, run, 0.5)
    write(tmp_path / "results/s/SHA256SUMS", "", STARTED + 90)
    if missing:
        (tmp_path / TOP.format(2) / "metrics.json").unlink()
    else:
        train(tmp_path, TOP.format(2), 0.5, moment=STARTED + 120)
    assert "complete" not in shown(study, tmp_path)


def test_a_study_that_was_changed_is_not_complete(study, tmp_path):
    for run in OPERATIONS:
        train(tmp_path, run, 0.5)
    write(tmp_path / "results/s/SHA256SUMS", "", STARTED + 90)
    write(tmp_path / "results/s/study.json", "{}", STARTED + 120)
    assert "complete" not in shown(study, tmp_path)


def test_a_record_that_cannot_be_written_stops_nothing(tmp_path, start, caplog, monkeypatch):
    start().end()
    disk = SimpleNamespace(is_full=True)
    whole = session.write_text

    def write_text(*arguments):
        if disk.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(*arguments)

    monkeypatch.setattr(session, "write_text", write_text)
    record = SessionRecord("s", tmp_path)
    record.begin("", ALL)
    record.add_failure([], [])
    record.end()
    assert "make status will not know all of this start: [Errno 28] No space left on device" in caplog.text
    # Not the start before.
    assert read_session("s", tmp_path) is None
    disk.is_full = False
    record = SessionRecord("s", tmp_path)
    record.begin("", ALL)
    (tmp_path / ".scratch/sessions/s/failures.jsonl").write_text('{"logs": ["half a')
    record.end()
    assert read_session("s", tmp_path).failures == []


def test_names_that_are_no_text_are_recorded(study, tmp_path, start):
    log = os.fsdecode(b"caf\xe9/finetune.log")
    start({f"{BASELINE.format(1)}/manifest.json": log}, log=log).add_failure([log], [log])
    found = read_session("s", tmp_path)
    assert found.log == found.failures[0].logs[0] == log


def test_a_second_start_of_a_study_leaves_the_record_of_the_first(study, tmp_path, start, caplog, monkeypatch):
    """Snakemake lets two starts make different parts of a study."""
    monkeypatch.setattr(session, "POLL_SECONDS", 0)
    start()
    second = SessionRecord("s", tmp_path)
    second.begin("", {})
    assert "another start of study s runs" in caplog.text
    second.end()
    found = read_session("s", tmp_path)
    assert (found.state, found.jobs) == (session.State.RUNNING, ALL)


def test_a_start_ends_with_its_process(tmp_path):
    code = (
        "import sys; from pathlib import Path; from shallower.planning.session import SessionRecord\n"
        "SessionRecord('s', Path(sys.argv[1])).begin('', {})\nraise KeyboardInterrupt"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path], env=os.environ | {"PYTHONPATH": "workflow"}, stderr=subprocess.PIPE
    )
    assert read_session("s", tmp_path).state == session.State.ENDED


def test_what_two_failures_keep_from_being_made_is_recorded_once(tmp_path, start):
    record = start()
    record.add_failure(["a.log"], ["report.html", "a"])
    record.add_failure(["b.log"], ["report.html", "b"])
    assert [list(failure.files) for failure in read_session("s", tmp_path).failures] == [["a", "report.html"], ["b"]]
