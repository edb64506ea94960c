"""Time, energy and emissions of a study's trainings.

Energy is always estimated, from time and a stated power. Counters such as those of `shallower.serving.energy` count all
that runs on a machine, several trainings at a time among it, so that they do not say what one of them used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shallower.core.files import canonical_json
from shallower.core.wording import listed

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Power:
    """What estimates are made from; what cools a data centre, and memory, are left out.

    Attributes:
        watts_per_core: of a CPU core at work. 12 W is the default of Green Algorithms for any processor
            (https://doi.org/10.1002/advs.202100707).
        watts_per_gpu: of a GPU at work; 200 W is the default for any in the same place.
        grams_per_kwh: CO2 equivalents emitted for electricity. 475 g is the world's average that CodeCarbon takes
            (https://mlco2.github.io/codecarbon/methodology.html).
    """

    watts_per_core: float = 12.0
    watts_per_gpu: float = 200.0
    grams_per_kwh: float = 475.0


DEFAULT_POWER = Power()


def footprint(
    manifests: Iterable[Mapping[str, Any]], power: Power = DEFAULT_POWER, runs_per_gpu: int = 1
) -> dict[str, Any]:
    """The record of all trainings, from the manifest.json of each: ready for JSON.

    Each of the `distinct_trainings` is counted once. A training on the CPU keeps its threads' cores busy, one on a GPU
    one core and its share of a GPU that `runs_per_gpu` use at a time. Keys: `trainings`, `hours`, `core_hours`,
    `gpu_hours`, `kwh`, `grams_co2e`, `estimated` (true: energy was not measured) and `power`.
    """
    trainings = distinct_trainings(manifests)
    core_seconds = gpu_seconds = 0.0
    for manifest in trainings:
        on_gpu = manifest["device"] == "cuda"
        core_seconds += manifest["train_seconds"] * (1 if on_gpu else manifest["threads"])
        gpu_seconds += manifest["train_seconds"] / runs_per_gpu if on_gpu else 0.0
    joules = core_seconds * power.watts_per_core + gpu_seconds * power.watts_per_gpu
    kwh = joules / JOULES_PER_KWH
    return {
        "trainings": len(trainings),
        "hours": round(sum(manifest["train_seconds"] for manifest in trainings) / 3600, 4),
        "core_hours": round(core_seconds / 3600, 4),
        "gpu_hours": round(gpu_seconds / 3600, 4),
        "kwh": round(kwh, 6),
        "grams_co2e": round(kwh * power.grams_per_kwh, 3),
        "estimated": True,
        "power": asdict(power),
    }


def distinct_trainings(manifests: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One manifest of each training: those of its copies say the same, but for `trained_as`, which names its folder.

    A training counts also where only copies of it are left, or it was done for another study.
    """
    trainings = ({name: value for name, value in manifest.items() if name != "trained_as"} for manifest in manifests)
    return list({canonical_json(training): training for training in trainings}.values())


def footprint_text(found: Mapping[str, Any]) -> str:
    """A record in one sentence, which says what it was estimated from."""
    power = found["power"]
    assumed = [f"{power['watts_per_core']:g} W for each core"] if found["core_hours"] else []
    assumed += [f"{power['watts_per_gpu']:g} W for each GPU"] if found["gpu_hours"] else []
    assumed.append(f"{power['grams_per_kwh']:g} g of CO2e for each kWh")
    return (
        f"Training took about {_rounded(found['kwh'])} kWh and emitted about "
        f"{_rounded(found['grams_co2e'])} g of CO2e, estimated from {listed(assumed)}"
    )


def _rounded(value: float) -> str:
    """Two digits, without an exponent."""
    return f"{float(f'{value:.2g}'):,.12g}"
