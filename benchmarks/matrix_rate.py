"""The machine's rate of matrix products at sizes like a model's, as JSON: what a training could reach at best."""

import argparse
import json
import time

import torch

SECONDS = 0.4  # for each shape


def shapes(hidden: int, intermediate: int, tokens: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(rows, inner, columns) of the products of an encoder layer, for several numbers of tokens in a batch."""
    return [
        (rows, *matrix)
        for rows in tokens
        for matrix in ((hidden, hidden), (hidden, 3 * hidden), (hidden, intermediate), (intermediate, hidden))
    ]


def matrix_rate(rows: int, inner: int, columns: int, device: str, dtype: torch.dtype) -> float:
    """Floating-point operations per second of torch.matmul: the best of the blocks that fit into SECONDS."""
    left = torch.randn(rows, inner, device=device, dtype=dtype)
    right = torch.randn(inner, columns, device=device, dtype=dtype)
    result = left @ right
    repeats, block = 1, 0.0
    while block < SECONDS / 10:
        repeats *= 2
        block = _time(left, right, result, repeats)
    blocks = [_time(left, right, result, repeats) for _ in range(8)]
    return 2 * rows * inner * columns * repeats / min(blocks)


def _time(left: torch.Tensor, right: torch.Tensor, result: torch.Tensor, repeats: int) -> float:
    _wait(left)
    started = time.perf_counter()
    for _ in range(repeats):
        torch.matmul(left, right, out=result)
    _wait(left)
    return time.perf_counter() - started


def _wait(tensor: torch.Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--intermediate", type=int, required=True)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 2048], help="numbers of tokens in a batch")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    arguments = parser.parse_args()
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[arguments.precision]
    rates = {
        "x".join(map(str, shape)): matrix_rate(*shape, arguments.device, dtype)
        for shape in shapes(arguments.hidden, arguments.intermediate, tuple(arguments.tokens))
    }
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
    print(json.dumps({"device": name, "best": max(rates.values()), "rates": rates}))
