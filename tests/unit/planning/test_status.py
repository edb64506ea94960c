"""How far a study is, from folders as Snakemake and the steps leave them."""

import base64
import os

import pytest

import tiny
from shallower.core.files import read_json, write_json
from shallower.planning import status
from shallower.planning.status import read_status, seconds_left, status_text
from shallower.study.resolve import resolve_study
from shallower.study.study import Study

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
    write(folder / run / "manifest.json", "{}", moment)
    if score is not None:
        write_json(folder / run / "metrics.json", {"metrics": {"accuracy": {"value": score}}})


def lock(folder, study="s"):
    write(folder / ".snakemake/locks/0.output.lock", f"resources/a\nresults/{study}/report.html\n", STARTED)


def mark(folder, output):
    write(folder / ".snakemake/incomplete" / base64.urlsafe_b64encode(output.encode()).decode(), "")


def shown(study, folder):
    return status_text(study, read_status(study, folder), OPERATIONS, NOW)


def test_a_study_that_runs(study, tmp_path):
    lock(tmp_path)
    train(tmp_path, BASELINE.format(1), 0.8)
    train(tmp_path, TOP.format(1), 0.6)
    train(tmp_path, BASELINE.format(2))
    for name in ("model.safetensors", "manifest.json"):
        mark(tmp_path, f"{TOP.format(2)}/{name}")
    mark(tmp_path, "results/other/m/tiny/baseline/seed1/config.json")
    mark(tmp_path, "resources/models/other-1/config.json")
    (tmp_path / ".snakemake/incomplete/a folder of a longer name").mkdir()
    keys = study.model_key("m"), study.task_key("tiny")
    mark(tmp_path, f"resources/tokens/{keys[0]}/{keys[1]}/length128/train.safetensors")
    write(tmp_path / f"logs/tokenize_task/{keys[0]}/{keys[1]}/length128.log", "10:00:00 train: 5 of 21 texts\n")
    log = "10:00:00 m tiny finetuned top-1 seed 2: epoch 1/3\n"
    write(tmp_path / "logs/finetune/s/m/tiny/finetuned/top-1/seed2.log", log)
    # Of an earlier job of this run, and of another step.
    write(tmp_path / "logs/predict/s/m/tiny/finetuned/top-1/seed2.log", "error: old\n", STARTED - 60)
    write(tmp_path / ".snakemake/log/x.snakemake.log", "1 of 40 steps (2%) done\n12 of 40 steps (30%) done\n")
    text = shown(study, tmp_path)
    assert "of 4 runs 3 trained, 2 scored" in text
    assert "12 of 40 steps of this start done" in text
    # 5 of 6 parts of the work in 10 minutes.
    assert "the last run is trained in 2 min" in text
    assert "\n  m/tiny/finetuned/top-1/seed2: m tiny finetuned top-1 seed 2: epoch 1/3\n" in text
    assert text.count("seed2:") == 1
    assert f"\n  resources/tokens/{keys[0]}/{keys[1]}/length128: train: 5 of 21 texts\n" in text
    assert "other" not in text
    assert "Failed" not in text
    assert "full model: 0.800 (1 of 2 seeds)" in text
    assert "finetuned/top-1: 0.600, 75.0\N{NO-BREAK SPACE}% (1 of 2 seeds)" in text


def test_the_share_kept_is_of_the_same_seeds(study, tmp_path):
    for seed, score in ((1, 0.8), (2, 0.4)):
        train(tmp_path, BASELINE.format(seed), score)
    train(tmp_path, TOP.format(2), 0.4)
    assert "finetuned/top-1: 0.400, 100.0\N{NO-BREAK SPACE}% (1 of 2 seeds)" in shown(study, tmp_path)


def test_the_pace_counts_what_this_start_has_trained(study, tmp_path):
    lock(tmp_path)
    train(tmp_path, BASELINE.format(1), moment=STARTED - 1000)
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) is None
    assert "not known yet" in shown(study, tmp_path)
    train(tmp_path, TOP.format(1))
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == pytest.approx(600 * 3 / 1)
    for seed in (1, 2):
        train(tmp_path, BASELINE.format(seed))
        train(tmp_path, TOP.format(seed))
    assert "All runs that can be are trained" in shown(study, tmp_path)


def test_runs_that_failed_and_what_starts_from_them_are_not_waited_for(study, tmp_path):
    lock(tmp_path)
    train(tmp_path, BASELINE.format(1))
    write(tmp_path / "logs/finetune/s/m/tiny/baseline/seed2.log", "10:00:00 a\nerror: disk full\n")
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == pytest.approx(600 * 1 / 2)
    train(tmp_path, TOP.format(1))
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == 0
    # What a baseline that was trained and could not be scored gave weights to is still trained.
    train(tmp_path, BASELINE.format(2))
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) > 0


def test_what_is_trained_before_a_run_is_part_of_it(study, tmp_path):
    lock(tmp_path)
    train(tmp_path, BASELINE.format(1))
    train(tmp_path, BASELINE.format(2))
    write(tmp_path / f"logs/finetune/{TOP.format(2).partition('/')[2]}/stage0.log", "error: disk full\n")
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == pytest.approx(600 * 1 / 4)


def test_runs_without_their_teacher_are_not_waited_for(study, tmp_path):
    lock(tmp_path)
    train(tmp_path, BASELINE.format(1))
    train(tmp_path, BASELINE.format(2))
    write(tmp_path / "logs/teach/s/m/tiny/seed2.log", "error: disk full\n")
    assert seconds_left(read_status(study, tmp_path), OPERATIONS, NOW) == pytest.approx(600 * 2 / 4)
    taught = Study(study.config | {"refine": {"distill": {"weight": 0.5, "temperature": 2.0}}})
    assert seconds_left(read_status(taught, tmp_path), OPERATIONS, NOW) == pytest.approx(600 * 1 / 4)


