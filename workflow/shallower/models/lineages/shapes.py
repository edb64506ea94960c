"""Names and shapes of the tensors of which the layers of several lineages are made."""


def linear(name: str, outputs: int, inputs: int) -> dict[str, list[int]]:
    return {f"{name}.weight": [outputs, inputs], f"{name}.bias": [outputs]}


def norm(name: str, size: int) -> dict[str, list[int]]:
    return {f"{name}.weight": [size], f"{name}.bias": [size]}
