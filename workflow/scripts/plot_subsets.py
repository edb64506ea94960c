"""Draw which layers the best subsets of a model on a task keep: scores of subsets in, a figure (PNG and SVG) out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.reporting.figures import save
from shallower.reporting.subset_figures import layers_of_best_subsets, read_subsets


def main(arguments: argparse.Namespace) -> None:
    figure = layers_of_best_subsets(arguments.model, arguments.task, read_subsets(arguments.subsets))
    save(figure, arguments.output_dir / "layers-of-best-subsets")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", required=True)
    subsets = ("ORIGIN", "FILE")
    parser.add_argument("--subsets", nargs=2, action="append", required=True, metavar=subsets, help="may be repeated")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
