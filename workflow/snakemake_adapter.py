"""What the workflow needs of Snakemake beyond its documented language, all in one place.

Snakemake has no public interface for these; tests/workflow/test_snakemake_adapter.py fails when one of them changes.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import snakemake
from snakemake.exceptions import WorkflowError
from snakemake.io import _IOFile, is_flagged
from snakemake.persistence.file import FilePersistence
from snakemake.settings.enums import Quietness
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

# Not at run time: it can only be imported after snakemake.api.
if TYPE_CHECKING:
    from snakemake.jobs import AbstractJob, Job
    from snakemake.workflow import Workflow

OLDEST = "9.20"
# The next major version may rename what is used here.
BELOW = 10
NO_CAUSE = ("", "")


def check_version() -> None:
    """Raise WorkflowError for a version of Snakemake that the workflow does not run with."""
    min_version(OLDEST)
    if int(snakemake.__version__.partition(".")[0]) >= BELOW:
        raise WorkflowError(
            f"Snakemake {snakemake.__version__} is too new; install one from {OLDEST} up to, but not including, {BELOW}"
        )


def quote_interpreter() -> None:
    """Let the commands of jobs quote the Python that runs Snakemake; call it before the first job is submitted.

    Snakemake and its executor plugins put the interpreter's path into these commands as it is, so that with an
    environment below a folder with a blank every job of a cluster ends with "not found".
    """
    for plugin in ExecutorPluginRegistry().plugins.values():
        executor: Any = plugin.executor
        # Those that only list or touch files start nothing.
        if hasattr(executor, "format_job_exec"):
            executor.get_python_executable = _quoted(executor.get_python_executable)


def _quoted(get_path: Callable[[Any], str]) -> Callable[[Any], str]:
    def quoted_path(executor: Any) -> str:
        path = get_path(executor)
        # What is no file is a program on PATH, or was quoted before.
        return shlex.quote(path) if Path(path).is_file() else path

    return quoted_path


def leave_out_hidden_details(workflow: Workflow) -> None:
    """Don't format the details of each job where they are not shown (--quiet rules): 15 % of a dry run's time."""
    output = workflow.output_settings
    # None where neither the command nor a profile has --quiet.
    if {Quietness.RULES, Quietness.ALL} & {*(output.quiet or ())} and not output.log_handler_settings:
        from snakemake import jobs  # only after snakemake.api

        for kind in (jobs.Job, jobs.GroupJob):
            if not hasattr(kind, "log_info"):
                raise AttributeError(f"Snakemake's {kind.__name__} has no log_info any more")
            kind.log_info = _no_details


def _no_details(*_: Any, **__: Any) -> None:
    pass


def read_inputs_once() -> None:
    """Compute the checksum of an input once while it does not change; call it before the first job.

    Snakemake reads every input again for every output of every job that uses it: for weights, tens of gigabytes in a
    study of some hundred runs, more than the steps themselves read.
    """
    if not hasattr(_IOFile, "checksum"):
        raise AttributeError("Snakemake's _IOFile has no checksum any more")
    compute = _IOFile.checksum
    known: dict[tuple[Any, ...], str | None] = {}

    @wraps(compute)
    async def checksum(file: _IOFile, *arguments: Any, **settings: Any) -> str | None:
        if file.is_storage:
            return await compute(file, *arguments, **settings)
        try:
            # The time of the last change of its inode, which no program can set, finds contents with forged times too.
            state = Path(file.file).stat()
        except OSError:
            return await compute(file, *arguments, **settings)
        key = (state.st_dev, state.st_ino, state.st_size, state.st_ctime_ns, arguments, *sorted(settings.items()))
        if key not in known:
            known[key] = await compute(file, *arguments, **settings)
        return known[key]

    _IOFile.checksum = checksum


def keep_locks_of_others() -> None:
    """When a run ends, unlock what it has locked and nothing else; call it before a run locks its files.

    Snakemake removes the locks of all runs in the folder, so that of two studies that run at once the first to end
    unlocks the other. `snakemake --unlock` still removes all.
    """
    if not (hasattr(FilePersistence, "_delete_locks") and hasattr(FilePersistence, "cleanup_locks")):
        raise AttributeError("Snakemake's FilePersistence has no _delete_locks or cleanup_locks any more")
    # What --unlock calls. Another workflow in this process may have been here before.
    if FilePersistence._delete_locks is not _delete_own_locks:
        FilePersistence.cleanup_locks = FilePersistence._delete_locks
        FilePersistence._delete_locks = _delete_own_locks


def _delete_own_locks(persistence: FilePersistence) -> None:
    for file in persistence._lockfile.values():
        Path(file).unlink(missing_ok=True)
    persistence._lockfile.clear()


def is_module(workflow: Workflow) -> bool:
    """Whether another workflow uses this one as a module, with a configuration of its own."""
    return workflow.modifier.namespace is not None


def config_files(workflow: Workflow) -> list[Path]:
    """Files named by --configfile."""
    return [Path(file) for file in workflow.overwrite_configfiles]


def is_dry_run(workflow: Workflow) -> bool:
    """Whether jobs are only listed (snakemake -n)."""
    return bool(workflow.output_settings.dryrun)


def runs_locally(workflow: Workflow) -> bool:
    """Whether jobs run on this machine and not through a cluster's scheduler."""
    return bool(workflow.local_exec)


