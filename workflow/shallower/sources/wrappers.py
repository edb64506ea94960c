"""Names of tensors as training tools and old versions store them, and as the model has them.

Prefixes that tools put before all names are taken off; what is stored, but no weight, is left out.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from shallower.core.errors import UserError
from shallower.models.family import Family
from shallower.models.weight_files import copy_tensors, header

logger = logging.getLogger(__name__)

# The tools by their prefixes. None but Lightning's is the beginning of a name in a family that is supported.
WRAPPERS = {
    "module.": "torch's DataParallel",
    "_orig_mod.": "torch.compile",
    "model.": "Lightning",
    "0.auto_model.": "sentence-transformers",
    "auto_model.": "sentence-transformers",
}

Entry = TypeVar("Entry")


def wrapper_of(names: Collection[str], family: Family) -> str:
    """The prefixes of tools, one after another, that all names of a checkpoint's tensors have; "" when there are none.

    Where a tool's prefix is the family's own, too (Llama's tensors begin with model.), it is a tool's only if one of
    the family's follows. Raises UserError when only some of them have one.
    """
    prefix = ""
    while True:
        for wrapper, tool in WRAPPERS.items():
            wrapped = [name for name in names if name.startswith(prefix + wrapper)]
            is_own = wrapper == f"{family.tensor_prefix}."
            if not wrapped or (is_own and not any(name.startswith(prefix + 2 * wrapper) for name in names)):
                continue
            if len(wrapped) < len(names):
                other = next(name for name in names if not name.startswith(prefix + wrapper))
                raise UserError(
                    f"{len(wrapped)} of {len(names)} tensors begin with {prefix + wrapper!r}, as {tool} names them, "
                    f"others do not, such as {other!r}; save the model alone, with its own save_pretrained"
                )
            prefix += wrapper
            break
        else:
            return prefix


def without_wrapper(tensors: Mapping[str, Entry], family: Family) -> dict[str, Entry]:
    """Tensors by their names without what `wrapper_of` finds; those that are no weights are left out."""
    rename = _renaming(wrapper_of(tensors, family), family)
    return {new: entry for name, entry in tensors.items() if (new := rename(name)) is not None}


def strip_wrapper(weights: Path, family: Family) -> None:
    """Rename the tensors of a file of weights so; the file stays as it is where nothing changes."""
    names = list(header(weights))
    prefix = wrapper_of(names, family)
    rename = _renaming(prefix, family)
    if prefix:
        logger.info("all tensors have the prefix %s, which is taken off", prefix)
    if left_out := [name for name in names if rename(name) is None]:
        logger.info("%d tensors are no weights and are left out, such as %s", len(left_out), left_out[0])
    if prefix or left_out:
        copy_tensors([weights], weights, rename)


def _renaming(prefix: str, family: Family) -> Callable[[str], str | None]:
    """From a stored name to the model's own; None for what is no weight."""

    def rename(name: str) -> str | None:
        own = name.removeprefix(prefix)
        return None if family.within_layer(own) in family.buffers else own

    return rename
