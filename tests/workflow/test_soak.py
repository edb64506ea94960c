"""The soak: a study that is killed at random moments until it is complete is the study that nothing happened to."""

import base64
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from broken_runs import Running, identities, kill, leftovers, wait_until_idle
from project import Project, assert_same_results, make_tiny_project

KILLS = int(os.environ.get("SOAK_KILLS", "24"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
# Between a run's first job and its kill, as shares of the undisturbed study's time.
DELAYS = (0.001, 0.06)
KINDS = ("everything", "everything", "snakemake", "training")


def make_study(folder: Path) -> Project:
    """Two seeds, a baseline and three arms each: eight trainings of some ten seconds."""

    def change(study):
        study["strategies"] = [{"name": "top", "amounts": [1, 2]}, {"name": "bottom", "amounts": [1]}]
        study["seeds"] = [1, 2]
        study["train"]["epochs"] = 1000
        study["compute"] = {"checkpoint_seconds": 1}

    return make_tiny_project(folder, change)


def unfinished(folder: Path) -> set[str]:
    """Outputs that Snakemake has on record as begun and not finished."""
    marks = (folder / ".snakemake/incomplete").rglob("*")
    return {base64.urlsafe_b64decode(mark.name).decode() for mark in marks if mark.is_file()}


def finished_runs(folder: Path) -> dict[Path, tuple[int, int]]:
    """The trained models that Snakemake has taken note of, with their identities; temporary ones are none."""
    marked = unfinished(folder)
    weights = list(folder.glob("results/**/seed[0-9]/model.safetensors"))
    return {
        path: identity
        for path in weights
        if str(path.relative_to(folder)) not in marked
        for identity in [identities(path.parent).get(path)]
        if identity
    }


def is_at_work(running: Running) -> bool:
    return "Execute " in running.output


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_study_killed_at_random_moments_ends_in_the_same_results(tmp_path):
    undisturbed = make_study(tmp_path / "undisturbed")
    started = time.monotonic()
    undisturbed.run()
    delays = [share * (time.monotonic() - started) for share in DELAYS]
    print(f"\nundisturbed: {time.monotonic() - started:.0f} s")

    project = make_study(tmp_path / "killed")
    draw = random.Random(SEED)
    kills, rounds, lost, done = Counter(), 0, [], {}
    records: dict[Path, int] = {}
    trained_again = 0
    started = time.monotonic()
    while sum(kills.values()) < KILLS:
        project.run("--unlock")
        running = Running(project.folder)
        rounds += 1
        kind = draw.choice(KINDS)
        running.wait_until(lambda running=running: is_at_work(running), seconds=60)
        delay = draw.uniform(*delays)
        time.sleep(delay)
        if running.process.poll() is not None:
            assert running.process.returncode == 0, running.output
            break
        if kind == "training" and (trainings := running.trainings()):
            kill([draw.choice(trainings)])
            kills["training"] += 1
            time.sleep(draw.uniform(*delays))
            kind = "everything"
        if kind == "snakemake":
            running.process.kill()
        else:
            running.signal_all(signal.SIGKILL)
        kills[kind if kind == "snakemake" else "everything"] += 1
        running.end()
        assert "Traceback" not in running.output, running.output
        errors = [line for line in running.output.splitlines() if line.startswith("error: ")]
        assert all(line.startswith("error: killed (SIGKILL)") for line in errors), running.output
        now = finished_runs(project.folder)
        lost += [path for path, identity in done.items() if now.get(path) != identity]
        done |= now
        for record in (project.folder / ".scratch").glob("*.json"):
            stamp = record.stat().st_mtime_ns
            trained_again += records.get(record, stamp) != stamp
            records[record] = stamp
        print(f"round {rounds}: killed {kind} after {delay:.1f} s; {len(done)} of 8 runs finished", flush=True)
    enough = sum(kills.values()) >= KILLS
    project.run("--unlock")
    project.run()
    wait_until_idle(project.folder)
    seconds = time.monotonic() - started
    now = finished_runs(project.folder)
    lost += [path for path, identity in done.items() if now.get(path) != identity]

    folders = sorted(path.parent for path in undisturbed.folder.glob("results/**/predictions.parquet"))
    assert len(folders) == 8
    resumed = 0
    for folder in folders:
        mine = project.folder / folder.relative_to(undisturbed.folder)
        assert (mine / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes(), mine
        resumed += json.loads((mine / "manifest.json").read_text())["resumed"]
    assert_same_results(project, undisturbed)
    assert leftovers(project.folder) == []
    print(
        f"seed {SEED}: {sum(kills.values())} kills ({dict(kills)}) in {rounds} rounds and {seconds:.0f} s; "
        f"trainings resumed {resumed} times; trained again because Snakemake was killed before it took note: "
        f"{trained_again}; lost results: {len(lost)}"
    )
    assert lost == []
    assert resumed, "no training went on from a checkpoint: kills came too early to try that"
    assert enough, f"the study was complete after {sum(kills.values())} kills; make its trainings longer"
