"""Figures by layers kept: all subsets of layers, what was refined of them, and the budget."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from test_figures import overlapping, texts

from shallower.core.files import read_json, write_json
from shallower.core.tables import read_table, write_table
from shallower.reporting.colours import BEST_COLOUR, BUDGET_COLOUR
from shallower.reporting.figures import save
from shallower.reporting.subset_figures import (
    DOT_COLOUR,
    PROMISING,
    WHICH,
    layers_of_best_subsets,
    read_subsets,
    score_by_depth,
    shares_of_best,
)
from synthetic_runs import SMALL, write_results, write_study

NUM_LAYERS = 6


def scores_file(path: Path, weights: list[float], num_layers: int = NUM_LAYERS) -> Path:
    """All subsets of layers; a readout scores the sum of the kept layers' weights."""
    subsets = [kept for size in range(1, num_layers + 1) for kept in itertools.combinations(range(num_layers), size)]
    scores = [sum(weights[layer] for layer in kept) for kept in subsets]
    content = {
        "method": "subsets",
        "num_layers": num_layers,
        "is_complete": True,
        "kept_layers": [" ".join(map(str, kept)) for kept in subsets],
        "readout_score": scores,
        "readout_loss": [1 - score for score in scores],
    }
    write_json(path, content)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a small study, with scores of subsets of the pre-trained model and of two fine-tuned ones."""
    folder = tmp_path_factory.mktemp("study")
    results = write_study(folder, SMALL)
    write_results(folder, results)
    scores_file(results / "pretrained.json", [0.3, 0.2, 0.15, 0.1, 0.05, 0.05])
    scores_file(results / "seed1.json", [0.3, 0.2, 0.1, 0.1, 0.1, 0.1])
    scores_file(results / "seed2.json", [0.1, 0.2, 0.1, 0.1, 0.1, 0.3])
    return results


@pytest.fixture
def tables(made):
    """Summary and results of one model and task."""
    both = (read_table(made / f"{name}.csv") for name in ("summary", "results"))
    return tuple(table[table["task"] == "docs-pair"].reset_index(drop=True) for table in both)


@pytest.fixture
def subsets(made):
    files = {"pretrained": "pretrained", "seed1": "finetuned", "seed2": "finetuned"}
    return read_subsets([(origin, made / f"{name}.json") for name, origin in files.items()])


def points(panel, colour) -> np.ndarray:
    """Places [dots, 2] of a panel's dots of a colour."""
    found = [dots for dots in panel.collections if len(dots.get_facecolor())]
    mine = [dots for dots in found if np.allclose(dots.get_facecolor()[0, :3], to_rgb(colour))]
    return np.concatenate([np.asarray(dots.get_offsets(), float) for dots in mine])


def rings_of(panel) -> list[PathCollection]:
    """The rings around recommended models: dots without a filling."""
    dots = [found for found in panel.collections if isinstance(found, PathCollection)]
    return [found for found in dots if not len(found.get_facecolor())]


def test_scores_of_several_seeds_are_averaged(made, subsets):
    rows = {row["layers"]: row for row in subsets["finetuned"].to_dict("records")}
    assert len(rows) == 2**NUM_LAYERS - 1
    assert rows[0,]["readout_score"] == pytest.approx(0.2)
    assert rows[0, 5]["readout_loss"] == pytest.approx(0.6)
    assert rows[0, 2, 5]["size"] == 3


def test_every_subset_is_a_dot_and_the_picks_are_marked(tables, subsets):
    figure = score_by_depth(*tables, subsets)
    left, right = figure.axes[:2]
    dots = points(left, DOT_COLOUR)
    assert len(dots) == 63
    # Dots stay within the column of their number of layers: six of one layer, fifteen of two, and so on.
    assert np.bincount(np.round(dots[:, 0]).astype(int)).tolist() == [0, 6, 15, 20, 15, 6, 1]
    best = next(line for line in left.lines if line.get_color() == BEST_COLOUR)
    np.testing.assert_allclose(best.get_ydata(), [0.3, 0.5, 0.65, 0.75, 0.8, 0.85])
    # top-2 keeps 0 to 3, which score 0.75; bottom-2 keeps 2 to 5: 0.35.
    marked = {tuple(np.round(place, 6)) for place in points(left, "#0072b2")}
    assert {(round(x), y) for x, y in marked} == {(5, 0.8), (4, 0.75), (3, 0.65)}
    assert {y for _, y in np.round(points(left, "#d55e00"), 6)} == {0.55, 0.35, 0.2}
    assert {"accuracy of a readout", "accuracy", "a subset of layers", "layers kept"} <= set(texts(figure))
    assert {"every subset, before refining, calibration examples", "after refining, validation split"} <= set(
        texts(figure)
    )
    assert "budget" not in "".join(texts(figure))
    assert right.get_ylabel() == "accuracy"


