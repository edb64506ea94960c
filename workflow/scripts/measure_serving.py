"""Measure what serving a model costs in each of its forms: latency, throughput, start, memory, bytes, energy.

In: a list of variants, the first of which is the full torch model; the task's validation texts. Out: serving.json.
"""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from shallower.core.cli import json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.engine.gpu_slots import hold_gpu_slot
from shallower.models.checksums import verified_file
from shallower.serving.measure import measure_serving
from shallower.serving.variants import on_gpu, read_variants


def main(arguments: argparse.Namespace) -> None:
    for path in (arguments.texts, arguments.task):
        verified_file(path)
    variants = read_variants(arguments.variants)
    if hold_gpu_slot(arguments.device):
        variants += on_gpu(variants)
    columns = ["text", "text_pair"] if read_json(arguments.task)["has_pair"] else ["text"]
    table = pq.read_table(arguments.texts, columns=columns)
    texts = table["text"].to_pylist()
    if len(columns) == 2:
        texts = list(zip(texts, table["text_pair"].to_pylist(), strict=True))
    record = measure_serving(
        variants,
        texts,
        arguments.batch_sizes,
        arguments.threads,
        arguments.repeats,
        arguments.texts_measured,
        arguments.starts,
        arguments.confidence,
    )
    write_json(arguments.output, record)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=Path, required=True, help="JSON list of variants")
    parser.add_argument("--texts", type=Path, required=True, help="parquet file of the task's validation split")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--batch-sizes", type=json_argument, required=True, help="JSON list, such as [1, 32]")
    parser.add_argument("--threads", type=json_argument, required=True, help="JSON list, such as [1, 2]")
    parser.add_argument("--device", default="cpu", help="auto or cuda: torch variants on a GPU, too")
    parser.add_argument("--repeats", type=int, required=True, help="rounds")
    parser.add_argument("--texts-measured", type=int, required=True, help="texts in a round")
    parser.add_argument("--starts", type=int, default=3, help="how often each variant is started, at least")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the intervals of ratios")
    parser.add_argument("--output", type=Path, required=True, help="serving.json")
    run_step(parser, main)
