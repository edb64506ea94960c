"""The machine that something was measured on, for records; without torch."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shallower.core.provenance import versions


def processor_name() -> str:
    """The model name of the CPU; the name of the architecture where it has none."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, platform.machine())


def usable_cores() -> int:
    """CPU cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def machine_description(packages: Iterable[str], gpu: str | None = None) -> dict[str, Any]:
    """Processor, cores, system and the versions of packages; `gpu` is the name of the GPU that was used, if any."""
    return {
        "processor": processor_name(),
        "cores": usable_cores(),
        "gpu": gpu,
        "system": platform.platform(),
        "versions": versions(packages),
    }
