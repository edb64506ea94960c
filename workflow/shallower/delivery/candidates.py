"""The models of a study that are tried in every form in which a model can be delivered.

A form costs an export and a prediction, so not all arms are tried: at each depth the one with the highest mean score,
and the full model. All seeds of an arm are, since intervals are over seeds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from shallower.core.files import read_json, write_json
from shallower.core.runs import Run


@dataclass(frozen=True)
class Candidate:
    """A fine-tuned model to try.

    Attributes:
        run: what it is called and where it is.
        num_layers: the number of layers of the full model.
        kept_layers: the layers that it has, 0-based from the bottom of the full model.
        sha256: that of its weights.
    """

    run: Run
    num_layers: int
    kept_layers: tuple[int, ...]
    sha256: str


def choose_candidates(scored: Iterable[tuple[Candidate, float, bool]]) -> list[Candidate]:
    """The runs to try of one model and task, the full model's first, then from the deepest arm to the shallowest.

    `scored` are all runs, by seed, each with its primary score and whether it answers every example alike. An arm with
    such a run is not tried, unless it is the full model. An arm is as deep as its deepest seed; of equally good arms of
    a depth the first is taken.
    """
    arms: dict[str, list[tuple[Candidate, float, bool]]] = {}
    for entry in scored:
        arms.setdefault(entry[0].run.arm, []).append(entry)
    best: dict[int, tuple[float, list[Candidate]]] = {}
    full: list[Candidate] = []
    for entries in arms.values():
        found = [candidate for candidate, _, _ in entries]
        if found[0].run.is_baseline:
            full = found
        elif not any(is_collapsed for _, _, is_collapsed in entries):
            depth = max(len(candidate.kept_layers) for candidate in found)
            score = fmean(score for _, score, _ in entries)
            if depth not in best or score > best[depth][0]:
                best[depth] = (score, found)
    return full + [candidate for depth in sorted(best, reverse=True) for candidate in best[depth][1]]


def write_candidates(path: str | Path, candidates: Sequence[Candidate]) -> None:
    """Write candidates.json."""
    write_json(path, {"candidates": [asdict(candidate) for candidate in candidates]})


def read_candidates(path: str | Path) -> list[Candidate]:
    """Read candidates.json. Raises UserError, naming the file, when it cannot be read or is not JSON."""
    return [
        Candidate(Run(**entry["run"]), entry["num_layers"], tuple(entry["kept_layers"]), entry["sha256"])
        for entry in read_json(path)["candidates"]
    ]
