"""What the workflow needs of Snakemake beyond its documented language, all in one place.

Snakemake has no public interface for these; tests/workflow/test_snakemake_adapter.py fails when one of them changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import snakemake
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version

# Not at run time: it can only be imported after snakemake.api.
if TYPE_CHECKING:
    from snakemake.workflow import Workflow

OLDEST = "9.20"
# The next major version may rename what is used here.
BELOW = 10


def check_version() -> None:
    """Raise WorkflowError for a version of Snakemake that the workflow does not run with."""
    min_version(OLDEST)
    if int(snakemake.__version__.partition(".")[0]) >= BELOW:
        raise WorkflowError(
            f"Snakemake {snakemake.__version__} is too new; install one from {OLDEST} up to, but not including, {BELOW}"
        )


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
