"""Trim the vocabulary of the candidates of one task: models that load with from_pretrained, and trimmed.json."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.variants import TORCH, TRIMMED, Variant
from shallower.delivery.candidates import read_candidates
from shallower.delivery.variant_folders import folder_of, verified_candidate, write_folder_manifest, write_made
from shallower.surgery.vocabulary import trim_model


def main(arguments: argparse.Namespace) -> None:
    candidates, variant = read_candidates(arguments.candidates), Variant(TORCH, TRIMMED)
    for candidate in candidates:
        folder = folder_of(candidate.run, variant)
        trim_model(verified_candidate(candidate), arguments.vocabulary_dir, folder)
        write_folder_manifest(folder, [], made_from=candidate.sha256)
    write_made(arguments.output, [(candidate, variant) for candidate in candidates])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=Path, required=True, help="candidates.json")
    parser.add_argument("--vocabulary-dir", type=Path, required=True, help="folder of the trimmed tokenizer")
    parser.add_argument("--output", type=Path, required=True, help="trimmed.json")
    run_step(parser, main)
