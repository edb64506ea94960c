"""Quantise the candidates of one task to int8, in one vocabulary.

In: candidates.json, model.onnx of each candidate. Out: model-int8.onnx of each, quantised-{vocabulary}.json.
"""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.variants import INT8, ONNX, VOCABULARIES
from shallower.delivery.candidates import read_candidates
from shallower.delivery.variant_folders import folder_of, in_variants, model_file, write_folder_manifest, write_made
from shallower.export.quantisation import check_names, quantise
from shallower.models.checksums import verified_file


def main(arguments: argparse.Namespace) -> None:
    made = list(in_variants(read_candidates(arguments.candidates), [INT8], [arguments.vocabulary]))
    sources = [model_file(candidate.run, variant._replace(runtime=ONNX)) for candidate, variant in made]
    check_names(sources, arguments.exclude)
    for (candidate, variant), source in zip(made, sources, strict=True):
        output = model_file(candidate.run, variant)
        weights = verified_file(source)
        quantise(source, output, arguments.exclude)
        write_folder_manifest(folder_of(candidate.run, variant), [output.name], made_from=weights)
    write_made(arguments.output, made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=Path, required=True, help="candidates.json")
    parser.add_argument("--vocabulary", choices=VOCABULARIES, required=True)
    parser.add_argument("--exclude", nargs="*", default=[], help="operators or modules to leave in fp32")
    parser.add_argument("--output", type=Path, required=True, help="quantised-{vocabulary}.json")
    run_step(parser, main)
