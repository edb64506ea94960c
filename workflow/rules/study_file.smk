# The study's file is checked first: what is wrong with its syntax is reported with the line and a remedy.
#
# That is before Snakemake reads config.yaml, but after it has read the files of --configfile.
#
# Gives: LIBRARY, the folder of the library, which can be imported from here on.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The folder of this file's parent, also where another workflow uses this one as a module.
LIBRARY = Path(str(workflow.current_basedir)).parent.resolve()
sys.path.insert(0, str(LIBRARY))

from shallower.core.errors import UserError
from shallower.study.file import check_study_file
from snakemake_adapter import (
    check_version,
    config_files,
    is_module,
    keep_locks_of_others,
    leave_out_hidden_details,
    quote_interpreter,
    read_inputs_once,
)

check_version()
quote_interpreter()
keep_locks_of_others()
read_inputs_once()
leave_out_hidden_details(workflow)

if {*"{}"} & {*str(LIBRARY)}:
    raise WorkflowError(f"{LIBRARY.parent}: Snakemake takes braces in its own path for variables; rename the folder")

try:
    # A module has no file of its own: its configuration comes from the workflow that uses it.
    for file in [] if is_module(workflow) else config_files(workflow) or ["config.yaml"]:
        check_study_file(os.path.relpath(file))
except UserError as error:
    raise WorkflowError(str(error)) from None
