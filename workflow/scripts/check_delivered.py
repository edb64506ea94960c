"""Check the delivered models of a study: their folder in; a line for each form out, and exit code 1 if any is wrong."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.variants import ONNX, TORCH
from shallower.delivery.check import check_folder, delivered_folders, fresh_environment, read_manifest
from shallower.delivery.description import RUNTIMES


def main(arguments: argparse.Namespace) -> None:
    """Print each finding as soon as it is known."""
    folders = delivered_folders(arguments.delivered_dir)
    with TemporaryDirectory() as scratch:
        pythons: dict[str, Path] = {}
        if arguments.fresh_environments:
            python = fresh_environment(Path(scratch), read_manifest(folders[0])["versions"], ONNX)
            pythons = {runtime: python for runtime in RUNTIMES if runtime != TORCH}
        findings = []
        for folder in folders:
            for finding in check_folder(folder, pythons):
                print(finding, flush=True)
                findings.append(finding)
    if wrong := sum(bool(finding.problem) for finding in findings):
        raise UserError(f"{wrong} of {len(findings)} checks failed; see above")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delivered-dir", type=Path, required=True, help="folder with {model}/{task}/ in it")
    parser.add_argument(
        "--fresh-environments",
        action="store_true",
        help="answer with the ONNX forms in a new environment that has only their packages, from the package index",
    )
    run_step(parser, main)
