"""Runs of snakemake that are broken off: started in a group of their own, watched, signalled, compared."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from project import hear_interrupts


class Running:
    """A run of snakemake in a folder, as a terminal starts it: it and all its steps are one process group."""

    def __init__(self, folder: Path, *arguments: str, cores: int = 2) -> None:
        self.folder = folder
        self.log = folder / "snakemake-output.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", "--cores", str(cores), *arguments],
                cwd=folder,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=hear_interrupts,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Wait while the run goes on; the test fails when it ends first."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def signal_all(self, number: int) -> None:
        """What Ctrl-C in a terminal does, and a machine that goes down."""
        os.killpg(self.process.pid, number)

    def trainings(self) -> list[psutil.Process]:
        """The Python processes that train."""
        return [process for process in steps_in(self.folder) if "finetune.py" in " ".join(_command(process))]

    def end(self, seconds: float = 120) -> int:
        """Wait for snakemake; its exit code."""
        return self.process.wait(seconds)


def steps_in(folder: Path) -> list[psutil.Process]:
    """Python processes at work in a project's folder, but for snakemake itself."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or Path(process.cwd()) != folder.resolve():
                continue
            if Path(process.name()).name.startswith("python") and "snakemake" not in process.cmdline():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until_idle(folder: Path, seconds: float = 60) -> None:
    """Wait until no step is at work in a folder."""
    deadline = time.monotonic() + seconds
    while steps := steps_in(folder):
        assert time.monotonic() < deadline, [_command(step) for step in steps]
        time.sleep(0.05)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process], number: int = signal.SIGKILL) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def identities(*folders: Path) -> dict[Path, tuple[int, int]]:
    """Which files are in folders, as only writing them again changes: inode and time of modification."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def leftovers(folder: Path) -> list[str]:
    """What broken runs must not leave behind: half files, checkpoints, Snakemake's locks, its notes of open jobs."""
    scratch = folder / ".scratch"
    found = [*folder.rglob("*.part"), *folder.rglob(".partial"), *folder.rglob("*.incomplete")]
    found += [path for path in scratch.glob("*") if path.is_dir() and path.name not in ("gpus", "checked", "sessions")]
    found += [path for name in ("locks", "incomplete") for path in (folder / ".snakemake" / name).rglob("*")]
    return sorted(str(path.relative_to(folder)) for path in found)


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """A disk of its own for a folder. Skips the test where mounting is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a test of full and read-only disks must be allowed to mount one: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
