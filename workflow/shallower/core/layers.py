"""Which layers of a model are kept and which are dropped: the content of layers.json."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import read_json


@dataclass(frozen=True)
class Layers:
    """The layers of a model that are dropped; indices are 0-based from the bottom.

    Attributes:
        num_layers: the number of layers of the full model.
        order: the dropped layers, in the order in which they are dropped when that is done one by one.
    """

    num_layers: int
    order: tuple[int, ...]

    @property
    def kept(self) -> list[int]:
        """The layers that remain, ascending."""
        return [layer for layer in range(self.num_layers) if layer not in self.order]

    @property
    def dropped(self) -> list[int]:
        """The layers that are dropped, ascending."""
        return sorted(self.order)

    def kept_at_stage(self, stage: int) -> list[int]:
        """What remains when only the layer number `stage` of the order, counted from 1, is dropped.

        Layers are counted as in the model at hand, from which those before it in the order are dropped already. Raises
        UserError when the order is shorter.
        """
        if stage > len(self.order):
            raise UserError(
                f"'order' of layers.json has {len(self.order)} layers, not {stage}; choose the layers again"
            )
        present = Layers(self.num_layers, self.order[: stage - 1]).kept
        return [place for place, layer in enumerate(present) if layer != self.order[stage - 1]]

    def check_depth(self, found: int, expected: int, model: str | Path) -> None:
        """Raise UserError unless a model, named for the message, has the number of layers that it should have."""
        if found != expected:
            raise UserError(
                f"{model}: the model has {found} layers instead of {expected}; its layers.json is for a full model of "
                f"{self.num_layers} layers and keeps {len(self.kept)}: delete layers.json and run again"
            )

    def as_json(self) -> dict[str, Any]:
        """What layers.json says of the layers, with both lists for people."""
        return {
            "num_layers": self.num_layers,
            "order": list(self.order),
            "kept_layers": self.kept,
            "dropped_layers": self.dropped,
        }

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a layers.json. Raises UserError when its lists do not agree."""
        content = read_json(path)
        try:
            layers = cls(content["num_layers"], tuple(content["order"]))
            agrees = (
                layers.kept == content["kept_layers"]
                and layers.dropped == content["dropped_layers"]
                and _are_layers(layers.order, layers.num_layers)
            )
        except (KeyError, TypeError):
            agrees = False
        if not agrees:
            raise corrupt_file_error(path, "corrupt: it does not say of every layer whether it is kept or dropped")
        return layers


def _are_layers(order: Sequence[int], num_layers: int) -> bool:
    return len(set(order)) == len(order) and set(order) <= set(range(num_layers))