def test_a_search_that_has_not_scored_all_subsets_says_so(tables, made, tmp_path):
    content = read_json(made / "seed1.json") | {"is_complete": False}
    write_json(tmp_path / "part.json", content)
    found = read_subsets([("finetuned", made / "seed2.json"), ("finetuned", tmp_path / "part.json")])
    shown = texts(score_by_depth(*tables, found))
    assert "the most promising subsets, before refining, calibration examples" in shown


def test_origins_without_scored_subsets_are_shown_only_for_the_recommended_one(tables, subsets):
    mine = {"finetuned": subsets["finetuned"]}
    rows = lambda *arguments: len(score_by_depth(*tables, *arguments).axes) // 2  # noqa: E731
    assert rows(subsets) == 2
    assert rows(mine) == 1
    assert rows(mine, None, ("pretrained", "top", "2")) == 2
    # All runs of the origin that has them failed.
    assert rows({"gradual": subsets["finetuned"]}) == 2


def test_what_was_refined_is_joined_by_layers_kept(tables, subsets):
    summary, _ = tables
    panel = score_by_depth(*tables, subsets).axes[1]
    arms = summary[(summary["origin"] == "pretrained") & (summary["strategy"] == "top")].sort_values("num_dropped")
    line = next(line for line in panel.lines if line.get_color() == "#0072b2")
    np.testing.assert_array_equal(np.round(line.get_xdata()), 6 - arms["num_dropped"])
    np.testing.assert_allclose(line.get_ydata(), arms["score"])
    # The frontier ends at the full model; the arm with a collapsed seed, bottom-3, is not on it.
    best = next(line for line in panel.lines if line.get_color() == BEST_COLOUR)
    sound = summary[(summary["origin"].isin(["baseline", "pretrained"])) & (summary["collapsed"] == 0)]
    expected = sound.groupby(6 - sound["num_dropped"])["score"].max()
    assert best.get_xdata().tolist() == expected.index.tolist()
    np.testing.assert_allclose(best.get_ydata(), expected)


def test_the_budget_is_a_line_and_the_recommended_model_has_a_ring(tables, subsets):
    summary, _ = tables
    full = summary.loc[summary["origin"] == "baseline", "score"].iloc[0]
    figure = score_by_depth(*tables, subsets, {"score_kept": 90, "layers": 4}, ("finetuned", "top", "2"))
    assert {"budget, for lower ends of intervals", "recommended"} <= set(texts(figure))
    rings = []
    for panel in figure.axes[1::2]:
        lines = [line for line in panel.lines if line.get_color() == BUDGET_COLOUR]
        assert [line.get_ydata()[0] for line in lines if line.get_xdata()[0] == 0] == pytest.approx([0.9 * full])
        assert [line.get_xdata()[0] for line in lines if line.get_ydata()[0] == 0] == [4.5]
        rings.append(rings_of(panel))
    assert [len(found) for found in rings] == [0, 1]
    x, y = rings[1][0].get_offsets()[0]
    chosen = summary[(summary["origin"] == "finetuned") & (summary["strategy"] == "top") & (summary["amount"] == "2")]
    assert (round(x), y) == (4, pytest.approx(chosen["score"].iloc[0]))
    only_size = score_by_depth(*tables, {}, {"megabytes": 80}, ("baseline", "none", "0"))
    assert len(only_size.axes) == 2  # a row for each origin, without panels of subsets
    assert "recommended" in texts(only_size) and "budget" not in "".join(texts(only_size))
    [ring] = rings_of(only_size.axes[0])
    assert ring.get_offsets()[0].tolist() == pytest.approx([6, full])


