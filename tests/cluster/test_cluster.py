"""The SLURM profile on a real SLURM: a study runs to its end, whatever happens to its jobs, with the same results.

Nothing that is finished runs again, and trainings go on from their checkpoints. Not part of `make test`: `make
test-cluster` runs it, in half an hour.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster_study import ClusterStudy, finished_files
from one_node_slurm import NODE, OneNodeSlurm
from project import Project, assert_same_results

pytestmark = pytest.mark.cluster

BASELINE = Path("results/tiny/bert/tiny/baseline/seed1")
REFINED = Path("results/tiny/bert/tiny/finetuned/top-1/seed1")
TRAINING = "finetune_baseline"

MakeStudy = Callable[[OneNodeSlurm], ClusterStudy]


def manifest(study: ClusterStudy, run: Path) -> dict[str, Any]:
    return json.loads((study.project.folder / run / "manifest.json").read_text())


def assert_resumed(study: ClusterStudy, undisturbed: Project) -> None:
    """The training went on from its checkpoint, and everything is as in a run without faults."""
    assert manifest(study, BASELINE)["resumed"] >= 1
    assert_same_results(study.project, undisturbed)


def test_a_study_with_gpus_to_its_end(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    study = make_study(slurm)
    study.start("--set-resources", f"{TRAINING}:gpu=1", "refine:gpu=1", "predict:gpu=1")
    details = study.details(study.job(TRAINING))
    training = study.process_of("finetune.py")
    variables = Path(f"/proc/{training}/environ").read_bytes().split(b"\0")
    printed = study.finish()

    assert "gres:gpu=1" in details["TresPerJob"].replace("gres:gpu:1", "gres:gpu=1")
    assert b"CUDA_VISIBLE_DEVICES=0" in variables
    assert (details["Partition"], details["Requeue"]) == ("main", "1")
    assert int(details["MinMemoryNode"].removesuffix("M")) > 600
    assert details["TimeLimit"].startswith("00:1")
    assert "Traceback" not in printed
    assert_same_results(study.project, undisturbed)
    # One job each for the training, the refining with the dropping before it, two predictions with their scores, and
    # the loading of the models; the rest runs where snakemake does.
    assert len(study.jobs().split()) == 5
    assert not study.project.planned("--workflow-profile", "profiles/slurm")
    assert not study.project.planned()


def test_an_environment_below_a_folder_with_a_blank(slurm: OneNodeSlurm, make_study: MakeStudy, tmp_path: Path) -> None:
    """Neither the plugin nor the Snakemake within a job quotes the interpreter in its commands."""
    environment = tmp_path / "an environment"
    environment.symlink_to(sys.prefix)
    study = make_study(slurm)
    settings = study.project.read_study()
    study.project.write_study(settings | {"train": settings["train"] | {"epochs": 2}})
    study.start(interpreter=environment / "bin" / Path(sys.executable).name)
    variables = Path(f"/proc/{study.process_of('finetune.py')}/environ").read_bytes()
    study.finish()
    assert f"PATH={environment}/bin:".encode() in variables
    assert {study.details(number)["JobState"] for number in study.jobs().split()} == {"COMPLETED"}


def test_over_the_time_limit(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    study = make_study(slurm)
    study.start()
    number = study.training_with_checkpoint()
    # However fast the machine is: it goes on only to be told that its time is over.
    training = study.process_of("finetune.py")
    os.kill(training, signal.SIGSTOP)
    # As if it had asked for less: SLURM ends what is over its limit, in whole minutes, when it looks the next time.
    slurm.output("scontrol", "update", f"jobid={number}", "timelimit=0:01")
    study.wait_for("end of its time", lambda: number not in study.jobs(TRAINING, "RUNNING").split())
    os.kill(training, signal.SIGCONT)
    study.finish()
    assert study.states(TRAINING) == ["TIMEOUT", "COMPLETED"]
    assert_resumed(study, undisturbed)


def test_out_of_memory(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    study = make_study(slurm)
    study.run("--set-resources", f"{TRAINING}:mem_mb=300 if attempt == 1 else 1500")
    assert study.states(TRAINING) == ["FAILED", "COMPLETED"]
    first, second = (study.details(number) for number in study.jobs(TRAINING).split())
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("300M", "1500M")
    assert_same_results(study.project, undisturbed)


def test_more_memory_and_time_at_each_attempt(slurm: OneNodeSlurm, make_study: MakeStudy) -> None:
    study = make_study(slurm)
    study.start()
    slurm.output("scancel", study.job(TRAINING))
    study.wait_for("second attempt", lambda: len(study.states(TRAINING)) > 1)
    first, second = (study.details(number) for number in study.jobs(TRAINING).split())
    megabytes = [int(job["MinMemoryNode"].removesuffix("M")) for job in (first, second)]
    assert megabytes[1] == 2 * megabytes[0]
    assert (first["TimeLimit"], second["TimeLimit"]) == ("00:12:00", "00:24:00")


def test_a_training_is_cancelled(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    study = make_study(slurm)
    study.start()
    slurm.output("scancel", study.training_with_checkpoint())
    study.finish()
    assert study.states(TRAINING) == ["CANCELLED", "COMPLETED"]
    assert_resumed(study, undisturbed)


def test_a_training_is_killed(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    study = make_study(slurm)
    study.start()
    study.training_with_checkpoint()
    os.kill(study.process_of("finetune.py"), signal.SIGKILL)
    study.finish()
    assert study.states(TRAINING) == ["FAILED", "COMPLETED"]
    assert_resumed(study, undisturbed)


def test_a_training_goes_back_into_the_queue(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    """As SLURM does to a job that is preempted, or whose node failed."""
    study = make_study(slurm)
    study.start()
    number = study.training_with_checkpoint()
    slurm.output("scontrol", "requeue", number)
    study.finish()
    assert study.jobs(TRAINING) == number
    assert study.details(number)["Restarts"] == "1"
    assert_resumed(study, undisturbed)


def test_the_node_is_drained_and_resumed(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    study = make_study(slurm)
    study.start()
    study.job(TRAINING)
    slurm.output("scontrol", "update", f"nodename={NODE}", "state=drain", "reason=test")
    # What runs goes on to its end; what comes after it waits for the node.
    study.wait_for("waiting job", lambda: study.jobs("refine", "PENDING"))
    slurm.output("scontrol", "update", f"nodename={NODE}", "state=resume")
    study.finish()
    assert study.states(TRAINING) == ["COMPLETED"]
    assert_same_results(study.project, undisturbed)


def test_the_node_fails(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    study = make_study(slurm)
    study.start()
    number = study.training_with_checkpoint()
    slurm.kill_node()
    study.wait_for("requeued job", lambda: study.details(number)["JobState"] == "PENDING")
    slurm.start_node()
    study.finish()
    assert int(study.details(number)["Restarts"]) >= 1
    assert_resumed(study, undisturbed)


def test_snakemake_is_killed_and_started_again(
    slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project
) -> None:
    """The job that it had submitted goes on unseen; the new one for the same training takes over its result."""
    study = make_study(slurm)
    study.start()
    number = study.training_with_checkpoint()
    assert study.driver is not None
    study.driver.kill()
    study.driver.wait()
    study.project.run("--unlock")
    study.run()
    assert study.states(TRAINING) == ["COMPLETED", "COMPLETED"]
    assert study.details(number)["JobState"] == "COMPLETED"
    assert_same_results(study.project, undisturbed)


def test_snakemake_is_interrupted_and_started_again(
    slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project
) -> None:
    study = make_study(slurm)
    study.start()
    number = study.training_with_checkpoint()
    assert study.driver is not None
    os.killpg(study.driver.pid, signal.SIGINT)
    assert study.driver.wait(timeout=120) != 0
    assert study.details(number)["JobState"] == "CANCELLED"
    study.run()
    assert_resumed(study, undisturbed)


def test_what_is_finished_does_not_run_again(slurm: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    """The refining fails at every attempt; the baseline, its predictions and scores stay as they are."""
    study = make_study(slurm)
    # Less than the Snakemake within the job needs: SLURM looks every two seconds, and a step may be shorter.
    study.start("--set-resources", "refine:mem_mb=100", "drop_layers:mem_mb=100")
    assert study.driver is not None
    assert study.driver.wait(timeout=600) != 0
    assert study.states("refine") == ["FAILED"] * 3
    before = finished_files(study.project)
    assert study.project.folder / BASELINE / "metrics.json" in before
    study.run()
    after = finished_files(study.project)
    assert {path: after[path] for path in before} == before
    assert_same_results(study.project, undisturbed)


def test_with_accounting(slurm_with_accounting: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project) -> None:
    study = make_study(slurm_with_accounting)
    study.start("--slurm-status-command", "sacct", "--default-resources", "slurm_account=test", "mem_mb=1500")
    study.training_with_checkpoint()
    os.kill(study.process_of("finetune.py"), signal.SIGKILL)
    study.finish()
    accounts = slurm_with_accounting.output("sacct", "--noheader", "--allocations", "--parsable2", "--format=account")
    assert set(accounts.split()) == {"test"}
    assert study.states(TRAINING) == ["FAILED", "COMPLETED"]
    assert_resumed(study, undisturbed)


def test_cancelled_with_accounting(
    slurm_with_accounting: OneNodeSlurm, make_study: MakeStudy, undisturbed: Project
) -> None:
    """The profile asks squeue, because the plugin never understands sacct's answer for a cancelled job."""
    study = make_study(slurm_with_accounting)
    study.start()
    slurm_with_accounting.output("scancel", study.training_with_checkpoint())
    study.finish()
    assert study.states(TRAINING) == ["CANCELLED", "COMPLETED"]
    assert_resumed(study, undisturbed)
