"""The numbers of a finished study that another machine must find again: python machine_results.py FOLDER writes them.

FOLDER is the project's; what is written, next to this file, is what test_another_machine.py compares with.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

EXPECTED = Path(__file__).parent / "expected" / "tiny-study.json"
# Logits of so many examples of each run.
EXAMPLES = 4


def machine_results(folder: Path) -> dict[str, Any]:
    """For each run below a project's results: the first examples' logits, the scores, and the last loss of training."""
    found = {}
    for file in sorted(folder.glob("results/**/predictions.parquet")):
        run = file.parent
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        found[run.relative_to(folder).as_posix()] = {
            "logits": pq.read_table(file).column("logits").to_pylist()[:EXAMPLES],
            "scores": {name: entry["value"] for name, entry in metrics["metrics"].items()},
            "final_loss": json.loads((run / "manifest.json").read_text(encoding="utf-8"))["final_loss"],
        }
    return found


if __name__ == "__main__":
    EXPECTED.write_text(json.dumps(machine_results(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n")
