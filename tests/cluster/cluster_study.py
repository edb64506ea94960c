"""A tiny study whose jobs go to a SLURM, and a look at those jobs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from one_node_slurm import OneNodeSlurm
from project import Project, hear_interrupts

WAIT_SECONDS = 300


class ClusterStudy:
    """A tiny study, tokens made, whose jobs go to a SLURM. Runs in the background until it is waited for."""

    def __init__(self, project: Project, slurm: OneNodeSlurm) -> None:
        self.project = project
        self.slurm = slurm
        self.log = project.folder / "snakemake.log"
        self.driver: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, interpreter: Path = Path(sys.executable)) -> None:
        """Start the driving snakemake with the project's own SLURM profile, polling often."""
        polling = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10"]
        command = [interpreter, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *polling, *arguments]
        with self.log.open("ab") as log:
            self.driver = subprocess.Popen(
                command,
                cwd=self.project.folder,
                env=os.environ | self.slurm.environment | {"OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=hear_interrupts,
            )

    def finish(self) -> str:
        """Wait for the end of the study, which must be a good one, and return what snakemake printed."""
        assert self.driver is not None
        code = self.driver.wait(timeout=WAIT_SECONDS * 2)
        assert code == 0, self.log.read_text(errors="replace")[-5000:]
        return self.log.read_text(errors="replace")

    def run(self, *arguments: str) -> str:
        """Run the study to its end."""
        self.start(*arguments)
        return self.finish()

    def wait_for(self, what: str, found: Callable[[], object]) -> object:
        """Wait until a function finds something."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (result := found()):
            driver = self.driver
            assert driver is None or driver.poll() is None, (
                f"{what}: snakemake has ended\n{self.log.read_text()[-5000:]}"
            )
            assert time.monotonic() < deadline, f"no {what} within {WAIT_SECONDS} s\n{self.log.read_text()[-5000:]}"
            time.sleep(0.2)
        return result

    def job(self, rule: str) -> str:
        """Number of the running SLURM job of a rule, as soon as there is one."""
        return str(self.wait_for(f"job of {rule}", lambda: self.jobs(rule, "RUNNING")))

    def jobs(self, rule: str = "", state: str = "") -> str:
        """Numbers of this study's SLURM jobs, with spaces between: all of them, or those of a rule, or in a state."""
        rows = self.slurm.output("squeue", "--noheader", "--states=all", "--format=%i|%T|%Z|%k").splitlines()
        jobs = (row.split("|", 3) for row in rows)
        return " ".join(
            sorted(
                (
                    number
                    for number, its_state, folder, comment in jobs
                    if folder == str(self.project.folder) and rule in comment and state in ("", its_state)
                ),
                key=int,
            )
        )

    def states(self, rule: str) -> list[str]:
        """States of all SLURM jobs that a rule had, in their order."""
        return [self.details(number)["JobState"] for number in self.jobs(rule).split()]

    def details(self, number: str) -> dict[str, str]:
        """What SLURM knows about a job."""
        shown = self.slurm.output("scontrol", "--oneliner", "show", "job", number)
        return dict(entry.split("=", 1) for entry in shown.split() if "=" in entry)

    def training_with_checkpoint(self) -> str:
        """Number of the SLURM job of the baseline's training, once that has written a checkpoint."""
        number = self.job("finetune_baseline")
        self.wait_for("checkpoint", lambda: list(self.project.folder.glob(".scratch/*/step-*/state.json")))
        return number

    def process_of(self, script: str) -> int:
        """The process that runs a script of this study."""
        return int(str(self.wait_for(f"process of {script}", lambda: self._process_of(script))))

    def _process_of(self, script: str) -> int | None:
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                command = (process / "cmdline").read_bytes().split(b"\0")
                folder = (process / "cwd").readlink()
            except OSError:
                continue
            is_python = Path(command[0].decode()).name.startswith("python")
            if is_python and folder == self.project.folder and any(part.endswith(script.encode()) for part in command):
                return int(process.name)
        return None


def finished_files(project: Project) -> Mapping[Path, int]:
    """Time of modification of everything under results, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in (project.folder / "results").rglob("*") if path.is_file()}
