"""All kinds of tasks, by the name that a task's `target` gives them."""

from collections.abc import Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.task_kinds.base import TaskKind
from shallower.task_kinds.classification import Classification
from shallower.task_kinds.embedding import Embedding
from shallower.task_kinds.multi_label import MultiLabel
from shallower.task_kinds.ranking import Ranking
from shallower.task_kinds.regression import Regression
from shallower.task_kinds.retrieval import Retrieval
from shallower.task_kinds.tokens import Tokens

TASK_KINDS: dict[str, TaskKind] = {
    kind.name: kind
    for kind in (Classification(), Regression(), Ranking(), MultiLabel(), Tokens(), Embedding(), Retrieval())
}

# The kinds that take a key that others do not take.
OWNERS = {
    key: [kind.name for kind in TASK_KINDS.values() if key in kind.takes]
    for key in sorted({key for kind in TASK_KINDS.values() for key in kind.takes})
}


def task_kind(name: str, settings: Mapping[str, Any] | None = None) -> TaskKind:
    """The kind of a task by its `target`, and by settings of scoring where they are known.

    Raises UserError when there is none of that name.
    """
    if name not in TASK_KINDS:
        raise UserError(f"unknown kind of task {name!r}; there are {', '.join(TASK_KINDS)}")
    return TASK_KINDS[name].with_settings(settings or {})
