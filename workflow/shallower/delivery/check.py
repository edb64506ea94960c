"""Check delivered folders: that their files are as they were made, and that every form answers as it did then."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.variants import TORCH
from shallower.core.wording import counted, listed
from shallower.delivery.description import RUNTIMES
from shallower.delivery.parity import answer, difference, precision, read_parity
from shallower.models.checksums import verified
from shallower.models.folder import MANIFEST


@dataclass(frozen=True)
class Finding:
    """One line on a form, or on the files of a folder; `problem` is what is wrong, "" if nothing."""

    subject: str
    text: str
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem or self.text}"


def delivered_folders(root: str | Path) -> list[Path]:
    """The delivered folders of a study, in {model}/{task}/ below `root`, sorted.

    Raises UserError when there are none.
    """
    found = sorted(path.parent for path in Path(root).glob(f"*/*/{MANIFEST}"))
    if not found:
        raise UserError(f"{root}: no delivered model in it; run the study with 'deliver' first")
    return found


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a delivered folder. Raises UserError when the folder is not one."""
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or not {"forms", "sha256", "recommended", "versions"} <= set(manifest):
        raise UserError(f"{folder / MANIFEST}: not the manifest of a delivered model; deliver it again")
    if unknown := [runtime for runtime in manifest["forms"] if runtime not in RUNTIMES]:
        raise UserError(f"{folder / MANIFEST}: unknown form {unknown[0]!r}; check it with the version that made it")
    return manifest


def check_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a delivered folder by its name, as recorded.

    Raises UserError, naming the file, when one is missing, changed or unknown.
    """
    recorded = read_manifest(folder)["sha256"]
    found = verified(folder, recorded)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if unknown := sorted(present - set(recorded) - {MANIFEST}):
        raise UserError(f"{folder / unknown[0]}: not a file of the delivered model; remove it, or deliver again")
    for runtime in read_manifest(folder)["forms"]:
        if RUNTIMES[runtime].model not in recorded:
            raise UserError(f"{folder / MANIFEST}: the form {runtime} has no {RUNTIMES[runtime].model}; deliver again")
    return found


def check_folder(folder: str | Path, pythons: Mapping[str, Path] | None = None) -> Iterator[Finding]:
    """What is found of the files and of each form, one after another.

    `pythons` has, by runtime, the interpreter to answer with; this one where there is none. A form whose packages are
    not installed here is not checked, which its line says. Where files are wrong, nothing else is looked at: what they
    hold is not to be trusted.
    """
    folder = Path(folder)
    name = "/".join(folder.resolve().parts[-2:])
    try:
        files = check_files(folder)
        manifest = read_manifest(folder)
        if manifest["recommended"] is None:
            yield Finding(name, f"nothing is delivered: {manifest['reason']}")
            return
        record = read_parity(folder)
    except UserError as error:
        yield Finding(f"{name}, files", "", str(error))
        return
    yield Finding(f"{name}, files", f"{counted(len(files), 'file')} with the recorded SHA-256")
    for runtime in manifest["forms"]:
        subject = f"{name}, {runtime}"
        python = (pythons or {}).get(runtime)
        if python is None and (absent := missing_packages(runtime)):
            yield Finding(subject, f"not checked, as {listed(absent)} is not installed here")
            continue
        try:
            yield Finding(subject, _checked(folder, runtime, record, python or Path(sys.executable)))
        except UserError as error:
            yield Finding(subject, "", str(error))


def missing_packages(runtime: str) -> list[str]:
    """Packages of a form that this interpreter does not have."""
    return [package for package in RUNTIMES[runtime].packages if not _is_installed(package)]


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _checked(folder: Path, runtime: str, record: Mapping[str, Any], python: Path) -> str:
    """What was checked of a form, in a line. Raises UserError where it does not answer as stored."""
    file, key = RUNTIMES[runtime].model, precision(runtime)
    try:
        stored, tolerance = record["logits"][key], float(record["tolerances"][key])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{file}: no logits of this form are stored; deliver it again") from None
    found = answer(folder, runtime, record, python)
    off = difference(found.logits, stored)
    if not off <= tolerance:
        raise UserError(
            f"{file}: logits are up to {off:.2g} off the stored ones ({tolerance:g} allowed); this machine or "
            "its packages compute otherwise than those that made it, or the folder is broken"
        )
    packages = listed([f"{package} {number}" for package, number in found.versions.items()])
    alone = "" if runtime == TORCH else ", torch and transformers not importable"
    return (
        f"{file} answers {counted(len(record['texts']), 'text')} as stored (off by {off:.1g}, {tolerance:g} allowed) "
        f"with {packages}{alone}"
    )


def fresh_environment(folder: Path, versions: Mapping[str, str | None], runtime: str) -> Path:
    """Make a virtual environment with nothing but the packages of a form, and return its interpreter.

    Packages are those of the package index that pip is configured for, in the given versions where they are known.
    Raises UserError when they cannot be installed.
    """
    wanted = [
        f"{package}=={number.partition('+')[0]}" if (number := versions.get(package)) else package
        for package in RUNTIMES[runtime].packages
    ]
    python = folder / "bin" / "python"
    commands = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
            raise UserError(
                f"no environment with {listed(wanted)}: {lines[-1].strip()}; check the connection to the package "
                "index, or leave out --fresh-environments"
            )
    return python
