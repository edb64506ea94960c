"""What kinds of tasks take and refuse is something that a study can say."""

import pytest

from shallower.study import settings
from shallower.study.draft import Draft
from shallower.study.kind_checks import kind_problems, known_kinds
from shallower.study.step_settings import Training
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES
from shallower.task_kinds.registry import OWNERS, TASK_KINDS

TASKS = [settings.GlueTask, settings.FilesTask, settings.HubTask, settings.PackageTask, settings.CollectionTask]
KEYS = {key for task in TASKS for key in task.model_fields} | {*Training.model_fields}
SCORES = {strategy.score.name for strategy in STRATEGIES.values() if strategy.score is not None}
ASKED = {"reproduction", "oracle", "deliver", "augment", *KEYS, *ORIGINS, *STRATEGIES, *SCORES}


def test_keys_of_some_kinds_are_keys_of_tasks():
    assert {*OWNERS} <= KEYS
    assert all(0 < len(kinds) < len(TASK_KINDS) for kinds in OWNERS.values())


@pytest.mark.parametrize("kind", TASK_KINDS.values(), ids=TASK_KINDS)
def test_what_a_kind_refuses_can_be_asked_for(kind):
    assert {*kind.unsupported} <= ASKED
    assert kind.takes.isdisjoint(kind.unsupported)


@pytest.mark.parametrize("target", [[], {}, "translation", 3])
def test_a_task_without_a_source_may_say_anything_else(target):
    """Its other keys are known once it has one; the source is what is asked for."""
    assert known_kinds(Draft({"tasks": [{"name": "first", "target": target}]}, [])) == {}


@pytest.mark.parametrize("task", ["first", "second"])
def test_every_task_of_a_kind_is_looked_at(task):
    """What the kind does not support may be asked for one task alone."""
    tasks = [{"name": name, "source": "files", "target": "embedding"} for name in ("first", "second")]
    strategies = [{"name": "contribution-rank", "amounts": [1], "tasks": [task]}]
    config = {"tasks": tasks, "origins": [{"name": "finetuned"}], "strategies": strategies}
    found = [problem for problem in kind_problems(Draft(config, [])) if "contribution" in problem]
    assert len(found) == 1 and f"(task {task})" in found[0]
