"""The origins: what is registered of each, and that the paper's do what it says."""

import pytest

from shallower.core.runs import BASELINE
from shallower.surgery.amounts import AMOUNT_KINDS, COUNT
from shallower.surgery.origins import ORIGINS, Preparation


def test_trainings_before_the_last_drop():
    found = {name: list(origin.preparations(3)) for name, origin in ORIGINS.items()}
    assert found == {
        "pretrained": [],
        "finetuned": [],
        "finetuned-frozen": [Preparation("frozen", freezes=True)],
        "gradual": [Preparation("stage0"), Preparation("stage1", 1), Preparation("stage2", 2)],
        "pretrained-longer": [],
    }


def test_runs_start_from_the_pretrained_model_or_the_baseline_whose_layers_are_scored():
    assert [name for name, origin in ORIGINS.items() if origin.from_baseline] == ["finetuned"]
    assert ORIGINS["finetuned"].scored_model(7) == "finetuned-seed7"
    assert ORIGINS["gradual"].scored_model(7) == "pretrained"


def test_one_origin_trains_for_more_epochs():
    assert {name: origin.times_epochs for name, origin in ORIGINS.items() if origin.times_epochs != 1} == {
        "pretrained-longer": 2
    }


def test_dropping_one_by_one_needs_the_number_of_layers_beforehand():
    assert {name for name, origin in ORIGINS.items() if tuple(origin.amounts) != AMOUNT_KINDS} == {"gradual"}
    assert list(ORIGINS["gradual"].amounts) == [COUNT]


@pytest.mark.parametrize("name", ORIGINS)
def test_each_origin_is_described_and_its_name_is_free(name):
    origin = ORIGINS[name]
    assert origin.name == name
    assert name not in (BASELINE, "scores", "reloaded.csv")  # names in a task's folder
    assert not set("/.") & set(name)
    assert origin.description.endswith(".")
    assert origin.title[0].islower()
    assert len(origin.title) <= 45  # the width of a panel
