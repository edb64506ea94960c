# The study's file is looked at: what is wrong with it as a file is told with the line and the cure.
#
# That is before Snakemake reads config.yaml, but after it has read files of --configfile.
#
# Gives: LIBRARY, where the library is, which can be imported from here on.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

LIBRARY = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(LIBRARY))

from shallower.core.errors import UserError
from shallower.study.file import check_study_file

if {*"{}"} & {*str(workflow.basedir)}:
    raise WorkflowError(f"{workflow.basedir}: Snakemake takes braces in its own path for variables; rename the folder")

try:
    for file in workflow.overwrite_configfiles or ["config.yaml"]:
        check_study_file(os.path.relpath(file))
except UserError as error:
    raise WorkflowError(str(error)) from None
