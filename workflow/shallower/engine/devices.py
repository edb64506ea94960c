"""The device and the precision that torch computes with, and the transfer of batches to it."""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shallower.core.errors import UserError
from shallower.core.machine import processor_name
from shallower.engine.gpu_slots import hold_gpu_slot

logger = logging.getLogger(__name__)

# How cuBLAS must set up its memory, so that torch trusts its sums to be the same every time.
CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# Arrays that are copied to a GPU together start at multiples of so many bytes.
ALIGNMENT = 16


@dataclass(frozen=True)
class Compute:
    """A device ("cpu" or "cuda"), a precision ("fp32" or "bf16") and the number of CPU threads."""

    device: str
    precision: str
    threads: int

    @property
    def processor(self) -> str:
        """The model name of the GPU or CPU; the name of the architecture where the CPU has none."""
        if self.device == "cuda":
            return torch.cuda.get_device_name()
        return processor_name()

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass: bfloat16 where it is safe with "bf16", nothing with "fp32"."""
        if self.precision == "bf16":
            return torch.autocast(self.device, dtype=torch.bfloat16)
        return nullcontext()

    @contextmanager
    def same_every_time(self) -> Iterator[None]:
        """While the block runs, a GPU gives the same bits for the same work; a CPU always does.

        Without it some gradients are summed in whatever order a GPU's threads end. Not for several threads at a time.
        """
        if self.device != "cuda":
            yield
            return
        os.environ.setdefault(*CUBLAS_WORKSPACE)
        before = torch.are_deterministic_algorithms_enabled()
        fills = torch._C._get_deterministic_fill_uninitialized_memory()
        # torch.use_deterministic_algorithms would import torch's compiler, which takes seconds.
        torch._C._set_deterministic_algorithms(True)
        torch._C._set_deterministic_fill_uninitialized_memory(False)  # finds mistakes, and takes time
        try:
            yield
        finally:
            torch._C._set_deterministic_algorithms(before)
            torch._C._set_deterministic_fill_uninitialized_memory(fills)

    def synchronise(self) -> None:
        """Wait until the device has finished its work, as timing requires."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def choose_compute(device: str, precision: str, threads: int) -> Compute:
    """Resolve "auto" for this machine, take a slot on a GPU if one is used, and set torch's number of threads.

    device "auto": a GPU if there is one; precision "auto": bfloat16 on a GPU that has it, else fp32.
    Raises UserError when something is asked for that the machine cannot do.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"compute.device {device!r} is not one of auto, cpu, cuda")
    if precision not in ("auto", "fp32", "bf16"):
        raise UserError(f"compute.precision {precision!r} is not one of auto, fp32, bf16")
    if threads < 1:
        raise UserError(f"compute.threads must be at least 1, not {threads}")
    # Before CUDA is initialised: it reads which GPUs are visible only once.
    hold_gpu_slot(device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "compute.device is cuda, but torch finds no GPU here; use auto or cpu, or install a CUDA build of torch"
        )
    has_bf16 = device == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "auto":
        precision = "bf16" if device == "cuda" and has_bf16 else "fp32"
    if precision == "bf16" and not has_bf16:
        raise UserError("compute.precision is bf16, which this GPU does not have; use precision auto or fp32")
    torch.set_num_threads(threads)
    return Compute(device, precision, threads)


def to_device(array: np.ndarray, device: str) -> torch.Tensor:
    """A numpy array as a tensor on the device, copied without waiting for a GPU's work so far."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor


def all_to_device(arrays: Sequence[np.ndarray], device: str) -> list[torch.Tensor]:
    """What `to_device` makes of each array; a GPU gets all of them in one copy."""
    if device != "cuda":
        return [to_device(array, device) for array in arrays]
    return _copied_together(arrays, device, pin=True)


def _copied_together(arrays: Sequence[np.ndarray], device: str, pin: bool) -> list[torch.Tensor]:
    """Arrays as tensors that are parts of one on the device."""
    starts, size = [], 0
    for array in arrays:
        starts.append(size)
        size += math.ceil(array.nbytes / ALIGNMENT) * ALIGNMENT
    buffer = torch.empty(size, dtype=torch.uint8, pin_memory=pin)
    content = buffer.numpy()
    for start, array in zip(starts, arrays, strict=True):
        content[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    copied = buffer.to(device, non_blocking=True)
    return [
        copied[start : start + array.nbytes].view(torch.from_numpy(array[:0]).dtype).view(array.shape)
        for start, array in zip(starts, arrays, strict=True)
    ]
