"""Weight files in the safetensors format: inspected, merged and copied tensor by tensor, without torch.

Tensors are copied as bytes, whatever their dtype, and no file is loaded into memory at once. (The functions of the
safetensors library need torch for dtypes that numpy lacks, such as bfloat16.)
"""

import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import atomic_write, read_json
from shallower.models.folder import WEIGHTS, WEIGHTS_INDEX

# Weights that can only be read by unpickling, which may run any code; they are never opened.
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")

# Old checkpoints store these; they are computed when a model is loaded.
BUFFERS = ("position_ids", "token_type_ids")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: its bytes are the `size` bytes from `start` or, of one with chosen rows, those of `spans`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    start: int
    size: int
    spans: tuple[tuple[int, int], ...] | None = None  # where the chosen rows start and end in the file

    def with_rows(self, rows: Sequence[range]) -> "StoredTensor":
        """The tensor with only these rows of its first axis, in this order.

        Raises UserError for rows that it does not have.
        """
        if not self.shape or any(not 0 <= part.start < part.stop <= self.shape[0] or part.step != 1 for part in rows):
            raise UserError(f"{self.path}: rows that {self.name!r} does not have, whose shape is {list(self.shape)}")
        width = self.size // self.shape[0]
        spans = tuple((self.start + part.start * width, self.start + part.stop * width) for part in rows)
        count = sum(map(len, rows))
        return replace(self, shape=(count, *self.shape[1:]), size=count * width, spans=spans)


def header(path: str | Path) -> dict[str, dict[str, Any]]:
    """Dtype and shape of each tensor of a safetensors file, as {name: {"dtype": "F32", "shape": [2, 3]}}.

    Raises UserError when the file is missing, truncated or of another format.
    """
    return {tensor.name: {"dtype": tensor.dtype, "shape": list(tensor.shape)} for tensor in stored_tensors(Path(path))}


def stored_tensors(path: Path) -> list[StoredTensor]:
    """The tensors of a safetensors file that the safetensors library accepts.

    Raises UserError as `header` does.
    """
    content, data_start = _read_header(path)
    content.pop("__metadata__", None)
    return [
        StoredTensor(name, entry["dtype"], tuple(entry["shape"]), path, data_start + start, end - start)
        for name, entry in content.items()
        for start, end in [entry["data_offsets"]]
    ]


def weight_files(directory: str | Path) -> list[Path]:
    """Files with the weights of a checkpoint: model.safetensors, or the shards that its index lists.

    Raises UserError when there are none or only pickled ones, when a shard is missing, and when a tensor is not in the
    shard that the index names.
    """
    directory = Path(directory)
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if (directory / WEIGHTS_INDEX).is_file():
        return _shards(directory)
    if pickles := sorted({path.name for pattern in PICKLES for path in directory.glob(pattern)}):
        raise UserError(
            f"{directory}: the weights are there only as pickles ({', '.join(pickles)}), which are never "
            "read, as they can run any code; if you trust them, load the model yourself with transformers "
            f"and save it with save_pretrained, which writes {WEIGHTS}"
        )
    raise UserError(f"{directory}: no {WEIGHTS} or {WEIGHTS_INDEX}; name a folder that save_pretrained wrote")


def merge_shards(directory: str | Path) -> Path:
    """Merge the weights of a checkpoint's folder into model.safetensors and return its path; the shards stay.

    Does nothing when there is such a file already. Raises UserError as `weight_files` does.
    """
    target = Path(directory) / WEIGHTS
    files = weight_files(directory)
    if files != [target]:
        copy_tensors(files, target)
    return target


def copy_tensors(
    sources: Iterable[Path],
    target: str | Path,
    rename: Callable[[str], str | None] = lambda name: name,
    rows: Mapping[str, Sequence[range]] | None = None,
) -> None:
    """Write tensors of some safetensors files to one file, atomically, under the names that `rename` gives.

    Tensors for which `rename` gives None are left out. Of a tensor that `rows` names, by its name in its source, only
    those rows are written. The bytes of all that is written and the metadata of the files stay the same. Raises
    UserError when two tensors would have one name.
    """
    chosen: dict[str, StoredTensor] = {}
    metadata = {"format": "pt"}  # required by transformers
    for source in sources:
        for tensor in stored_tensors(source):
            name = rename(tensor.name)
            if name is None:
                continue
            if name in chosen:
                raise UserError(f"{source}: two tensors would be named {name!r}; the checkpoint is invalid")
            chosen[name] = tensor.with_rows(rows[tensor.name]) if rows and tensor.name in rows else tensor
        metadata = _metadata(source) | metadata
    _write(Path(target), chosen, metadata)


def weight_map(index: str | Path) -> dict[str, str]:
    """The file of each tensor, from the index of sharded weights.

    Raises UserError when the index has none, and when a file is not a safetensors file in the folder of the index.
    """
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise UserError(f"{index}: no 'weight_map' from tensors to files; download the checkpoint again")
    for name in places.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise UserError(
                f"{index}: names {name!r}, which is not a safetensors file in its folder; "
                "use another copy of the checkpoint"
            )
    return places


def _shards(directory: Path) -> list[Path]:
    places = weight_map(directory / WEIGHTS_INDEX)
    names = sorted(set(places.values()))
    if missing := [name for name in names if not (directory / name).is_file()]:
        raise UserError(f"{directory}: {len(missing)} of {len(names)} weight files are missing: {', '.join(missing)}")
    found = {(tensor.name, name) for name in names for tensor in stored_tensors(directory / name)}
    if lost := sorted(set(places.items()) - found):
        tensor, name = lost[0]
        raise UserError(
            f"{directory / name}: lacks the tensor {tensor!r}, which {WEIGHTS_INDEX} says is there"
            + (f", and {len(lost) - 1} more" if len(lost) > 1 else "")
            + "; download the checkpoint again"
        )
    return [directory / name for name in names]


def _metadata(path: Path) -> dict[str, str]:
    return _read_header(path)[0].get("__metadata__") or {}


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a file, and the offset of the first tensor's bytes.

    The format: 8 bytes with the length of the header, the header as JSON, the bytes of the tensors.
    Source: https://github.com/huggingface/safetensors#format
    """
    try:
        with safe_open(path, framework="np"):
            pass
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except SafetensorError as error:
        raise corrupt_file_error(path, f"not a valid safetensors file ({error})") from None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)), 8 + length


def _write(target: Path, tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, atomically.

    Wide types come first and the header is padded to a multiple of 8 bytes, so that every tensor is aligned for its
    type.
    """
    names = sorted(tensors, key=lambda name: (-_bits(tensors[name]), name))
    description = {"__metadata__": metadata, **_places(names, tensors)}
    text = json.dumps(description, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with ExitStack() as stack, atomic_write(target) as part, part.open("wb") as file:
        views = {path: stack.enter_context(_mapped(path)) for path in {tensor.path for tensor in tensors.values()}}
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor in (tensors[name] for name in names):
            for start, end in tensor.spans or [(tensor.start, tensor.start + tensor.size)]:
                with memoryview(views[tensor.path]) as view, view[start:end] as content:
                    file.write(content)


def _places(names: Iterable[str], tensors: Mapping[str, StoredTensor]) -> dict[str, dict[str, Any]]:
    """The header's entries, by name, for tensors that follow each other in the order of `names`."""
    places = {}
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.size
        places[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end]}
    return places


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        yield view


def _bits(tensor: StoredTensor) -> int:
    """Bits of one element, from the name of the dtype: F32, BF16, F8_E4M3; BOOL has 8."""
    digits = re.search(r"\d+", tensor.dtype)
    return int(digits[0]) if digits else 8
