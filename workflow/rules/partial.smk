# When jobs have failed: tables, figures and the report of everything else, made by a run of the workflow within this one.
#
# Needs: study, UNMADE_FILE.
# Gives: IS_PARTIAL, whether this is such a run, and show_what_there_is().
import subprocess

from shallower.core.files import fingerprint
from shallower.core.signals import was_interrupted
from shallower.core.wording import counted
from shallower.planning.missing import Cause, missing_rows, write_unmade
from shallower.steps.table import RULES_OF_TABLES
from snakemake_adapter import (
    has_failed_jobs,
    is_module,
    leaves_rules_out,
    settings_as_arguments,
    unmade_files,
    was_asked_to_end,
)

IS_PARTIAL = UNMADE_FILE is not None


def show_what_there_is():
    """Show the results that there are. What failed stays failed, and so does the exit status."""
    if IS_PARTIAL or is_module(workflow) or leaves_rules_out(workflow):
        return
    if was_interrupted() or was_asked_to_end(workflow) or not has_failed_jobs(workflow):
        return
    unmade = {file: Cause(rule, log) for file, (rule, log) in unmade_files(workflow).items()}
    missing, absent = missing_runs(study.runs, unmade), missing_rows(study.runs, unmade)
    # What failed is a table itself, or there is nothing to show.
    if not absent or all(run in missing for run in study.runs if not run.is_baseline):
        return
    print(f"\n{counted(len(absent), 'result')} missing. Making tables, figures and report of the others.")
    file = f"{layout.SCRATCH}/unmade-{fingerprint({file: str(cause) for file, cause in unmade.items()})}.json"
    write_unmade(file, unmade)
    config_file = written_settings("study", config)
    subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--configfile", config_file, "--nolock"),
            *settings_as_arguments(workflow, rules=["all", *RULES_OF_TABLES]),
        ],
        env=os.environ | {environment.UNMADE: file},
        check=False,  # it says itself what went wrong, and this run has failed anyway
    )
