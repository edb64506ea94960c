"""All kinds of tasks, by the name that a task's `target` gives them."""

from shallower.core.errors import UserError
from shallower.task_kinds.base import TaskKind
from shallower.task_kinds.classification import Classification
from shallower.task_kinds.embedding import Embedding
from shallower.task_kinds.ranking import Ranking
from shallower.task_kinds.regression import Regression

TASK_KINDS: dict[str, TaskKind] = {kind.name: kind for kind in (Classification(), Regression(), Ranking(), Embedding())}


def task_kind(name: str) -> TaskKind:
    """The kind of a task by its `target`. Raises UserError when there is none of that name."""
    if name not in TASK_KINDS:
        raise UserError(f"unknown kind of task {name!r}; there are {', '.join(TASK_KINDS)}")
    return TASK_KINDS[name]