def is_within_job(workflow: Workflow) -> bool:
    """Whether this Snakemake was started by another one, to run one of its jobs on a cluster."""
    return not workflow.is_main_process


def cores(workflow: Workflow) -> int | None:
    """Cores that jobs on this machine share (--cores); None where that is not limited."""
    return workflow.resource_settings.cores


def uses_conda(workflow: Workflow) -> bool:
    """Whether steps run in conda environments (--sdm conda)."""
    return DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method


def lift_job_rate_limit(workflow: Workflow) -> None:
    """Let any number of jobs start in a second; call it when the run starts.

    With Snakemake's limit of 100, one more timer starts after every job, and each looks for work every second: seconds
    of computing for each job of a long run. Nothing needs the limit on one machine.
    """
    if not hasattr(workflow.scheduler, "job_rate_limiter"):
        raise AttributeError("Snakemake's scheduler has no job_rate_limiter any more")
    workflow.scheduler.job_rate_limiter = None


def named_targets(workflow: Workflow) -> list[str]:
    """The rules and files that the command line asks for; none where it leaves that to the workflow."""
    return sorted(workflow.dag_settings.targets)


def asked_for(workflow: Workflow) -> list[str]:
    """What a run is limited to, in words: named targets, rules of --until and --omit-from; empty for a whole study."""
    settings = workflow.dag_settings
    limits = [f"until {name}" for name in sorted(settings.until)]
    return named_targets(workflow) + limits + [f"without {name}" for name in sorted(settings.omit_from)]


def leaves_rules_out(workflow: Workflow) -> bool:
    """Whether --until or --omit-from ends this run before its targets."""
    return bool(workflow.dag_settings.until or workflow.dag_settings.omit_from)


def num_jobs(workflow: Workflow) -> int:
    """How many jobs this run has to do, once it has been planned."""
    return sum(1 for _ in workflow.dag.needrun_jobs())


def files_to_make(workflow: Workflow) -> tuple[dict[str, str], list[str]]:
    """The files that this run has to make, once it has been planned, each with the log of its job, or "".

    And those of them that are deleted after their use.
    """
    files = [(file, _log(job)) for job in workflow.dag.needrun_jobs() for file in job.output]
    return {str(file): log for file, log in files}, [str(file) for file, _ in files if is_flagged(file, "temp")]


def note_failures(workflow: Workflow, note: Callable[[list[str], list[str]], None]) -> None:
    """Call `note` whenever a job has failed and is not tried again, with its logs and what it keeps from being made.

    That are its own files, and those of all jobs that depend on it. Call this when the run starts.
    """
    scheduler = workflow.scheduler
    if type(scheduler.failed) is not set:
        raise AttributeError("Snakemake's scheduler has no set of failed jobs any more")
    scheduler.failed = _NotedFailures(workflow, note)


class _NotedFailures(set["AbstractJob"]):
    """The failed jobs of a scheduler, each of which is noted."""

    def __init__(self, workflow: Workflow, note: Callable[[list[str], list[str]], None]) -> None:
        super().__init__()
        self._workflow = workflow
        self._note = note

    def add(self, entry: AbstractJob) -> None:
        super().add(entry)
        jobs = _jobs(entry)
        found, left = set(jobs), list(jobs)
        while left:
            following = self._workflow.dag.depending.get(left.pop(), {}).keys() - found
            found |= following
            left += following
        files = sorted(str(file) for job in found for file in job.output)
        self._note([log for job in jobs if (log := _log(job))], files)


def _jobs(entry: AbstractJob) -> list[Job]:
    """The jobs of an entry of the scheduler: one, or a group."""
    return list(entry.jobs) if entry.is_group() else [entry]


def _log(job: Job) -> str:
    return str(next(iter(job.log), ""))


def was_asked_to_end(workflow: Workflow) -> bool:
    """Whether SIGTERM has asked this run to end after the jobs that are at work."""
    return workflow.scheduler._user_kill is not None


def has_failed_jobs(workflow: Workflow) -> bool:
    """Whether jobs of this run have failed, at its end."""
    return bool(workflow.scheduler.failed)


def unmade_files(workflow: Workflow) -> dict[str, tuple[str, str]]:
    """The files that this run has not made, at its end: by file, the rule and the log of the failed job behind it.

    Both are "" where no job failed: the run ended before.
    """
    dag = workflow.dag
    failed = {job for entry in workflow.scheduler.failed for job in _jobs(entry)}
    causes: dict[Job, tuple[str, str]] = {}
    found = {}
    for job in chain.from_iterable(dag.toposorted(set(dag.needrun_jobs()))):
        # Jobs come after those that they depend on.
        behind = (causes[other] for other in dag.job_dependencies(job) if causes.get(other, NO_CAUSE) != NO_CAUSE)
        causes[job] = (job.rule.name, _log(job)) if job in failed else next(behind, NO_CAUSE)
        found |= dict.fromkeys(map(str, job.output), causes[job])
    return found


def settings_as_arguments(workflow: Workflow, rules: Iterable[str]) -> list[str]:
    """The arguments for a run on this machine with the targets and environments of this one, but of some rules only."""
    return [
        *("--snakefile", workflow.main_snakefile),
        *("--cores", str(cores(workflow) or 1)),
        *(["--sdm", "conda"] if uses_conda(workflow) else []),
        *("--allowed-rules", *rules),
        *("--", *named_targets(workflow)),
    ]
