"""layers.json: which layers are kept and dropped, as one type."""

import pytest

from shallower.core.errors import UserError
from shallower.core.files import write_json
from shallower.core.layers import Layers

LAYERS = Layers(6, (5, 1, 3))


def test_what_is_kept_and_dropped_follows_from_the_order():
    assert (LAYERS.kept, LAYERS.dropped) == ([0, 2, 4], [1, 3, 5])


def test_one_layer_at_a_stage_counted_in_the_model_at_hand():
    # Of 0 1 2 3 4 5 layer 5 is dropped; of 0 1 2 3 4 layer 1; of 0 2 3 4 layer 3, which is in place 2.
    assert [LAYERS.kept_at_stage(stage) for stage in (1, 2, 3)] == [[0, 1, 2, 3, 4], [0, 2, 3, 4], [0, 1, 3]]
    with pytest.raises(UserError, match=r"layers\.json has 3 layers, not 4"):
        LAYERS.kept_at_stage(4)


def test_a_file_is_read_as_it_was_written(tmp_path):
    write_json(tmp_path / "layers.json", LAYERS.as_json() | {"family": "bert"})
    assert Layers.read(tmp_path / "layers.json") == LAYERS


@pytest.mark.parametrize(
    "change",
    [
        {"kept_layers": [0, 2]},
        {"dropped_layers": [1, 3]},
        {"order": [5, 1]},
        {"order": [5, 1, 1]},
        {"order": [5, 1, 3, 6]},
        {"order": 3},
        {"num_layers": 7},
        {"num_layers": None},
    ],
)
def test_lists_that_do_not_agree_are_refused(tmp_path, change):
    write_json(tmp_path / "layers.json", LAYERS.as_json() | change)
    with pytest.raises(UserError, match=r"layers\.json: corrupt"):
        Layers.read(tmp_path / "layers.json")


def test_a_model_of_another_depth_is_refused():
    LAYERS.check_depth(3, len(LAYERS.kept), "a/model")
    with pytest.raises(UserError, match="a/model: the model has 4 layers instead of 3"):
        LAYERS.check_depth(4, len(LAYERS.kept), "a/model")
