"""The tables of judged strategies: results/{study}/oracle/*.csv. Scores and regrets are in points, 0 to 100."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shallower.evaluation.estimates import Estimate, mean
from shallower.oracle.correlations import correlation, qualities, within_sizes
from shallower.oracle.names import (
    ALL_SIZES,
    BEST,
    MARGIN,
    MEAN,
    RANDOM,
    TABLES,
    UNDECIDED,
    WITHIN,
    WITHIN_SIZES,
    WORSE,
)
from shallower.oracle.place import Place
from shallower.oracle.regrets import SHORTLISTS, Depth, Regret
from shallower.surgery.subsets import Subset, subset_label


def judge(places: Sequence[Place], confidence: float) -> dict[str, pd.DataFrame]:
    """All tables, by the names in `TABLES`. `confidence` of intervals is between 0 and 1."""
    found = [(place, [Depth(place, size) for size in place.sizes]) for place in places]
    regrets = [(depth, regret) for _, depths in found for depth in depths for regret in depth.regrets()]
    rows = {
        "subsets": [row for place in places for row in _subset_rows(place, confidence)],
        "best": [_best_row(depth, confidence) for _, depths in found for depth in depths],
        "regret": [_regret_row(depth, regret, confidence) for depth, regret in regrets],
        "strategies": _strategy_rows(regrets, confidence),
        "correlations": _correlation_rows([place for place, depths in found if depths], confidence),
        "shortlists": _shortlist_rows([depth for _, depths in found for depth in depths], confidence),
        "coverage": [row for place in places for row in _coverage_rows(place)],
    }
    return {name: pd.DataFrame(rows[name]) for name in TABLES}


def _interval(estimate: Estimate, confidence: float) -> dict[str, float]:
    low, high = estimate.interval(confidence)
    return {"low": low, "high": high}


def _subset_rows(place: Place, confidence: float) -> Iterable[dict[str, Any]]:
    measures = sum(place.measures[seed] for seed in place.seeds) / len(place.seeds)
    for at, subset in enumerate(place.subsets):
        score = place.score(at)
        before = {f"before_{name}": value for name, value in measures.iloc[at].items()}
        yield {
            **place.names,
            "num_kept": len(subset),
            "kept_layers": subset_label(subset),
            "seeds": len(place.seeds),
            "metric": place.metric,
            "score": score.value,
            **_interval(score, confidence),
            "full_score": np.nan if place.baseline is None else place.baseline.value,
            **before,
        }


def _best_row(depth: Depth, confidence: float) -> dict[str, Any]:
    """The best subset of a size, with its score on the examples that it was chosen by, and on others."""
    place = depth.place
    halves = place.halves
    apparent = place.score(depth.apparent_best)
    fair = np.take_along_axis(halves.values, depth.best[:, :, None, :], axis=2)
    return {
        **place.names,
        "num_kept": depth.size,
        "num_subsets": len(depth.subsets),
        "kept_layers": subset_label(place.subsets[depth.apparent_best]),
        "seeds": len(place.seeds),
        "score": float(fair.mean()),
        "apparent_score": apparent.value,
        **{f"apparent_{end}": value for end, value in _interval(apparent, confidence).items()},
    }


def _labels(kept: Iterable[Subset]) -> str:
    """The subsets of all seeds, each once."""
    return " | ".join(dict.fromkeys(map(subset_label, kept)))


def _regret_row(depth: Depth, found: Regret, confidence: float) -> dict[str, Any]:
    place = depth.place
    thirds = [rank <= depth.third for rank in found.ranks]
    return {
        **place.names,
        "strategy": found.choice,
        "num_kept": depth.size,
        "kept_layers": _labels(found.kept),
        "seeds": len(place.seeds),
        "regret": found.regret.value,
        **_interval(found.regret, confidence),
        "apparent_regret": found.apparent,
        "mean_rank": float(np.mean(found.ranks)) if found.ranks else np.nan,
        "num_subsets": len(depth.subsets),
        "in_best_third": sum(thirds) if thirds else np.nan,
        "refinings": found.price.refinings,
        "forward_passes": found.price.forward_passes,
    }


def _strategy_rows(regrets: Sequence[tuple[Depth, Regret]], confidence: float) -> list[dict[str, Any]]:
    """Each strategy over all tasks and numbers of layers, next to the one that loses least."""
    rows: list[dict[str, Any]] = []
    for group, of_group in _by_group(regrets).items():
        found: dict[str, dict[tuple[str, int], tuple[Depth, Regret]]] = {}
        for depth, regret in of_group:
            found.setdefault(regret.choice, {})[depth.place.names["task"], depth.size] = (depth, regret)
        means = {name: mean([regret.regret for _, regret in cases.values()]) for name, cases in found.items()}
        everywhere = [name for name, cases in found.items() if len(cases) == len(found[RANDOM]) and name != RANDOM]
        # Sorted, so that of equal ones the first registered is the reference.
        reference = min(everywhere, key=lambda name: means[name].value)
        for name in sorted(found, key=lambda name: means[name].value):
            shared = [case for case in found[name] if case in found[reference]]
            difference = mean([found[name][case][1].regret - found[reference][case][1].regret for case in shared])
            rows.append(
                {
                    **dict(zip(("study", "model", "origin"), group, strict=True)),
                    "strategy": name,
                    **_summary(list(found[name].values())),
                    "regret": means[name].value,
                    **_interval(means[name], confidence),
                    "reference": reference,
                    "difference": difference.value,
                    **{f"difference_{end}": value for end, value in _interval(difference, confidence).items()},
                    "verdict": BEST if name == reference else verdict(difference, confidence),
                }
            )
    return rows


def _by_group(regrets: Sequence[tuple[Depth, Regret]]) -> dict[tuple[str, ...], list[tuple[Depth, Regret]]]:
    """By study, model and origin."""
    groups: dict[tuple[str, ...], list[tuple[Depth, Regret]]] = {}
    for depth, regret in regrets:
        groups.setdefault(_group(depth.place), []).append((depth, regret))
    return groups


def _group(place: Place) -> tuple[str, ...]:
    return tuple(place.names[key] for key in ("study", "model", "origin"))


def _summary(cases: Sequence[tuple[Depth, Regret]]) -> dict[str, Any]:
    """Of how many cases a mean is, how often the pick is in the best third, and the mean price."""
    ranks = [(rank, depth) for depth, regret in cases for rank in regret.ranks]
    return {
        "cases": len(cases),
        "picks": len(ranks),
        "in_best_third": sum(rank <= depth.third for rank, depth in ranks),
        "expected_by_chance": sum(depth.third / len(depth.subsets) for _, depth in ranks),
        "refinings": float(np.mean([regret.price.refinings for _, regret in cases])),
        "forward_passes": float(np.mean([regret.price.forward_passes for _, regret in cases])),
    }


def verdict(difference: Estimate, confidence: float) -> str:
    """What a difference of regrets, that of a strategy minus that of the reference, says with its interval."""
    low, high = difference.interval(confidence)
    if high <= MARGIN:
        return WITHIN
    return WORSE if low > 0 else UNDECIDED


def _correlation_rows(places: Sequence[Place], confidence: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    groups: dict[tuple[str, ...], dict[str, dict[str, list[Estimate]]]] = {}

    def add(names: Mapping[str, str], name: str, kept: str, estimate: Estimate, num_subsets: int) -> None:
        rows.append(
            {
                **names,
                "measure": name,
                "num_kept": kept,
                "num_subsets": num_subsets,
                "correlation": estimate.value,
                **_interval(estimate, confidence),
            }
        )

    for place in places:
        complete = [at for size in place.sizes for at in place.of_size(size)]
        for name, quality in qualities(place):
            of_place = {WITHIN_SIZES: within_sizes(place, quality), ALL_SIZES: correlation(place, quality, complete)}
            for kept, estimate in of_place.items():
                add(place.names, name, kept, estimate, len(complete))
                groups.setdefault(_group(place), {}).setdefault(name, {}).setdefault(kept, []).append(estimate)
            for size in place.sizes:
                subsets = place.of_size(size)
                add(place.names, name, str(size), correlation(place, quality, subsets), len(subsets))
    for (study, model, origin), of_group in groups.items():
        names = {"study": study, "model": model, "task": MEAN, "origin": origin}
        for name, by_kept in of_group.items():
            for kept, estimates in by_kept.items():
                add(names, name, kept, mean(estimates), 0)
    return rows


def _shortlist_rows(depths: Sequence[Depth], confidence: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    groups: dict[tuple[str, ...], dict[int, list[tuple[Estimate, float, float]]]] = {}
    for depth in depths:
        for count in SHORTLISTS:
            regret, price = depth.shortlist_regret(count)
            rows.append(
                {
                    **depth.place.names,
                    "num_kept": depth.size,
                    "refined": count,
                    "regret": regret.value,
                    **_interval(regret, confidence),
                    "refinings": price.refinings,
                    "forward_passes": price.forward_passes,
                }
            )
            groups.setdefault(_group(depth.place), {}).setdefault(count, []).append(
                (regret, price.refinings, price.forward_passes)
            )
    for (study, model, origin), of_group in groups.items():
        for count, found_here in of_group.items():
            regrets, refinings, passes = zip(*found_here, strict=True)
            average = mean(regrets)
            rows.append(
                {
                    "study": study,
                    "model": model,
                    "task": MEAN,
                    "origin": origin,
                    "num_kept": np.nan,
                    "refined": count,
                    "regret": average.value,
                    **_interval(average, confidence),
                    "refinings": float(np.mean(refinings)),
                    "forward_passes": float(np.mean(passes)),
                }
            )
    return rows


def _coverage_rows(place: Place) -> Iterable[dict[str, Any]]:
    for size, (refined, total) in place.coverage.items():
        yield {**place.names, "num_kept": size, "refined": refined, "num_subsets": total, "judged": refined == total}
