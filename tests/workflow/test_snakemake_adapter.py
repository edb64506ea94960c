"""What the workflow uses of Snakemake beyond its documented language is still there and means the same."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake
from snakemake.exceptions import WorkflowError
from snakemake.persistence.file import FilePersistence
from snakemake.settings.types import DAGSettings
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from snakemake_interface_executor_plugins.settings import SharedFSUsage

import snakemake_adapter
from project import ROOT

SNAKEFILE = f"""
import json
import sys

sys.path.insert(0, {str(ROOT / "workflow")!r})

from snakemake_adapter import *

check_version()


def show(values):
    print("SHOWN", json.dumps(values, default=str), flush=True)


show(
    {{
        "used as module": is_module(workflow),
        "files": config_files(workflow),
        "dry run": is_dry_run(workflow),
        "local": runs_locally(workflow),
        "within a job": is_within_job(workflow),
        "cores": cores(workflow),
        "with conda": uses_conda(workflow),
    }}
)


rule all:
    output:
        touch("done"),


onstart:
    limited = workflow.scheduler.job_rate_limiter is not None
    lift_job_rate_limit(workflow)
    show({{"limited": limited, "limiter": workflow.scheduler.job_rate_limiter}})
"""


def shown(folder: Path, *arguments: str) -> dict[str, Any]:
    """What the adapter says in a run of snakemake with these arguments."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "one.yaml").write_text("key: value\n")
    command = [sys.executable, "-m", "snakemake", "--quiet", "all", *arguments]
    finished = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert finished.returncode == 0, finished.stdout
    lines = [line.removeprefix("SHOWN ") for line in finished.stdout.splitlines() if line.startswith("SHOWN ")]
    return {key: value for line in lines for key, value in json.loads(line).items()}


def test_a_run_on_this_machine(tmp_path):
    said = shown(tmp_path, "--cores", "3", "--configfile", "one.yaml")
    assert [Path(file).name for file in said.pop("files")] == ["one.yaml"]
    assert said == {
        "used as module": False,
        "dry run": False,
        "local": True,
        "within a job": False,
        "cores": 3,
        "with conda": False,
        # Snakemake has a limit, and lifting it is what its scheduler understands.
        "limited": True,
        "limiter": None,
    }
    assert (tmp_path / "done").exists()


def test_a_dry_run(tmp_path):
    said = shown(tmp_path, "--cores", "1", "--dry-run")
    assert said == {
        "used as module": False,
        "files": [],
        "dry run": True,
        "local": True,
        "within a job": False,
        "cores": 1,
        "with conda": False,
    }


def test_within_a_job_of_a_cluster(tmp_path):
    """The mode in which executors start the Snakemake of a job."""
    said = shown(tmp_path, "--cores", "1", "--mode", "remote", "done")
    assert said["within a job"]


@pytest.mark.parametrize(("quiet", "is_shown"), [("host", True), ("rules", False)])
def test_details_of_jobs_are_formatted_where_they_are_shown(tmp_path, quiet, is_shown):
    library = str(ROOT / "workflow")
    (tmp_path / "Snakefile").write_text(
        f"""
import sys

sys.path.insert(0, {library!r})

from snakemake_adapter import leave_out_hidden_details

leave_out_hidden_details(workflow)


rule all:
    message:
        "formatted by log_info"
    shell:
        "echo done"


import snakemake.jobs

print("LEFT OUT", snakemake.jobs.Job.log_info.__name__ == "_no_details", file=sys.stderr)
"""
    )
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", quiet]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    printed = finished.stdout + finished.stderr
    assert ("formatted by log_info" in printed) is is_shown
    assert f"LEFT OUT {not is_shown}" in printed


READERS = """
import hashlib
import os
import sys

sys.path.insert(0, {library!r})

from snakemake_adapter import read_inputs_once

if {once}:
    read_inputs_once()

digest_of_file = hashlib.file_digest


def counted_digest(file, algorithm):
    print("READ", os.path.basename(file.name), file=sys.stderr)
    return digest_of_file(file, algorithm)


hashlib.file_digest = counted_digest


rule all:
    input:
        "copy/1",
        "copy/2",
        "copy/3",


rule write:
    output:
        "weights",
    shell:
        "echo first > {{output}}"


rule copy:
    input:
        "weights",
    output:
        "copy/{{number}}",
        "copy/{{number}}.too",
    shell:
        "cat {{input}} > {{output[0]}}; cat {{input}} > {{output[1]}}"
"""


