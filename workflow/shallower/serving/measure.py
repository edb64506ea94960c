"""What serving a model costs in each of its forms: time, memory, bytes and energy, compared with the full torch model.

Each variant is served by a process of its own (`shallower.serving.server`). In every round all of them answer the same
texts, one after the other in random order, while the others wait. A change of the machine's speed thus affects all
alike, and ratios are paired by round. Times include tokenizing and leave softmax out.
"""

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.machine import machine_description
from shallower.core.progress import Progress
from shallower.serving.energy import Meter, gpu_meter, processor_meter
from shallower.serving.processes import ServingProcess
from shallower.serving.served_models import ServedModel, server_settings, size_bytes

logger = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "onnxruntime", "tokenizers", "numpy")
# A text, or a pair of them.
Text = str | Sequence[str]
Item = TypeVar("Item")
# Of the order of variants and of the texts of each round.
SEED = 0
WARM_UP_ROUNDS = 1
LEAST_ROUNDS = 3


class Server(Protocol):
    """What answers texts; see `shallower.serving.processes.ServingProcess`."""

    def answer(self, batches: Sequence[Sequence[Any]], threads: int) -> dict[str, Any]:
        """Seconds of each batch, the number of texts answered in all, and peaks of memory."""


@dataclass(frozen=True)
class Turn:
    """What a variant did in one round.

    Attributes:
        seconds: time of each batch.
        answered: number of texts, those of the warm-up included.
        joules: energy used meanwhile, by what used it; for what can be read.
        report: what the process reported about itself.
    """

    seconds: Sequence[float]
    answered: int
    joules: Mapping[str, float]
    report: Mapping[str, Any]


def measure_serving(
    variants: Sequence[ServedModel],
    texts: Sequence[Text],
    batch_sizes: Sequence[int],
    threads: Sequence[int],
    repeats: int,
    texts_measured: int,
    starts: int = 3,
) -> dict[str, Any]:
    """Measure all variants: a record, ready for JSON, with `machine`, `variants` and `rows`.

    The first variant is the full torch model. Variants on a GPU are measured with the most threads only, and compared
    with the first of them. A round has about `texts_measured` of `texts`, drawn at random, in whole batches. Each
    variant is started `starts` times, with the first of `threads`. All variants are in memory at the same time.

    An entry of `variants` has a variant's `bytes` on disk, `start_seconds` (from the first line of the process to a
    first answer) and `load_seconds` (the same without importing packages), each with median and quartiles, and
    `peak_memory_bytes`. A row is for a variant, a number of threads and a batch size: see `row_of`.

    Raises UserError when a variant cannot be served, or too little is asked for to be measured.
    """
    _check_request(texts, batch_sizes, threads, repeats, texts_measured, starts)
    order = random.Random(SEED)
    groups = list(_groups(variants, threads))
    settings = {
        variant.name: server_settings(variant, numbers[0], texts[0]) for numbers, group in groups for variant in group
    }
    progress = Progress(logger)
    reports: dict[str, list[Mapping[str, Any]]] = {variant.name: [] for variant in variants}
    rows: list[dict[str, Any]] = []

    def start(variant: ServedModel) -> ServingProcess:
        progress.log("starting %s", variant.name)
        process = ServingProcess(variant.name, settings[variant.name], max(threads))
        reports[variant.name].append(process.started)
        return process

    # First, as the first start of all reads packages and weights from the disk.
    for _ in range(starts - 1):
        for variant in _shuffled(variants, order):
            start(variant).close()
    for numbers, group in groups:
        with ExitStack() as stack:
            servers = {variant.name: stack.enter_context(start(variant)) for variant in _shuffled(group, order)}
            meters = {name: _meters(server.started) for name, server in servers.items()}
            for number, batch_size in product(numbers, sorted(set(batch_sizes))):
                turns = run_rounds(servers, texts, batch_size, repeats, texts_measured, order, meters, number)
                full = turns[group[0].name]
                for variant in group:
                    row = row_of(turns[variant.name], full, batch_size)
                    rows.append({**_axes(variant), "threads": number, "batch_size": batch_size, **row})
    gpu = next((report["gpu"] for of_variant in reports.values() for report in of_variant if "gpu" in report), None)
    return {
        "machine": machine_description(PACKAGES, gpu),
        "rounds": repeats,
        "texts": len(texts),
        "variants": [_summary(variant, reports[variant.name], rows) for variant in variants],
        "rows": rows,
    }


def _check_request(
    texts: Sequence[Text],
    batch_sizes: Sequence[int],
    threads: Sequence[int],
    repeats: int,
    texts_measured: int,
    starts: int,
) -> None:
    for name, values in (("batch sizes", batch_sizes), ("threads", threads)):
        if not values or min(values) < 1:
            raise UserError(f"{name}: {list(values)} should be one or more numbers from 1 on")
    if repeats < LEAST_ROUNDS or texts_measured < 1 or starts < 1:
        raise UserError(
            f"serving is measured in at least {LEAST_ROUNDS} rounds of one text after one start, not in {repeats} "
            f"rounds of {texts_measured} texts after {starts} starts"
        )
    if not texts:
        raise UserError("there are no texts to measure serving with; give the task's validation split")


