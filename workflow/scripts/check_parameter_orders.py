"""Compare the orders in which layers are dropped by variance with those that the paper prints, for each reading.

In: folders of checkpoints. Out: parameter-orders.csv and parameter-orders.html. It needs no tuned model, so it can also
be run alone, from the project's folder, on any checkpoints:

    PYTHONPATH=workflow python workflow/scripts/check_parameter_orders.py --model bert=path/to/bert-base-cased
    --counterparts '{"bert": "BERT"}' --output-dir orders
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, named_folder, run_step
from shallower.core.files import write_text
from shallower.core.tables import write_table
from shallower.models.checksums import verified
from shallower.models.folder import CONFIG
from shallower.models.weight_files import weight_files
from shallower.paper.orders_page import orders_page
from shallower.paper.parameter_orders import parameter_orders
from shallower.paper.values import read_values


def main(arguments: argparse.Namespace) -> None:
    for _, folder in arguments.model:
        # Checkpoints of others may have their weights in several files.
        verified(folder, [CONFIG, *(file.name for file in weight_files(folder))])
    orders = parameter_orders(dict(arguments.model), arguments.counterparts, read_values())
    write_table(arguments.output_dir / "parameter-orders.csv", orders)
    write_text(arguments.output_dir / "parameter-orders.html", orders_page(orders))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=named_folder, action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--counterparts", type=json_argument, default={}, help="JSON: the paper's model of each name")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