@pytest.mark.parametrize(("once", "reads"), [(True, 1), (False, 6)])
def test_an_input_is_read_once_for_its_checksum(tmp_path, once, reads):
    def run() -> str:
        command = [sys.executable, "-m", "snakemake", "--cores", "1"]
        finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stderr
        return finished.stderr

    (tmp_path / "Snakefile").write_text(READERS.format(library=str(ROOT / "workflow"), once=once))
    # Without the adapter it is read for each of three jobs' two outputs; where that has changed, it isn't needed.
    assert run().count("READ weights") == reads
    if not once:
        return
    # The recorded checksums are those of the content: a touched file changes nothing, other content everything.
    (tmp_path / "weights").touch()
    assert "Nothing to be done" in run()
    (tmp_path / "weights").write_text("second\n")
    run()
    assert [file.read_text() for file in (tmp_path / "copy").iterdir()] == ["second\n"] * 6


@pytest.mark.parametrize("version", ["10.0.0", "11.2"])
def test_a_version_that_is_too_new(version, monkeypatch):
    monkeypatch.setattr(snakemake, "__version__", version)
    with pytest.raises(WorkflowError, match=version.replace(".", r"\.")):
        snakemake_adapter.check_version()


def test_this_version_is_accepted():
    snakemake_adapter.check_version()


def test_a_scheduler_without_the_limit_is_noticed():
    class Workflow:
        scheduler = object()

    with pytest.raises(AttributeError, match="job_rate_limiter"):
        snakemake_adapter.lift_job_rate_limit(Workflow())


FAILING = f"""
import json
import sys

sys.path.insert(0, {str(ROOT / "workflow")!r})

from snakemake_adapter import (
    files_to_make,
    has_failed_jobs,
    note_failures,
    settings_as_arguments,
    unmade_files,
)


rule all:
    input:
        "sound",
        "late",


rule make:
    output:
        temp("sound"),
    shell:
        "touch {{output}}"


rule fail:
    output:
        "early",
    log:
        "fail.log",
    shell:
        "exit 1"


rule wait:
    input:
        "early",
    output:
        "late",
    shell:
        "touch {{output}}"


onstart:
    print("SHOWN", json.dumps(files_to_make(workflow)), flush=True)
    note_failures(workflow, lambda logs, files: print("SHOWN", json.dumps([logs, files]), flush=True))


onerror:
    print("SHOWN", json.dumps([has_failed_jobs(workflow), unmade_files(workflow)]), flush=True)
    print("SHOWN", json.dumps(settings_as_arguments(workflow, rules=["make"])), flush=True)
"""


def test_files_that_failed_jobs_did_not_make(tmp_path):
    (tmp_path / "Snakefile").write_text(FAILING)
    command = [sys.executable, "-m", "snakemake", "--quiet", "all", "--cores", "2", "--keep-going", "all"]
    finished = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert finished.returncode == 1
    lines = [line.removeprefix("SHOWN ") for line in finished.stdout.splitlines() if line.startswith("SHOWN ")]
    to_make, noted, (failed, unmade), arguments = map(json.loads, lines)
    assert to_make == [{"sound": "", "early": "fail.log", "late": ""}, ["sound"]]
    assert noted == [["fail.log"], ["early", "late"]]
    assert failed
    assert unmade == {"early": ["fail", "fail.log"], "late": ["fail", "fail.log"]}
    snakefile = str(tmp_path / "Snakefile")
    assert arguments == ["--snakefile", snakefile, "--cores", "2", "--allowed-rules", "make", "--", "all"]


ASKED_TO_END = f"""
import sys

sys.path.insert(0, {str(ROOT / "workflow")!r})

from snakemake_adapter import has_failed_jobs, was_asked_to_end


rule all:
    input:
        "made",
        "failed",


rule make:
    output:
        "made",
    shell:
        "[ -z $SIGNAL ] || kill -$SIGNAL $PPID; sleep 1; touch {{output}}"


rule fail:
    output:
        "failed",
    shell:
        "exit 1"


onerror:
    print("SHOWN", was_asked_to_end(workflow), has_failed_jobs(workflow), flush=True)
"""


