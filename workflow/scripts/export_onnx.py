"""Export fine-tuned models to ONNX, those of equal configuration by one trace.

In: model folders. Out: model.onnx in the folder of each (and model.onnx.data where its weights are 2 GB or more).
"""

import argparse
from pathlib import Path

from shallower.core.cli import paired, run_step
from shallower.engine.devices import choose_compute
from shallower.export.onnx_export import OnnxExporter
from shallower.models.checksums import verified


def main(arguments: argparse.Namespace) -> None:
    choose_compute("cpu", "fp32", arguments.threads)
    exporter = OnnxExporter()
    for folder, output in paired(arguments.model_dirs, arguments.outputs):
        verified(folder)
        exporter.export(folder, output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dirs", type=Path, nargs="+", required=True, help="fine-tuned models")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="model.onnx of each model")
    run_step(parser, main)
