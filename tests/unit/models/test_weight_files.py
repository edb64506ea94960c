"""Weight files are read and copied without a change to any byte of a tensor."""

import json

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file

from shallower.core.errors import UserError
from shallower.models.folder import WEIGHTS_INDEX
from shallower.models.weight_files import copy_tensors, header, merge_shards, weight_files


def some_tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "b.weight": torch.randn(3, 5, generator=generator),
        "a.bias": torch.randn(7, generator=generator),
        "scale": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "naïve": torch.randn(2, generator=generator),
    }


def mixed_tensors() -> dict[str, torch.Tensor]:
    return some_tensors() | {
        "brain": torch.arange(5, dtype=torch.bfloat16),
        "half": torch.arange(3, dtype=torch.float16),
        "eight": torch.arange(3).to(torch.float8_e4m3fn),
        "position_ids": torch.arange(9).reshape(1, 9),
        "mask": torch.tensor([True, False, True]),
    }


def sharded(directory, tensors, count=3):
    """A checkpoint of several files, as transformers writes it."""
    directory.mkdir(parents=True, exist_ok=True)
    places = {}
    for shard in range(count):
        name = f"model-{shard + 1:05}-of-{count:05}.safetensors"
        part = dict(list(tensors.items())[shard::count])
        save_file(part, directory / name, metadata={"format": "pt"})
        places |= dict.fromkeys(part, name)
    (directory / WEIGHTS_INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return directory


def assert_same_tensors(path, expected):
    found = load_file(path)
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        as_bytes = [t.contiguous().reshape(-1).view(torch.uint8).numpy() for t in (found[name], tensor)]
        assert numpy.array_equal(*as_bytes), name


def test_header_gives_types_and_shapes(tmp_path):
    save_file(mixed_tensors(), tmp_path / "x.safetensors")

    found = header(tmp_path / "x.safetensors")

    assert len(found) == 10
    assert found["b.weight"] == {"dtype": "F32", "shape": [3, 5]}
    assert found["brain"] == {"dtype": "BF16", "shape": [5]}
    assert found["scale"] == {"dtype": "F32", "shape": []}


def test_copies_are_the_same_file_as_the_library_writes(tmp_path):
    save_file(some_tensors(), tmp_path / "x.safetensors", metadata={"format": "pt"})

    copy_tensors([tmp_path / "x.safetensors"], tmp_path / "y.safetensors")

    assert (tmp_path / "y.safetensors").read_bytes() == (tmp_path / "x.safetensors").read_bytes()


def test_copies_keep_every_type_and_align_it(tmp_path):
    save_file(mixed_tensors(), tmp_path / "x.safetensors", metadata={"format": "pt", "made": "for a test"})

    copy_tensors([tmp_path / "x.safetensors"], tmp_path / "y.safetensors")

    assert_same_tensors(tmp_path / "y.safetensors", mixed_tensors())
    content = (tmp_path / "y.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    description = json.loads(content[8 : 8 + length])
    assert description.pop("__metadata__") == {"format": "pt", "made": "for a test"}
    for name, tensor in mixed_tensors().items():
        start = 8 + length + description[name]["data_offsets"][0]
        assert start % tensor.element_size() == 0, name


def test_tensors_are_left_out_and_renamed(tmp_path):
    save_file(some_tensors(), tmp_path / "x.safetensors")

    names = {"b.weight": "new.weight", "scale": "scale"}
    copy_tensors([tmp_path / "x.safetensors"], tmp_path / "y.safetensors", names.get)

    tensors = some_tensors()
    assert_same_tensors(tmp_path / "y.safetensors", {"new.weight": tensors["b.weight"], "scale": tensors["scale"]})


def test_two_tensors_of_one_name_are_refused(tmp_path):
    save_file(some_tensors(), tmp_path / "x.safetensors")

    with pytest.raises(UserError, match="two tensors would be named 'same'"):
        copy_tensors([tmp_path / "x.safetensors"], tmp_path / "y.safetensors", lambda name: "same")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.safetensors"]


def test_merged_shards_are_the_same_as_a_single_file(tmp_path):
    save_file(some_tensors(), tmp_path / "single.safetensors", metadata={"format": "pt"})

    merged = merge_shards(sharded(tmp_path / "parts", some_tensors()))

    assert merged == tmp_path / "parts/model.safetensors"
    assert merged.read_bytes() == (tmp_path / "single.safetensors").read_bytes()
    assert len(list((tmp_path / "parts").glob("model-*"))) == 3, "shards stay"


def test_a_single_file_needs_no_merging(tmp_path):
    save_file(some_tensors(), tmp_path / "model.safetensors")
    before = (tmp_path / "model.safetensors").stat().st_mtime_ns

    assert merge_shards(tmp_path) == tmp_path / "model.safetensors"
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == before


def test_a_missing_shard_is_named(tmp_path):
    directory = sharded(tmp_path, some_tensors())
    (directory / "model-00002-of-00003.safetensors").unlink()

    with pytest.raises(UserError, match=r"1 of 3 weight files are missing: model-00002-of-00003"):
        weight_files(directory)


def test_a_tensor_missing_from_its_shard_is_named(tmp_path):
    directory = sharded(tmp_path, some_tensors())
    shard = directory / "model-00001-of-00003.safetensors"
    tensors = load_file(shard)
    tensors.pop("b.weight")
    save_file(tensors, shard)

    with pytest.raises(UserError, match=r"model-00001-of-00003\.safetensors: lacks the tensor 'b.weight'"):
        merge_shards(directory)
    assert not (directory / "model.safetensors").exists()


@pytest.mark.parametrize("index", ["[]", "{}", '{"weight_map": {}}', "not JSON"])
def test_unusable_indexes_are_refused(tmp_path, index):
    (tmp_path / WEIGHTS_INDEX).write_text(index)

    with pytest.raises(UserError, match=WEIGHTS_INDEX):
        weight_files(tmp_path)


def test_an_index_cannot_point_outside_its_folder(tmp_path):
    save_file(some_tensors(), tmp_path / "secret.safetensors")
    (tmp_path / "model").mkdir()
    places = dict.fromkeys(some_tensors(), "../secret.safetensors")
    (tmp_path / "model" / WEIGHTS_INDEX).write_text(json.dumps({"weight_map": places}))

    with pytest.raises(UserError, match="not a safetensors file in its folder"):
        weight_files(tmp_path / "model")


def test_pickled_weights_are_refused_by_name(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"would run code")

    with pytest.raises(UserError, match=r"only as pickles \(pytorch_model.bin\).*save_pretrained"):
        weight_files(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no model\.safetensors"):
        weight_files(tmp_path)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(some_tensors(), path)
    intact = path.read_bytes()
    for size in (0, 4, 8, 40, len(intact) // 2, len(intact) - 1):
        path.write_bytes(intact[:size])
        with pytest.raises(UserError, match=r"x\.safetensors: not a valid safetensors file"):
            header(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.safetensors: file not found"):
        header(tmp_path / "absent.safetensors")


def test_chosen_rows_are_copied_as_they_are_and_all_else_whole(tmp_path):
    save_file(mixed_tensors(), tmp_path / "x.safetensors", metadata={"format": "pt"})

    rows = {"b.weight": [range(1), range(2, 3)], "brain": [range(1, 4)]}
    copy_tensors([tmp_path / "x.safetensors"], tmp_path / "y.safetensors", rows=rows)

    expected = mixed_tensors()
    expected |= {"b.weight": expected["b.weight"][[0, 2]], "brain": expected["brain"][1:4]}
    assert_same_tensors(tmp_path / "y.safetensors", expected)


@pytest.mark.parametrize(("name", "rows"), [("b.weight", range(2, 4)), ("scale", range(1)), ("a.bias", range(3, 3))])
def test_rows_that_a_tensor_does_not_have_are_refused(name, rows, tmp_path):
    save_file(some_tensors(), tmp_path / "x.safetensors", metadata={"format": "pt"})

    with pytest.raises(UserError, match=f"rows that '{name}' does not have"):
        copy_tensors([tmp_path / "x.safetensors"], tmp_path / "y.safetensors", rows={name: [rows]})
