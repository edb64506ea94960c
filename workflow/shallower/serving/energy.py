"""Energy that the processor and a GPU have used, where the machine lets it be read.

A processor's counters (RAPL: https://docs.kernel.org/power/powercap/powercap.html) count all that runs on the machine,
in microjoules, and start again from 0 beyond `max_energy_range_uj`; many systems let only root read them.
A GPU's counter (NVML: nvmlDeviceGetTotalEnergyConsumption) is read if the package pynvml is installed.
"""

import importlib
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
# Zones of whole processors, and their parts.
PACKAGE, PART = r"intel-rapl:\d+", r"intel-rapl:\d+:\d+"

# Gives the joules since its last call, the first time since it was made.
Meter = Callable[[], float]


def processor_meter(powercap: Path = POWERCAP) -> Meter | None:
    """A meter of all processors and their memory; None where no counter can be read."""
    zones = [zone for zone in sorted(powercap.glob("intel-rapl:*")) if _counts(zone)]
    try:
        ranges = {zone: _microjoules(zone / "max_energy_range_uj") for zone in zones}
        last = {zone: _microjoules(zone / "energy_uj") for zone in zones}
    except (OSError, ValueError):
        return None

    def joules() -> float:
        total = 0
        for zone, before in last.items():
            now = last[zone] = _microjoules(zone / "energy_uj")
            total += now - before if now >= before else now - before + ranges[zone]
        return total / 1e6

    return joules if zones else None


def gpu_meter(uuid: str) -> Meter | None:
    """A meter of the GPU with this UUID; None without the package pynvml, or for a GPU that does not count."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        last = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError:
        return None

    def joules() -> float:
        nonlocal last
        before, last = last, nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return (last - before) / 1000

    return joules


def _counts(zone: Path) -> bool:
    """Whether a zone is a processor, or memory, which is not in that; cores and graphics are."""
    name = ""
    with suppress(OSError):
        name = (zone / "name").read_text(encoding="utf-8").strip()
    return bool(
        (re.fullmatch(PACKAGE, zone.name) and name.startswith("package"))
        or (re.fullmatch(PART, zone.name) and name == "dram")
    )


def _microjoules(file: Path) -> int:
    return int(file.read_text(encoding="utf-8"))
