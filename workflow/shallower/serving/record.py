"""serving.json: what the candidates of one model and task cost in every variant."""

from collections.abc import Mapping
from typing import Any

from shallower.serving.served_models import ServedModel, on_gpu

MEGABYTE = 1e6


def variant_record(identity: Mapping[str, Any], model: ServedModel, record: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a model in serving.json, called by `identity`, from what `measure_serving` returned.

    Its `times` are those on the CPU and, where it was measured there, those on a GPU.
    """
    [measured] = [entry for entry in record["variants"] if entry["variant"] == model.name]
    names = [model.name, *(variant.name for variant in on_gpu([model]))]
    return {
        **identity,
        "bytes": measured["bytes"],
        "starts": measured["starts"],
        "start_seconds": measured["start_seconds"]["median"],
        "load_seconds": measured["load_seconds"]["median"],
        "peak_megabytes": round(measured["peak_memory_bytes"] / MEGABYTE, 1),
        "times": [_time(row) for row in record["rows"] if row["variant"] in names],
    }


def _time(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: row[key] for key in ("device", "precision", "threads", "batch_size")},
        **{f"{key}_ms": row["latency_ms"][key] for key in ("median", "low", "high")},
        "texts_per_second": row["texts_per_second"]["median"],
        "speedups": row["speedups"],
        **{key: row[key] for key in ("processor_joules_per_1000_texts", "gpu_joules_per_1000_texts")},
        "idle_cpu_share": row["idle_cpu_share"],
    }
