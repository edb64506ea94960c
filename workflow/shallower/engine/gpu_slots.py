"""Places on the GPUs of this machine: so many runs share each one, and a run that finds no place waits for one.

A place is a lock on a file, which the operating system releases when its process ends, however it ends. Which GPUs
there are is found out without torch, so that a process can choose its GPU before any of CUDA is loaded.
"""

import fcntl
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
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from shallower.core.errors import UserError

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER_FOLDER = Path("/proc/driver/nvidia/gpus")
# How the workflow tells a step how many may share a GPU, and where the locks are. No option of the steps, since results
# do not depend on it.
RUNS_PER_GPU = "RUNS_PER_GPU"
GPU_LOCKS = "GPU_LOCKS"
POLL_SECONDS = 0.5
LIST_SECONDS = 60


_held = ExitStack()


def hold_gpu_slot(device: str, environment: Mapping[str, str] = os.environ) -> None:
    """Take a place on a GPU until this process ends, as the workflow's environment says; see `gpu_slot`."""
    folder, label = environment.get(GPU_LOCKS, ".scratch"), Path(sys.argv[0]).stem
    _held.enter_context(gpu_slot(folder, int(environment.get(RUNS_PER_GPU, "1")), device, label))


@contextmanager
def gpu_slot(scratch: str | Path, runs_per_gpu: int, device: str, label: str) -> Iterator[str | None]:
    """Hold a place on a GPU while the block runs, and make that GPU the only one that CUDA will see; gives its name.

    Gives None and does nothing where there is no GPU, with device "cpu", and with "auto" where torch cannot use one.
    Must be entered before CUDA is used in this process (importing torch does not use it). Waits, saying so, while all
    places are taken by processes with the same `scratch` on this machine. Where the file system has no locks, that is
    told and nobody waits.
    Raises UserError when `runs_per_gpu` is less than 1.
    """
    if runs_per_gpu < 1:
        raise UserError(f"compute.runs_per_gpu must be at least 1, not {runs_per_gpu}")
    usable = device == "cuda" or (device == "auto" and torch_has_cuda())
    gpus = visible_gpus() if usable else []
    if not gpus:
        yield None
        return
    gpu, lock = _wait_for_place(Path(scratch) / "gpus", gpus, runs_per_gpu, label)
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = gpu
    try:
        with lock:
            yield gpu
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """GPUs that this process may use, each as CUDA_VISIBLE_DEVICES names it: an index, or a GPU's or MIG part's UUID.

    Those that CUDA_VISIBLE_DEVICES lists, where it is set (as SLURM does for its jobs), up to the first that is none,
    as CUDA reads it; else all that the driver tells of.
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
    """Whether an NVIDIA driver is installed here; does not start anything."""
    return DRIVER_FOLDER.is_dir() or shutil.which("nvidia-smi") is not None


def torch_has_cuda() -> bool:
    """Whether the installed torch is a build for GPUs, found out without importing it."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    return any(Path(found.origin).parent.joinpath("lib").glob("*torch_cuda*"))


def parse_gpu_list(text: str) -> list[str]:
    """UUIDs in what `nvidia-smi -L` prints; of a GPU that is split into MIG parts, those of the parts."""
    gpus: list[str] = []
    whole = ""
    for line in text.splitlines():
        if not (match := re.search(r"\(UUID: ((GPU|MIG)-[^)]+)\)", line)):
            continue
        name, kind = match.groups()
        if kind == "GPU":
            whole = name
        elif whole in gpus:
            gpus.remove(whole)
        gpus.append(name)
    return gpus


def _all_gpus() -> list[str]:
    if shutil.which("nvidia-smi"):
        try:
            command = ["nvidia-smi", "-L"]
            listing = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIST_SECONDS)
            return parse_gpu_list(listing.stdout)
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning("nvidia-smi does not list the GPUs (%s)", error)
    return [str(index) for index, _ in enumerate(DRIVER_FOLDER.iterdir())] if DRIVER_FOLDER.is_dir() else []


def _wait_for_place(
    folder: Path, gpus: list[str], runs_per_gpu: int, label: str
) -> tuple[str, IO[str] | nullcontext[None]]:
    """A GPU and the locked file of a place on it, which releases the place when it is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        # The first place of each GPU before the second of any: runs spread out.
        for place in range(runs_per_gpu):
            for gpu in gpus:
                try:
                    if lock := _try_lock(folder / f"{socket.gethostname()}-{gpu.replace('/', '-')}-{place}.lock"):
                        return gpu, lock
                except OSError as error:
                    gpu = gpus[os.getpid() % len(gpus)]
                    logger.warning("%s: no locks in %s (%s); using GPU %s without waiting", label, folder, error, gpu)
                    return gpu, nullcontext()
        if not told:
            number = runs_per_gpu * len(gpus)
            logger.info("%s: all %d places on %d GPUs are taken; waiting for one", label, number, len(gpus))
            told = True
        time.sleep(POLL_SECONDS)


def _try_lock(path: Path) -> IO[str] | None:
    """The file, opened and locked; None while another process holds the lock."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        file.close()
        raise
    return file
