"""Rows of variants.csv that are made up: seven depths, three runtimes and two vocabularies, as a study would have."""

import math

import pandas as pd

from shallower.core.variants import INT8, ONNX, RUNTIMES, TORCH, VOCABULARIES

# How many times as fast as torch, at batch sizes 1 and 32, and the share of the bytes.
FASTER = {TORCH: (1.0, 1.0), ONNX: (2.2, 1.25), INT8: (3.9, 2.3)}
BYTES = {TORCH: 1.0, ONNX: 1.01, INT8: 0.255}


def made_up_variants(num_layers: int = 6, model: str = "minilm", task: str = "sst2") -> pd.DataFrame:
    """The full model and an arm at each depth down to none of the layers but one, in every variant."""
    rows = []
    for layers in range(num_layers, 0, -1):
        arm = ("baseline", "none", "0") if layers == num_layers else ("finetuned", "top", str(num_layers - layers))
        for runtime in RUNTIMES:
            for vocabulary in VOCABULARIES:
                rows.append(_row(model, task, num_layers, layers, arm, runtime, vocabulary))
    return pd.DataFrame(rows)


def _row(model, task, num_layers, layers, arm, runtime, vocabulary):
    lost = 18 * (1 - layers / num_layers) ** 2 + 0.9 * (runtime == INT8) + 0.25 * (vocabulary == "trimmed")
    kept, size = 100 - lost, 46.9e6 * (0.4 if vocabulary == "trimmed" else 1) + 44e6 * layers / num_layers
    full_size = 46.9e6 + 44e6
    row = {
        "study": "s",
        "model": model,
        "task": task,
        **dict(zip(("origin", "strategy", "amount"), arm, strict=True)),
        "runtime": runtime,
        "vocabulary": vocabulary,
        "num_layers": num_layers,
        "layers": layers,
        "kept_layers": " ".join(map(str, range(layers))),
        "target": "classification",
        "metric": "accuracy",
        "positive_class": math.nan,
        "num_examples": 872,
        "seeds": 3,
        "collapsed": 0,
        "score": 0.009 * kept,
        "kept_percent": kept,
        "kept_low": kept - 1.4,
        "kept_high": kept + 1.2,
        "changed_percent": 0.0 if runtime != INT8 else 1.2,
        "changed_low": 0.0 if runtime != INT8 else 0.7,
        "changed_high": 0.0 if runtime != INT8 else 1.9,
        "logit_difference": {TORCH: 0.0, ONNX: 4e-6, INT8: 0.31}[runtime],
        "bytes": int(size * BYTES[runtime]),
        "load_seconds": 0.21,
        "peak_megabytes": 310.0,
    }
    assert row["bytes"] <= 1.02 * full_size
    for batch_size, faster, text in ((1, FASTER[runtime][0], 19.9), (32, FASTER[runtime][1], 390.0)):
        speedup = faster * (num_layers + 0.6) / (layers + 0.6) * (1.01 if vocabulary == "trimmed" else 1)
        spread = 0.0 if row["bytes"] == int(full_size) and runtime == TORCH else 0.03
        row |= {
            f"latency_ms_batch{batch_size}": text / speedup,
            f"latency_low_ms_batch{batch_size}": 0.97 * text / speedup,
            f"latency_high_ms_batch{batch_size}": 1.06 * text / speedup,
            f"speedup_batch{batch_size}": speedup,
            f"speedup_low_batch{batch_size}": speedup * (1 - spread),
            f"speedup_high_batch{batch_size}": speedup * (1 + spread),
            f"texts_per_second_batch{batch_size}": 1000 * batch_size * speedup / text,
        }
    return row | {"confidence": 0.95, "directory": f"results/s/{model}/{task}/{'/'.join(arm)}/seed1"}
