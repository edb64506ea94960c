"""What every script does around its work: parse arguments, log, and tell a user's mistake plainly."""

import argparse
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

from shallower.errors import UserError


def json_argument(text: str) -> Any:
    """Type of a command-line argument that holds JSON, such as a settings mapping."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from None


def run_step(parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], None]) -> None:
    """Run one step of the pipeline: log to standard error, exit with 1 and one message on a UserError."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    arguments = parser.parse_args()
    try:
        main(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
