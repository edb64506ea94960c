"""The names that a study may use, each from the registry that knows it."""

from shallower.evaluation.metrics import METRICS
from shallower.models.size import COUNTERPART_CONFIGS
from shallower.sources.file_formats import SUFFIXES
from shallower.sources.glue import GLUE_TASKS
from shallower.steps.table import RESERVED_MODEL_NAMES, RESERVED_TASK_NAMES
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES
from shallower.task_kinds.registry import TASK_KINDS

STRATEGY_NAMES = tuple(sorted(STRATEGIES))
ORIGIN_NAMES = tuple(ORIGINS)
METRIC_NAMES = tuple(METRICS)
TARGETS = tuple(TASK_KINDS)
GLUE_SUBSETS = tuple(GLUE_TASKS)
# Of data files, as their names end.
FORMATS = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)
PAPER_MODELS = tuple(COUNTERPART_CONFIGS)
PAPER_TASKS = tuple(task.paper_name for task in GLUE_TASKS.values() if task.paper_name)

# Folders and files of the pipeline next to those that are named after models, or after tasks; in lower case.
RESERVED_NAMES = {"models": RESERVED_MODEL_NAMES, "tasks": RESERVED_TASK_NAMES}

# Keys that a study used to have, and what they are called now.
RENAMED_KEYS = {"kept_weights": "pruned_dtype"}
