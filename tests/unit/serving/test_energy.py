"""Energy counters: which are read, in which unit, and what happens where they start again from 0."""

import sys
from types import SimpleNamespace

import pytest

from shallower.serving.energy import gpu_meter, processor_meter

RANGE = 262_143_328_850


def zone(powercap, name, kind, energy, limit=RANGE):
    folder = powercap / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in {"name": kind, "energy_uj": energy, "max_energy_range_uj": limit}.items():
        (folder / file).write_text(f"{content}\n")


def test_joules_of_all_processors_and_their_memory(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 0)
    zone(tmp_path, "intel-rapl:0:1", "dram", 500_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 0)
    zone(tmp_path, "intel-rapl:2", "psys", 0)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0)
    meter = processor_meter(tmp_path)
    assert meter() == 0
    zone(tmp_path, "intel-rapl:0", "package-0", 4_000_000)  # 3 J
    zone(tmp_path, "intel-rapl:0:0", "core", 2_000_000)  # part of the package
    zone(tmp_path, "intel-rapl:0:1", "dram", 750_000)  # 0.25 J
    zone(tmp_path, "intel-rapl:1", "package-1", 2_000_000)  # 2 J
    zone(tmp_path, "intel-rapl:2", "psys", 9_000_000)  # the whole machine
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 3_000_000)  # the first package again
    assert meter() == pytest.approx(5.25)
    assert meter() == 0


def test_a_counter_that_starts_again_from_zero(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 9_500_000, limit=10_000_000)
    meter = processor_meter(tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 1_500_000, limit=10_000_000)
    assert meter() == pytest.approx(2.0)
    zone(tmp_path, "intel-rapl:0", "package-0", 2_500_000, limit=10_000_000)
    assert meter() == pytest.approx(1.0)


def test_counters_that_cannot_be_read_are_no_meter(tmp_path):
    assert processor_meter(tmp_path / "missing") is None
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    (tmp_path / "intel-rapl:0" / "energy_uj").mkdir()  # an OSError for root, too, whom no permission stops
    assert processor_meter(tmp_path) is None


def test_joules_of_a_gpu(monkeypatch):
    class NVMLError(Exception):
        pass

    counters = {"GPU-1": iter([5_000, 5_000, 7_500])}  # millijoules

    def handle(uuid):
        if uuid not in counters:
            raise NVMLError
        return counters[uuid]

    fake = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=handle,
        nvmlDeviceGetTotalEnergyConsumption=next,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    meter = gpu_meter("GPU-1")
    assert meter() == 0
    assert meter() == pytest.approx(2.5)
    assert gpu_meter("GPU-2") is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert gpu_meter("GPU-1") is None
