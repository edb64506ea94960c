"""Export the candidates of one task to ONNX, in one vocabulary, those of equal configuration by one trace.

In: candidates.json. Out: model.onnx of each candidate (and model.onnx.data where its weights are 2 GB or more), and
exported-{vocabulary}.json.
"""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.variants import ONNX, VOCABULARIES
from shallower.delivery.candidates import read_candidates
from shallower.delivery.variant_folders import (
    folder_of,
    in_variants,
    model_file,
    torch_folder,
    verified_candidate,
    write_folder_manifest,
    write_made,
)
from shallower.engine.devices import choose_compute
from shallower.export.onnx_export import OnnxExporter
from shallower.models.checksums import verified
from shallower.models.folder import WEIGHTS


def main(arguments: argparse.Namespace) -> None:
    choose_compute("cpu", "fp32", arguments.threads)
    candidates, exporter = read_candidates(arguments.candidates), OnnxExporter()
    for candidate in candidates:
        verified_candidate(candidate)
    made = list(in_variants(candidates, [ONNX], [arguments.vocabulary]))
    for candidate, variant in made:
        source, output = torch_folder(candidate.run, variant), model_file(candidate.run, variant)
        weights = verified(source)[WEIGHTS]
        files = exporter.export(source, output)
        write_folder_manifest(folder_of(candidate.run, variant), [file.name for file in files], made_from=weights)
    write_made(arguments.output, made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=Path, required=True, help="candidates.json")
    parser.add_argument("--vocabulary", choices=VOCABULARIES, required=True)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--output", type=Path, required=True, help="exported-{vocabulary}.json")
    run_step(parser, main)
