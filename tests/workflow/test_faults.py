"""Faults on one machine, caused for real: each is reported plainly, loses nothing and ends in the same results."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import tiny
from broken_runs import Running, identities, kill, leftovers, remount, small_disk, steps_in, wait_until_idle
from hub_server import ALWAYS, Fault, HubServer
from project import Project, make_tiny_project

BASELINE = "results/tiny/bert/tiny/baseline/seed1"
ARM = "results/tiny/bert/tiny/finetuned/top-1/seed1"
PREDICTIONS = f"{ARM}/predictions.parquet"
SCORES = "results/tiny/bert/tiny/scores/contribution/pretrained.json"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, warm_steps: dict[str, str]) -> Project:
    """A run that nothing happened to; its trainings take some seconds."""

    def change(study):
        study["train"]["epochs"] = 250
        study["compute"] = {"checkpoint_seconds": 1}

    project = make_tiny_project(tmp_path_factory.mktemp("undisturbed"), change)
    project.run(PREDICTIONS, environment=warm_steps)
    return project


@pytest.fixture
def project(undisturbed: Project, tmp_path: Path) -> Project:
    """The same with the baseline finished and the arm still to be trained."""
    project = undisturbed.copy(tmp_path / "a project")
    shutil.rmtree(project.folder / "results/tiny/bert/tiny/finetuned")
    return project


def start_training(project: Project) -> Running:
    """A run whose training has written its first checkpoint."""
    running = Running(project.folder, PREDICTIONS, "results/tiny/study.json")
    running.wait_until(lambda: list((project.folder / ".scratch").glob("*/step-*")))
    return running


def assert_same(project: Project, undisturbed: Project, resumed: int) -> None:
    """The results are those of the undisturbed run, byte by byte, and nothing is left of what happened."""
    for name in ("predictions.parquet", "model.safetensors", "config.json", "layers.json"):
        assert (project.folder / ARM / name).read_bytes() == (undisturbed.folder / ARM / name).read_bytes(), name
    manifests = [json.loads((place.folder / ARM / "manifest.json").read_text()) for place in (project, undisturbed)]
    assert [manifest["resumed"] for manifest in manifests] == [resumed, 0]
    assert leftovers(project.folder) == []


@pytest.fixture
def go_on(project: Project, undisturbed: Project, warm_steps: dict[str, str]) -> Callable[..., None]:
    """The next run ends in the same results and leaves alone what was finished."""

    def check(resumed: int = 1) -> None:
        before = identities(project.folder / BASELINE, project.folder / "resources")
        project.run(PREDICTIONS, environment=warm_steps)
        assert identities(project.folder / BASELINE, project.folder / "resources") == before
        assert_same(project, undisturbed, resumed)

    return check


# --- processes ---


@pytest.mark.slow
def test_kill_9_of_everything(project, go_on):
    running = start_training(project)
    seen = project.status()
    assert "of 2 runs 1 trained" in seen and "Running since" in seen and "bert/tiny/finetuned/top-1/seed1: " in seen
    running.signal_all(signal.SIGKILL)
    assert running.end() == -signal.SIGKILL
    wait_until_idle(project.folder)
    assert "was killed. Run snakemake --unlock while no other study runs" in project.status()
    # Snakemake's own message says what to do about the lock that it could not take away.
    refused = project.snakemake(PREDICTIONS)
    assert refused.returncode == 1
    assert "Directory cannot be locked" in refused.stdout
    assert "--unlock" in refused.stdout
    project.run("--unlock")
    go_on()


@pytest.mark.slow
def test_ctrl_c(project, go_on):
    running = start_training(project)
    running.signal_all(signal.SIGINT)
    assert running.end() == 1
    reported = [line for line in running.output.splitlines() if line.startswith("stopped by SIGINT: ")]
    assert len(reported) == 1, running.output
    assert re.search(r": checkpoint after step \d+ of 1000; the next run goes on from there$", reported[0])
    assert "Traceback" not in running.output
    assert "exit status 130" in running.output
    wait_until_idle(project.folder, seconds=1)
    assert not (project.folder / ARM / "model.safetensors").exists()
    go_on()


@pytest.mark.slow
def test_ctrl_c_that_reaches_snakemake_alone(project, go_on):
    running = start_training(project)
    running.process.send_signal(signal.SIGINT)
    assert running.end(seconds=20) == 1
    assert "stopped by SIGINT" in running.output
    assert "Traceback" not in running.output
    wait_until_idle(project.folder, seconds=1)
    go_on()


def end_slowly(running: Running, number: int) -> None:
    """Signal all processes of a run whose training takes a while to save its checkpoint: Snakemake waits for it."""
    (training,) = running.trainings()
    training.suspend()
    running.signal_all(number)
    with pytest.raises(subprocess.TimeoutExpired):
        running.end(seconds=2)
    training.resume()
    assert running.end() == 1
    wait_until_idle(running.folder, seconds=0)


@pytest.mark.slow
def test_a_scheduler_that_ends_all_processes(project, go_on):
    running = start_training(project)
    end_slowly(running, signal.SIGTERM)
    assert "stopped by SIGTERM" in running.output
    assert "Traceback" not in running.output
    go_on()


@pytest.mark.slow
def test_a_scheduler_that_ends_all_processes_of_a_run_whose_steps_start_from_one(project, undisturbed):
    """A run with many jobs: the process that its steps start from must not end before they have saved something."""
    shutil.rmtree(project.folder / BASELINE)
    running = Running(project.folder)

    def served() -> list[psutil.Process]:
        servers = (step for step in steps_in(project.folder) if "server.py" in " ".join(step.cmdline()))
        return [child for server in servers for child in server.children()]

    running.wait_until(lambda: list((project.folder / ".scratch").glob("*/step-*")) and served())
    # Whichever of the two trainings it is that the server has started.
    running.signal_all(signal.SIGTERM)
    assert running.end() == 1
    assert "stopped by SIGTERM" in running.output
    assert "the process that starts steps has ended" not in running.output, running.output
    assert "Traceback" not in running.output
    project.run()
    manifests = [json.loads((project.folder / run / "manifest.json").read_text()) for run in (BASELINE, ARM)]
    assert sum(manifest["resumed"] for manifest in manifests) == 1
    for file in (PREDICTIONS, f"{ARM}/model.safetensors", f"{BASELINE}/model.safetensors"):
        assert (project.folder / file).read_bytes() == (undisturbed.folder / file).read_bytes(), file


@pytest.mark.slow
def test_a_terminal_that_is_closed(project, go_on):
    running = start_training(project)
    end_slowly(running, signal.SIGHUP)
    assert "stopped by SIGHUP" in running.output
    go_on()


@pytest.mark.slow
def test_kill_9_of_a_training(project, go_on):
    running = start_training(project)
    kill(running.trainings())
    assert running.end() == 1
    assert "exit status 137" in running.output
    assert "Traceback" not in running.output
    assert re.search(r"Failed:\n  logs/finetune/\S+/top-1/seed1.log: error: killed \(SIGKILL\)", project.status())
    go_on()


@pytest.mark.slow
def test_kill_9_of_snakemake_alone(project, go_on):
    running = start_training(project)
    running.process.kill()
    running.end()
    # The training notices that nobody waits for it, and ends with a checkpoint instead of running on unseen.
    wait_until_idle(project.folder, seconds=5)
    log = project.folder / "logs/finetune/tiny/bert/tiny/finetuned/top-1/seed1.log"
    assert "stopped by SIGHUP" in log.read_text()
    project.run("--unlock")
    go_on()


@pytest.mark.slow
def test_kill_of_snakemake_lets_the_steps_at_work_finish_and_a_second_run_is_refused(project, go_on):
    running = start_training(project)
    second = project.snakemake(PREDICTIONS)
    assert second.returncode == 1
    assert "Directory cannot be locked" in second.stdout
    assert running.process.poll() is None, "the training was to take longer than a refused run"
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 1
    assert (project.folder / ARM / "model.safetensors").exists()
    assert not (project.folder / PREDICTIONS).exists()
    assert project.planned("--", PREDICTIONS) == {"predict": 1}
    go_on(resumed=0)


@pytest.mark.slow
def test_another_study_runs_at_the_same_time(project, undisturbed):
    """Snakemake locks the files that a run makes, not the folder."""
    running = start_training(project)
    (project.folder / "other.yaml").write_text(json.dumps(project.read_study() | {"study": "other"}))
    other = project.snakemake("results/other/study.json", "--configfile", "other.yaml")
    assert other.returncode == 0, other.stdout
    # The end of one leaves the other's files locked, and what is known of it.
    assert "Running since" in project.status()
    assert "Nothing runs" in project.status("other")
    refused = project.snakemake(PREDICTIONS)
    assert running.process.poll() is None, "the training was to take longer than the other study"
    assert "Directory cannot be locked" in refused.stdout
    assert running.end() == 0, running.output
    assert_same(project, undisturbed, resumed=0)


# --- disks ---


def error_lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("error: ")]


@pytest.mark.slow
def test_a_full_disk_of_results(project, undisturbed, warm_steps):
    results = project.folder / "results/tiny/bert/tiny/finetuned"
    with small_disk(results, "size=300k"):
        (results / "filling").write_bytes(bytes(150_000))
        failed = project.snakemake(PREDICTIONS, environment=warm_steps)
        assert failed.returncode == 1
        (reported,) = error_lines(failed.stdout)
        assert re.match(rf"error: {ARM}/\S*: No space left on device; free some space and run again", reported)
        assert "Traceback" not in failed.stdout
        assert not (project.folder / ARM / "model.safetensors").exists()
        (results / "filling").unlink()
        remount(results, "size=10m")
        project.run(PREDICTIONS, environment=warm_steps)
        manifest = json.loads((project.folder / ARM / "manifest.json").read_text())
        assert_same(project, undisturbed, resumed=manifest["resumed"])


@pytest.mark.slow
def test_a_full_and_a_read_only_disk_of_scratch(project, go_on):
    scratch = project.folder / ".scratch"
    shutil.rmtree(scratch)
    with small_disk(scratch, "size=100k"):
        failed = project.snakemake(PREDICTIONS)
        (reported,) = error_lines(failed.stdout)
        assert re.match(r"error: \.scratch/\w+: No space left on device; free some space and run again", reported)
        assert "Traceback" not in failed.stdout
        remount(scratch, "size=10m,ro")
        failed = project.snakemake(PREDICTIONS)
        (reported,) = error_lines(failed.stdout)
        assert re.match(r"error: .*\.scratch/\w+\.lock: Read-only file system; make it writable", reported)
        assert "Traceback" not in failed.stdout
        remount(scratch, "size=10m,rw")
        go_on(resumed=0)


@pytest.mark.slow
def test_a_file_in_the_place_of_scratch(project):
    shutil.rmtree(project.folder / ".scratch")
    (project.folder / ".scratch").write_text("in the way")
    failed = project.snakemake(PREDICTIONS)
    assert ".scratch: File exists; a file stands where a folder should be; move it away and run again" in failed.stdout
    assert "Traceback" not in failed.stdout


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["results/tiny/bert/tiny/finetuned", "resources/tasks"])
def test_a_read_only_disk(project, folder):
    shutil.rmtree(project.folder / folder, ignore_errors=True)
    with small_disk(project.folder / folder, "size=1m,ro"):
        failed = project.snakemake(PREDICTIONS)
    assert failed.returncode == 1
    assert re.search(rf"Read-only file system: '{folder}", failed.stdout), failed.stdout
    assert "Traceback" not in failed.stdout


# --- damaged files ---


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def only(project: Project, pattern: str) -> str:
    (path,) = project.folder.glob(pattern)
    return str(path.relative_to(project.folder))


WEIGHTS = "resources/models/*/model.safetensors"
TOKENS = "resources/tokens/*/*/*/train.safetensors"
DAMAGES = {
    "a bit of tokens": (flip, TOKENS),
    "a bit of the baseline": (flip, f"{BASELINE}/model.safetensors"),
    "a bit of downloaded weights": (flip, WEIGHTS),
    "half of tokens": (halve, TOKENS),
    "half of the baseline": (halve, f"{BASELINE}/model.safetensors"),
    "half of the baseline's configuration": (halve, f"{BASELINE}/config.json"),
    "half of the baseline's manifest": (halve, f"{BASELINE}/manifest.json"),
    "a bit of a tokenizer": (flip, "resources/models/*/tokenizer.json"),
    "a bit of a task": (flip, "resources/tasks/*/task.json"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_reported_before_any_training_and_its_remedy_makes_only_it_again(
    project, undisturbed, warm_steps, name
):
    damage, pattern = DAMAGES[name]
    path = only(project, pattern)
    if "models" in pattern:
        shutil.rmtree(project.folder / BASELINE)  # which alone is made from them
    to_do = project.planned("--", PREDICTIONS)
    stat = (project.folder / path).stat()
    damage(project.folder / path)
    # As a disk does it: without a new date, so that Snakemake has no reason to look at the file.
    os.utime(project.folder / path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    failed = project.snakemake(PREDICTIONS, environment=warm_steps)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stdout
    reported = error_lines(failed.stdout)
    assert reported, failed.stdout
    assert reported[0].startswith(f"error: {path}: "), reported
    assert not list((project.folder / ".scratch").glob("*/step-*"))

    command = re.search(r"with: snakemake --cores all (.*) \(and your --configfile\)$", reported[0])
    assert command, reported
    project.run(*shlex.split(command[1]), environment=warm_steps)
    assert project.planned("--", PREDICTIONS) <= to_do
    project.run(PREDICTIONS, environment=warm_steps)
    for file in ("predictions.parquet", "model.safetensors"):
        assert (project.folder / ARM / file).read_bytes() == (undisturbed.folder / ARM / file).read_bytes()


@pytest.mark.slow
def test_a_damaged_checkpoint_is_left_aside(project, undisturbed):
    running = start_training(project)
    running.signal_all(signal.SIGTERM)
    running.end()
    (tensors,) = (project.folder / ".scratch").glob("*/step-*/tensors.safetensors")
    flip(tensors)
    finished = project.run(PREDICTIONS)
    assert "its tensors are damaged" in finished
    assert_same(project, undisturbed, resumed=0)


# --- downloads ---


@pytest.fixture(scope="module")
def hub_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("hub")
    tiny.make_model(folder / "model", "bert")
    tiny.make_task_files(folder / "data", rows_train=64, rows_validation=32)
    return {("model", "someone/bert"): folder / "model", ("dataset", "someone/reviews"): folder / "data"}


@pytest.mark.slow
def test_downloads_that_fail_in_every_way(hub_folders, make_project, tmp_path, monkeypatch):
    faults = [
        Fault(r"^/api/models/someone/bert/revision", status=429, headers={"Retry-After": "1"}),
        Fault(r"^/api/datasets/someone/reviews/revision", status=500),
        Fault(r"^/cdn/.*model\.safetensors", method="GET", cut_after=50_000),
        Fault(r"^/cdn/.*model\.safetensors", method="GET", corrupt=True),
        Fault(r"reviews/.*train\.csv", method="GET", delay=3),
    ]
    with HubServer(hub_folders, faults) as hub:

        def from_the_hub(study):
            study["models"] = [
                {
                    "name": "bert",
                    "source": "hub",
                    "repository": "someone/bert",
                    "revision": hub.revision("model", "someone/bert"),
                    "num_layers": 4,
                }
            ]
            study["tasks"][0] |= {
                "source": "hub",
                "repository": "someone/reviews",
                "revision": hub.revision("dataset", "someone/reviews"),
                "train_file": "train.csv",
                "validation_file": "validation.csv",
            }

        project = make_project(from_the_hub)
        for name, value in hub.environment(tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        listing = project.snakemake("--dry-run", "--quiet", "host", "--", SCORES)
        assert listing.returncode == 0, listing.stdout
        model = re.search(r"resources/models/[^/]+/config\.json", listing.stdout)[0]
        task = re.search(r"resources/tasks/[^/]+/train\.parquet", listing.stdout)[0]

        # A hub that refuses: reported in one line, after Snakemake's attempts, and nothing half is left.
        refusing = Fault(r"/resolve/.*/config\.json", times=ALWAYS, status=403)
        hub.faults.insert(0, refusing)
        failed = project.snakemake(model, task)
        assert failed.returncode == 1
        assert "refused with HTTP status 403; it may need a token in HF_TOKEN" in failed.stdout
        assert "Traceback" not in failed.stdout
        assert not (project.folder / model).exists()
        assert leftovers(project.folder / "resources") == []
        hub.faults.remove(refusing)

        output = project.run(model, task)
    assert "HTTP status 429; next attempt in 1 s" in output + failed.stdout
    assert "HTTP status 500; next attempt in 1 s" in output + failed.stdout
    assert "the download differs from the hub's hash; deleted" in output
    assert all(fault.times == 0 for fault in faults), faults
    weights = (project.folder / model).with_name("model.safetensors")
    assert weights.read_bytes() == (hub_folders["model", "someone/bert"] / "model.safetensors").read_bytes()
    assert (project.folder / task).exists()
    assert leftovers(project.folder) == []