def _summary(
    variant: ServedModel, reports: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What a variant costs whatever it is asked, from the reports of its starts and from its rows."""
    return {
        **_axes(variant),
        "bytes": size_bytes(variant),
        "max_length": variant.max_length,
        "starts": len(reports),
        **{key: _quartiles([report[key] for report in reports], 4) for key in ("start_seconds", "load_seconds")},
        "peak_memory_bytes": max(row["peak_memory_bytes"] for row in rows if row["variant"] == variant.name),
    }


def run_rounds(
    servers: Mapping[str, Server],
    texts: Sequence[Text],
    batch_size: int,
    repeats: int,
    texts_measured: int,
    order: random.Random,
    meters: Mapping[str, Mapping[str, Meter]],
    threads: int = 1,
) -> dict[str, list[Turn]]:
    """The turns of each server, one a round, after a round that does not count.

    In a round all servers answer the same batches with so many threads, each in its turn, in random order. `meters` are
    the energy meters of each server.
    """
    draw = np.random.default_rng(SEED)
    progress = Progress(logger)
    turns: dict[str, list[Turn]] = {name: [] for name in servers}
    for round_number in range(-WARM_UP_ROUNDS, repeats):
        batches = draw_batches(texts, batch_size, texts_measured, draw)
        for name in _shuffled(list(servers), order):
            for meter in meters[name].values():
                meter()
            report = servers[name].answer(batches, threads)
            joules = {what: meter() for what, meter in meters[name].items()}
            if round_number >= 0:
                turns[name].append(Turn(report["seconds"], report["answered"], joules, report))
            progress.log(
                "threads %d, batch size %d: round %d of %d", threads, batch_size, max(1, round_number + 1), repeats
            )
    return turns


def draw_batches(
    texts: Sequence[Text], batch_size: int, texts_measured: int, draw: np.random.Generator
) -> list[list[Text]]:
    """Whole batches of about so many texts in random order; none comes twice before all have come."""
    count = max(1, round(texts_measured / batch_size))
    shuffles = -(-count * batch_size // len(texts))
    chosen = np.concatenate([draw.permutation(len(texts)) for _ in range(shuffles)])[: count * batch_size]
    return [[texts[index] for index in batch] for batch in chosen.reshape(count, batch_size)]


def row_of(turns: Sequence[Turn], full: Sequence[Turn], batch_size: int) -> dict[str, Any]:
    """What a variant's turns show, next to those of the full model on the same texts.

    `latency_ms` is the time of a batch: median and quartiles over all batches of all rounds. `texts_per_second` has
    those over rounds. `speedups` says how many times as fast as the full model the variant is in each round.
    `peak_memory_bytes` is the most resident memory of the process until then. Joules are for 1,000 texts, those of the
    warm-up's smaller batches among them, of the whole machine's processors; None where they cannot be read.
    `idle_cpu_share` is how many cores the process kept busy while others had their turn, which should be none.
    """
    seconds = np.array([sum(turn.seconds) for turn in turns])
    theirs = np.array([sum(turn.seconds) for turn in full])
    num_texts = [batch_size * len(turn.seconds) for turn in turns]
    last = turns[-1].report
    return {
        "latency_ms": _quartiles([1000 * each for turn in turns for each in turn.seconds], 4),
        "texts_per_second": _quartiles(num_texts / seconds, 2),
        "speedups": (theirs / seconds).round(4).tolist(),
        "peak_memory_bytes": last["peak_memory_bytes"],
        "peak_gpu_bytes": last.get("peak_gpu_bytes"),
        "idle_cpu_share": round(_idle(turns, "cpu") / max(_idle(turns, "wall"), 1e-9), 4),
        **{f"{what}_joules_per_1000_texts": _joules(turns, what) for what in ("processor", "gpu")},
    }


def _joules(turns: Sequence[Turn], what: str) -> float | None:
    if not all(what in turn.joules for turn in turns):
        return None
    return round(1000 * sum(turn.joules[what] for turn in turns) / sum(turn.answered for turn in turns), 4)


def _idle(turns: Sequence[Turn], clock: str) -> float:
    return sum(turn.report[f"idle_{clock}_seconds"] for turn in turns)


def _quartiles(values: Sequence[float] | NDArray[np.float64], decimals: int) -> dict[str, float]:
    low, median, high = np.percentile(values, [25, 50, 75])
    return {
        "median": round(float(median), decimals),
        "low": round(float(low), decimals),
        "high": round(float(high), decimals),
    }


def _groups(variants: Sequence[ServedModel], threads: Sequence[int]) -> Iterator[tuple[list[int], list[ServedModel]]]:
    """Numbers of threads, and the variants that are measured and compared with each of these."""
    on_cpu = [variant for variant in variants if variant.device == "cpu"]
    on_gpu = [variant for variant in variants if variant.device != "cpu"]
    if on_cpu:
        yield [*dict.fromkeys(threads)], on_cpu
    if on_gpu:
        yield [max(threads)], on_gpu


def _meters(started: Mapping[str, Any]) -> dict[str, Meter]:
    """The energy meters of what a process uses."""
    found = {"processor": processor_meter()}
    if "gpu_uuid" in started:
        found["gpu"] = gpu_meter(started["gpu_uuid"])
    return {what: meter for what, meter in found.items() if meter}


def _axes(variant: ServedModel) -> dict[str, Any]:
    return {
        "variant": variant.name,
        "runtime": variant.runtime,
        "device": variant.device,
        # An exported model has its own, which the runtime names.
        "precision": variant.precision if variant.runtime == "torch" else None,
    }


def _shuffled(items: Sequence[Item], order: random.Random) -> list[Item]:
    return order.sample(list(items), len(items))
