"""A model's layers as a choice among them sees these: how many, which ones must stay, and of what kind each is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shallower.core.wording import listed


@dataclass(frozen=True)
class Stack:
    """The layers of a model, 0-based from the bottom.

    Attributes:
        num_layers: how many there are.
        protected: the layers that must stay, each with the reason.
        kinds: the kind of attention of each layer, in the words of transformers' `layer_types`; empty where the
            model's family has one kind only.
        family: of the model, as messages name it.
        is_assumed: whether only the number of layers is known, since the model is not here yet.
    """

    num_layers: int
    protected: Mapping[int, str] = field(default_factory=dict, hash=False)  # a mapping has no hash
    kinds: tuple[str, ...] = ()
    family: str = "this"
    is_assumed: bool = False

    @property
    def staying(self) -> str:
        """The layers that must stay and why, as a part of a sentence."""
        return listed([f"{layer} ({why})" for layer, why in sorted(self.protected.items())])

    @property
    def droppable(self) -> list[int]:
        """The layers that may be dropped, ascending."""
        return [layer for layer in range(self.num_layers) if layer not in self.protected]

    def protecting(self, layers: Collection[int], reason: str = "the study protects it") -> "Stack":
        """The same layers, of which further ones must stay."""
        return replace(self, protected={**dict.fromkeys(layers, reason), **self.protected})

    def problem(self, dropped: Collection[int]) -> str | None:
        """What is wrong with dropping layers; None if all of them may go."""
        staying = [layer for layer in sorted(self.protected) if layer in dropped]
        if not staying:
            return None
        return f"layer {staying[0]} would go, but must stay: {self.protected[staying[0]]}"

    def described(self) -> dict[str, Any]:
        """What layers.json, and a scores file of subsets, says of layers that must stay and of kinds.

        Empty where there is nothing to say.
        """
        protected = {"protected_layers": sorted(self.protected)} if self.protected else {}
        return {**protected, **({"layer_kinds": list(self.kinds)} if self.kinds else {})}

    @classmethod
    def from_description(cls, content: Mapping[str, Any]) -> "Stack":
        """The stack that the content of such a file describes, without the reasons."""
        protected = dict.fromkeys(content.get("protected_layers", []), "every model of its family needs it")
        return cls(content["num_layers"], protected, tuple(content.get("layer_kinds", [])))