def test_no_text_covers_another(tables, subsets):
    budget = {"score_kept": 95, "layers": 5}
    assert overlapping(score_by_depth(*tables, subsets, budget, ("pretrained", "top", "1"))) == []
    assert overlapping(score_by_depth(*tables, {"finetuned": subsets["finetuned"]})) == []
    assert overlapping(score_by_depth(*tables, {}, budget)) == []
    assert overlapping(layers_of_best_subsets("minilm", "docs-pair", subsets)) == []
    assert overlapping(layers_of_best_subsets("minilm", "docs-pair", {"pretrained": subsets["pretrained"]})) == []


def test_shares_of_the_best_tenth():
    """Four layers: of six pairs one is the best, of eleven made-up triples of seven layers the best two count."""
    pairs = pd.DataFrame({"layers": list(itertools.combinations(range(4), 2)), "size": 2})
    pairs["readout_loss"] = [0.5, 0.4, 0.1, 0.6, 0.7, 0.8]  # 0 and 3 lose least
    shares, labels = shares_of_best(pairs, 4)
    assert (shares.tolist(), labels) == ([[1, 0, 0, 1]], ["2 (1 of 6)"])
    triples = pd.DataFrame({"layers": list(itertools.combinations(range(7), 3))[:11], "size": 3})
    triples["readout_loss"] = [9, 9, 1, 9, 9, 2, 9, 9, 9, 9, 9]  # 0 1 4 and 0 2 3
    shares, labels = shares_of_best(triples, 7)
    assert (shares.tolist(), labels) == ([[1, 0.5, 0.5, 0.5, 0.5, 0, 0]], ["3 (2 of 11)"])


def test_the_heat_map_has_a_row_for_each_size_but_the_full_one(subsets):
    shares, labels = shares_of_best(subsets["pretrained"], NUM_LAYERS)
    assert labels == ["5 (1 of 6)", "4 (2 of 15)", "3 (2 of 20)", "2 (2 of 15)", "1 (1 of 6)"]
    assert shares[-1].tolist() == [1, 0, 0, 0, 0, 0]
    # Pairs: 0 and 1 score 0.5, 0 and 2 0.45.
    assert shares[-2].tolist() == [1, 0.5, 0.5, 0, 0, 0]
    np.testing.assert_allclose(shares.sum(axis=1), [5, 4, 3, 2, 1])
    figure = layers_of_best_subsets("minilm", "docs-pair", subsets)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), 100 * shares)
    assert {"minilm on docs-pair: layers of the best subsets", "layer, counted from 0 at the bottom"} <= set(
        texts(figure)
    )
    assert "layers kept (best subsets of all)" in texts(figure)
    subsets["pretrained"].attrs[WHICH] = PROMISING
    assert "layers kept (best subsets of those scored)" in texts(layers_of_best_subsets("minilm", "docs-pair", subsets))


def test_the_same_figure_is_the_same_file(tables, subsets, tmp_path):
    for name in ("one", "other"):
        save(score_by_depth(*tables, subsets), tmp_path / name)
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"other{suffix}").read_bytes()


def test_scripts_draw(made, step):
    row = {"model": "minilm", "task": "docs-pair", "recommended": True, "origin": "finetuned", "strategy": "top"}
    write_table(made / "recommended.csv", pd.DataFrame([row | {"amount": "1"}]))

    def draw(script: str, *options: str) -> None:
        files = ("--subsets", "finetuned", "seed1.json", "--subsets", "finetuned", "seed2.json")
        names = ("--model", "minilm", "--task", "docs-pair", "--output-dir", "figures")
        step(script, *files, *names, *options, folder=made)

    options = ("--summary", "summary.csv", "--results", "results.csv", "--recommended", "recommended.csv")
    draw("plot_depths", *options, "--budget", '{"score_kept": 95}')
    draw("plot_subsets")
    assert sorted(path.name for path in (made / "figures").glob("[ls]*")) == [
        f"{what}.{kind}" for what in ("layers-of-best-subsets", "score-by-depth") for kind in ("png", "svg")
    ]
    assert "recommended" in (made / "figures/score-by-depth.svg").read_text()