def test_a_run_that_is_made_again_meanwhile_has_no_score(study, tmp_path, monkeypatch):
    train(tmp_path, BASELINE.format(1), 0.8)
    metrics = tmp_path / BASELINE.format(1) / "metrics.json"
    monkeypatch.setattr(status, "read_json", lambda file: metrics.unlink(missing_ok=True) or read_json(file))
    assert read_status(study, tmp_path).scores == {}


def test_logs_of_another_study_are_no_sign_of_life(study, tmp_path):
    lock(tmp_path)
    write(tmp_path / ".snakemake/locks/1.output.lock", "results/other/report.html\n", STARTED)
    for log in ("logs/finetune/other/m/tiny/baseline/seed1.log", ".snakemake/log/x.snakemake.log"):
        write(tmp_path / log, "10:00:00 epoch 1/3\n", NOW + 3600)
    assert "snakemake --unlock" in status_text(study, read_status(study, tmp_path), OPERATIONS, NOW + 3600)


def test_a_changed_study_is_not_complete_by_what_was_there_before(study, tmp_path):
    """Stopped right after a change; then running again, with runs of before, one of them scored by another metric."""
    for run in OPERATIONS:
        train(tmp_path, run, 0.5)
    write(tmp_path / "results/s/SHA256SUMS", "", STARTED + 90)
    write(tmp_path / "results/s/study.json", "{}", STARTED + 120)
    assert "complete" not in shown(study, tmp_path)
    assert "was changed" not in shown(study, tmp_path)
    write(tmp_path / ".snakemake/locks/0.output.lock", "results/s/report.html\n", STARTED + 110)
    assert "runs of before count as trained, though some may be trained again" in shown(study, tmp_path)
    write_json(tmp_path / TOP.format(1) / "metrics.json", {"metrics": {"f1": {"value": 0.9}}})
    assert "finetuned/top-1: 0.500, 100.0\N{NO-BREAK SPACE}% (1 of 2 seeds)" in shown(study, tmp_path)


def test_the_steps_of_another_study_that_runs_are_not_this_ones(study, tmp_path):
    lock(tmp_path)
    write(tmp_path / ".snakemake/log/x.snakemake.log", "39 of 40 steps (98%) done\n")
    assert "39 of 40 steps" in shown(study, tmp_path)
    write(tmp_path / ".snakemake/locks/1.output.lock", "results/other/report.html\n", STARTED)
    assert "steps" not in shown(study, tmp_path)


def test_failures_of_the_whole_study_and_of_its_data_are_named(study, tmp_path):
    failed = [
        "logs/tabulate/s.log",
        f"logs/download_model/{study.model_key('m')}.log",
        f"logs/tokenize_task/{study.model_key('m')}/{study.task_key('tiny')}/length128.log",
    ]
    for name in [*failed, "logs/tabulate/s2.log", "logs/finetune/s2/m/tiny/baseline/seed1.log"]:
        write(tmp_path / name, "error: disk full\n")
    text = shown(study, tmp_path)
    assert all(f"{name}: error: disk full" in text for name in failed)
    assert "s2" not in text


@pytest.mark.parametrize(("age", "is_silent"), [(500, False), (700, True)])
def test_a_run_that_writes_nothing_may_have_been_killed(study, tmp_path, age, is_silent):
    lock(tmp_path)
    write(tmp_path / "logs/finetune/s/m/tiny/baseline/seed1.log", "10:00:00 epoch 1/3\n", STARTED + 3600)
    now = STARTED + 3600 + age
    text = status_text(study, read_status(study, tmp_path), OPERATIONS, now)
    assert ("snakemake --unlock" in text) is is_silent
    assert ("Running since" in text) is not is_silent


def test_a_study_that_stopped_names_what_failed(study, tmp_path):
    train(tmp_path, BASELINE.format(1), 0.8)
    # Left by a run that was killed.
    mark(tmp_path, f"{TOP.format(1)}/model.safetensors")
    write(tmp_path / "logs/finetune/s/m/tiny/finetuned/top-1/seed1.log", "10:00:00 a\nerror: disk full\n")
    text = shown(study, tmp_path)
    assert "Nothing runs" in text
    assert "Running" not in text
    assert "logs/finetune/s/m/tiny/finetuned/top-1/seed1.log: error: disk full" in text


@pytest.mark.parametrize("runs", [False, True])
def test_a_complete_study_is_not_complete_while_it_runs_again(study, tmp_path, runs):
    for run in OPERATIONS:
        train(tmp_path, run, 0.5)
    write(tmp_path / "results/s/SHA256SUMS", "", STARTED + 90)
    if runs:
        lock(tmp_path)
    else:
        lock(tmp_path, study="other")
    assert ("complete: results/s/report.html" in shown(study, tmp_path)) is not runs


@pytest.mark.parametrize("missing", [False, True])
def test_the_record_of_an_earlier_state_does_not_complete_a_study(study, tmp_path, missing):
    """As after a run was added, or trained again, and then stopped."""
    for run in OPERATIONS:
        train(tmp_path, run, 0.5)
    write(tmp_path / "results/s/SHA256SUMS", "", STARTED + 90)
    if missing:
        (tmp_path / TOP.format(2) / "metrics.json").unlink()
    else:
        train(tmp_path, TOP.format(2), 0.5, moment=STARTED + 120)
    assert "Nothing runs" in shown(study, tmp_path)