@pytest.mark.parametrize(("name", "is_asked"), [("TERM", True), ("", False)])
def test_a_run_that_was_asked_to_end(tmp_path, name, is_asked):
    (tmp_path / "Snakefile").write_text(ASKED_TO_END)
    command = [sys.executable, "-m", "snakemake", "--quiet", "all", "--cores", "2", "--keep-going"]
    finished = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=os.environ | {"SIGNAL": name}
    )
    assert f"SHOWN {is_asked} True" in finished.stdout
    assert (tmp_path / "made").exists()


def test_a_run_unlocks_what_it_has_locked(tmp_path, monkeypatch):
    for name in ("_delete_locks", "cleanup_locks"):
        monkeypatch.setattr(FilePersistence, name, getattr(FilePersistence, name))
    snakemake_adapter.keep_locks_of_others()
    snakemake_adapter.keep_locks_of_others()  # as another workflow in this process does

    def lock(name: str) -> FilePersistence:
        persistence = FilePersistence(path=tmp_path)
        persistence._write_locks("input", [f"data/{name}"])
        persistence._write_locks("output", [f"results/{name}"])
        return persistence

    one, two = lock("one"), lock("two")
    two.unlock()
    assert {*one._read_locks()} == {("input", "data/one"), ("output", "results/one")}
    three = lock("three")
    one.unlock()
    assert {*one._read_locks()} == {("input", "data/three"), ("output", "results/three")}
    FilePersistence(path=tmp_path).cleanup_locks()
    assert {*three._read_locks()} == set()


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """The Python of these tests, below a folder with a blank and a quote."""
    environment = tmp_path / "the user's environment"
    environment.symlink_to(sys.prefix)
    return environment / "bin" / Path(sys.executable).name


@pytest.mark.parametrize("plugin", ["local", "slurm", "slurm-jobstep"])
def test_the_interpreter_is_quoted_in_commands_of_jobs(plugin, interpreter, monkeypatch):
    executor = ExecutorPluginRegistry().get_plugin(plugin).executor
    for each in ExecutorPluginRegistry().plugins.values():
        if hasattr(each.executor, "get_python_executable"):
            monkeypatch.setattr(each.executor, "get_python_executable", each.executor.get_python_executable)
    shared = SimpleNamespace(storage_settings=SimpleNamespace(shared_fs_usage=SharedFSUsage.all()))
    monkeypatch.setattr(sys, "executable", str(interpreter))

    def path() -> str:
        return executor.get_python_executable(SimpleNamespace(workflow=shared))

    assert path() == str(interpreter), f"{plugin} quotes it now: quote_interpreter can go"
    snakemake_adapter.quote_interpreter()
    assert path() == shlex.quote(str(interpreter))
    snakemake_adapter.quote_interpreter()  # as another workflow in this process does
    assert path() == shlex.quote(str(interpreter))
    monkeypatch.setattr(sys, "executable", "python")
    assert path() == "python"


WITH_A_JOB_OF_ITS_OWN = f"""
import sys

sys.path.insert(0, {str(ROOT / "workflow")!r})

from snakemake_adapter import quote_interpreter

quote_interpreter()


rule all:
    output:
        "interpreter",
    run:
        print(sys.executable, file=open(output[0], "w"))
"""


def test_a_job_with_a_snakemake_of_its_own_finds_the_interpreter(tmp_path, interpreter):
    (tmp_path / "Snakefile").write_text(WITH_A_JOB_OF_ITS_OWN)
    command = [interpreter, "-m", "snakemake", "--cores", "1"]
    finished = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert finished.returncode == 0, finished.stdout
    assert (tmp_path / "interpreter").read_text() == f"{interpreter}\n"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"targets": {"b.csv", "a.csv"}}, ["a.csv", "b.csv"]),
        ({"until": {"tokenize"}}, ["until tokenize"]),
        ({"targets": {"a.csv"}, "omit_from": {"plot"}}, ["a.csv", "without plot"]),
    ],
)
def test_what_a_run_was_asked_for(settings: dict[str, set[str]], words: list[str]) -> None:
    workflow: Any = SimpleNamespace(dag_settings=DAGSettings(**settings))
    assert snakemake_adapter.asked_for(workflow) == words
