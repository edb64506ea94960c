"""GPU slots: at most a given number of runs share a GPU of this machine; further ones wait for a slot.

A slot is a lock on a file (see `shallower.core.locks`). GPUs are listed without torch, so that a process can choose its
GPU before CUDA is loaded.
"""

import importlib.util
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import BaseFileLock

from shallower.core import layout
from shallower.core.environment import GPU_LOCKS, RUNS_PER_GPU
from shallower.core.errors import UserError
from shallower.core.locks import POLL_SECONDS, try_lock

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER_FOLDER = Path("/proc/driver/nvidia/gpus")
LIST_SECONDS = 60


_held = ExitStack()


def hold_gpu_slot(device: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Hold a GPU slot until this process ends, with the settings in the environment; returns what `gpu_slot` yields."""
    folder, label = environment.get(GPU_LOCKS, layout.SCRATCH), Path(sys.argv[0]).stem
    return _held.enter_context(gpu_slot(folder, int(environment.get(RUNS_PER_GPU, "1")), device, label))


@contextmanager
def gpu_slot(scratch: str | Path, runs_per_gpu: int, device: str, label: str) -> Iterator[str | None]:
    """Hold a GPU slot while the block runs, and make its GPU the only one that CUDA sees; yields the GPU's name.

    Yields None and does nothing without a GPU, with device "cpu", and with "auto" where torch cannot use a GPU.
    Must be entered before this process uses CUDA (importing torch does not). Waits, and logs that, while processes of
    this machine with the same `scratch` hold all slots. Where files cannot be locked, it warns and does not wait.
    Raises UserError when `runs_per_gpu` is less than 1.
    """
    if runs_per_gpu < 1:
        raise UserError(f"compute.runs_per_gpu must be at least 1, not {runs_per_gpu}")
    usable = device == "cuda" or (device == "auto" and torch_has_cuda())
    gpus = visible_gpus() if usable else []
    if not gpus:
        yield None
        return
    gpu, lock = _wait_for_slot(Path(scratch) / "gpus", gpus, runs_per_gpu, label)
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = gpu
    try:
        yield gpu
    finally:
        if lock is not None:
            lock.release()
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """GPUs that this process may use, named as in CUDA_VISIBLE_DEVICES: indices, or UUIDs of GPUs or MIG parts.

    Those that CUDA_VISIBLE_DEVICES lists where it is set (SLURM sets it for its jobs), up to the first invalid entry,
    as CUDA does; else all that the driver lists.
    """
    if not has_gpu_driver():
        return []
    if (listed := environment.get(VISIBLE)) is None:
        return _all_gpus()
    found: list[str] = []
    for entry in (entry.strip() for entry in listed.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-.+", entry) or entry in found:
            break
        found.append(entry)
    return found


def has_gpu_driver() -> bool:
    """Whether an NVIDIA driver is installed; starts no process."""
    return DRIVER_FOLDER.is_dir() or shutil.which("nvidia-smi") is not None


def torch_has_cuda() -> bool:
    """Whether the installed torch is a CUDA build, without importing it."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    return any(Path(found.origin).parent.joinpath("lib").glob("*torch_cuda*"))


def parse_gpu_list(text: str) -> list[str]:
    """UUIDs in the output of `nvidia-smi -L`; for a GPU that is split into MIG parts, those of the parts."""
    gpus: list[str] = []
    parent = ""
    for line in text.splitlines():
        if not (match := re.search(r"\(UUID: ((GPU|MIG)-[^)]+)\)", line)):
            continue
        name, kind = match.groups()
        if kind == "GPU":
            parent = name
        elif parent in gpus:
            gpus.remove(parent)
        gpus.append(name)
    return gpus


def _all_gpus() -> list[str]:
    if shutil.which("nvidia-smi"):
        try:
            command = ["nvidia-smi", "-L"]
            listing = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIST_SECONDS)
            return parse_gpu_list(listing.stdout)
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning("nvidia-smi cannot list the GPUs (%s)", error)
    return [str(index) for index, _ in enumerate(DRIVER_FOLDER.iterdir())] if DRIVER_FOLDER.is_dir() else []


def _wait_for_slot(folder: Path, gpus: list[str], runs_per_gpu: int, label: str) -> tuple[str, BaseFileLock | None]:
    """A GPU and the lock on one of its slots; no lock where files cannot be locked."""
    folder.mkdir(parents=True, exist_ok=True)
    waiting = False
    # Where SLURM shows a job its own GPUs alone, it counts them from 0 in each job.
    place = "-".join(filter(None, [socket.gethostname(), os.environ.get("SLURM_JOB_ID")]))
    while True:
        # The first slot of each GPU before the second of any, so that runs spread over the GPUs.
        for slot in range(runs_per_gpu):
            for gpu in gpus:
                try:
                    if lock := try_lock(folder / f"{place}-{gpu.replace('/', '-')}-{slot}.lock"):
                        return gpu, lock
                except OSError as error:
                    gpu = gpus[os.getpid() % len(gpus)]
                    logger.warning("%s: no locks in %s (%s); using GPU %s without waiting", label, folder, error, gpu)
                    return gpu, None
        if not waiting:
            count = runs_per_gpu * len(gpus)
            logger.info("%s: all %d slots on %d GPUs are in use; waiting for one", label, count, len(gpus))
            waiting = True
        time.sleep(POLL_SECONDS)
