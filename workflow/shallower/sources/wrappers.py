"""Prefixes that training tools put before all names of a model's tensors; taken off, where all tensors have them."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from shallower.core.errors import UserError
from shallower.models.weight_files import copy_tensors, header

logger = logging.getLogger(__name__)

# The tools by their prefixes. None is the beginning of a name in a family that is supported.
WRAPPERS = {
    "module.": "torch's DataParallel",
    "_orig_mod.": "torch.compile",
    "model.": "Lightning",
    "0.auto_model.": "sentence-transformers",
    "auto_model.": "sentence-transformers",
}

Entry = TypeVar("Entry")


def wrapper_of(names: Collection[str]) -> str:
    """The prefixes of tools, one after another, that all names of a checkpoint's tensors have; "" when there are none.

    Raises UserError when only some of them have one.
    """
    prefix = ""
    while True:
        for wrapper, tool in WRAPPERS.items():
            wrapped = [name for name in names if name.startswith(prefix + wrapper)]
            if not wrapped:
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


def without_wrapper(tensors: Mapping[str, Entry]) -> dict[str, Entry]:
    """Tensors by their names without what `wrapper_of` finds."""
    prefix = wrapper_of(tensors)
    return {name.removeprefix(prefix): entry for name, entry in tensors.items()}


def strip_wrapper(weights: Path) -> None:
    """Rename the tensors of a file of weights so; the file stays as it is where they have no prefix."""
    if prefix := wrapper_of(header(weights)):
        logger.info("all tensors have the prefix %s, which is taken off", prefix)
        copy_tensors([weights], weights, lambda name: name.removeprefix(prefix))
