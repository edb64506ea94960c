"""Propose a study for a user's own data: files of labelled text in; a commented study that runs out."""

import argparse

from shallower.core.cli import run_step
from shallower.proposals.choice import Asked
from shallower.proposals.propose import propose
from shallower.proposals.request import Request, names


def main(arguments: argparse.Namespace) -> None:
    """Write the study, and print what was decided and why."""
    files = {"train": arguments.train, "validation": arguments.validation, "test": arguments.test}
    request = Request(
        files={split: file for split, file in files.items() if file},
        asked=Asked(arguments.kind, arguments.text, arguments.label),
        labels=arguments.labels,
        columns=arguments.columns,
        model=arguments.model,
        name=arguments.name,
        output=arguments.output,
        seed=arguments.seed,
        shares=arguments.shares,
        leaves_out=arguments.incomplete == "leave-out",
        template=arguments.template,
    )
    for line in propose(request):
        print(line)


def whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, names(text)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--train", required=True, help="file of labelled rows (parquet, CSV, TSV, JSON lines), or pattern"
    )
    parser.add_argument("--validation", help="the same to score on; without it the training file is divided")
    parser.add_argument("--test", help="the same to report on")
    parser.add_argument("--model", help="name of a model of the template, folder, or owner/name[@commit] on the hub")
    parser.add_argument("--name", help="name of the study")
    parser.add_argument("--output", help="the study's file, which must not be there; studies/{name}.yaml by default")
    parser.add_argument("--kind", help="kind of task")
    parser.add_argument("--text", type=names, help="one or two columns of text, separated by a comma")
    parser.add_argument("--label", type=names, help="column of the label, or several that are one together")
    parser.add_argument("--labels", type=names, help="names of the classes, separated by commas")
    parser.add_argument("--columns", type=names, help="names of all columns, for files without a line of names")
    parser.add_argument("--seed", type=int, help="by which rows are divided")
    parser.add_argument("--shares", type=whole_numbers, help="per cent of train, validation and test")
    parser.add_argument(
        "--incomplete", choices=["refuse", "leave-out"], default="refuse", help="rows that lack a value"
    )
    parser.add_argument("--template", default="config.yaml", help="study whose model and settings are the defaults")
    run_step(parser, main)
