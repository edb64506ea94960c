import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from shallower.core.tables import write_table
from shallower.paper.figures import DRAWINGS, LOWEST_THRESHOLD, PAPER_COLOUR, draw
from shallower.paper.frames import read_frame
from shallower.paper.items import FIGURES, ITEMS
from shallower.paper.values import read_values
from shallower.reporting.figures import save

BLANK = {
    **dict.fromkeys(["model", "counterpart", "task", "paper_task", "origin", "strategy", "amount"], ""),
    **dict.fromkeys(
        ["num_dropped", "depth", "ours", "low", "high", "seeds", "paper", "uncertainty", "difference"], np.nan
    ),
    **dict.fromkeys(["quantity", "unit", "paper_how", "verdict", "remark"], ""),
}
COUNTS = {
    "top": [1, 2, 3],
    "even-alternate": [1, 2, 3],
    "odd-alternate": [1, 2, 3],
    "symmetric": [2],
    "parameter-aggregation": [1, 2, 3],
    "parameter-variance": [1, 2, 3],
    "contribution": [1, 2],
    "contribution-rank": [1, 2, 3],
    "bottom": [1, 2, 3],
}


def numbered(rows):
    """A frame of rows, with orders by first appearance of row and column labels."""
    frame = pd.DataFrame([BLANK | row for row in rows])
    orders = {f"{name}_order": pd.factorize(frame[name])[0] for name in ("row", "column")}
    return frame.assign(**orders)


def compared(row, ours, half_width, paper=np.nan, uncertainty=np.nan):
    """A row with both values and what follows from them."""
    found = {"ours": ours, "low": ours - half_width, "high": ours + half_width, "seeds": 3.0, "paper": paper}
    verdict = "" if np.isnan(paper) else "inside" if abs(paper - ours) <= half_width else "outside"
    return row | found | {"uncertainty": uncertainty, "difference": ours - paper, "verdict": verdict}


def paper_bars(item):
    values = read_values()
    rows = values[values["item"] == item]
    return {(row.model, row.strategy, int(row.num_dropped)): float(row.value) for row in rows.itertuples()}


def bars(item, model, counterpart, scale=1, others=()):
    """A frame of strategies: `model` next to `counterpart`, then the paper's other models alone."""
    random, paper = np.random.default_rng(1), paper_bars(item)
    mean = {"task": "mean7", "paper_task": "mean7", "quantity": "score", "unit": "points"}
    full = {
        "strategy": "none",
        "num_dropped": 0,
        "row": f"{model}, whole",
        "column": "all layers",
        "origin": "baseline",
    }
    named = {"model": model, "counterpart": counterpart, "remark": "without MNLI"} | mean
    rows = [compared(named | full, 84.1, 0.9, paper.get((counterpart, "none", 0), np.nan))]
    for strategy, counts in COUNTS.items():
        for count in (scale * count for count in counts):
            row = named | {"strategy": strategy, "num_dropped": count, "row": f"{model}, {strategy}"}
            row |= {"column": f"{count} dropped", "remark": "without MNLI; measured"}
            ours = 84 - {"bottom": 3.5, "symmetric": 1.4}.get(strategy, 1.1) * count / scale + random.normal(0, 0.5)
            printed = paper.get((counterpart, strategy, count), np.nan)
            rows.append(compared(row, ours, 1.1, printed, 0.1 if printed > 0 else np.nan))
    rows.append(named | {"strategy": "contribution", "amount": "0.9", "row": "x", "column": "y"})
    rows[-1]["remark"] = "not run; without MNLI"
    for other in others:
        for (name, strategy, count), value in paper.items():
            if name == other:
                row = {"counterpart": other, "strategy": strategy, "num_dropped": count, "row": f"{other}, {strategy}"}
                row |= {"column": f"{count} dropped", "paper": value, "uncertainty": 0.1, "remark": "not in this study"}
                rows.append(mean | row)
    return numbered(rows)


def depths(item, ours):
    """A frame of values by depth; `ours` are (model, counterpart, number of layers)."""
    values = read_values()
    paper = values[values["item"] == item]
    unit = {"figure-3": "points", "preprint-figure-5": "cosine"}[item]
    rows = []
    for model, counterpart, num_layers in ours:
        printed = paper[paper["model"] == counterpart].set_index("depth")["value"]
        for depth in range(num_layers + 1):
            named = {"model": model, "counterpart": counterpart, "row": model, "unit": unit, "remark": "without MNLI"}
            named |= {"depth": depth, "column": f"depth {depth}"}
            share = depth / num_layers
            value = 48 + 35 * share**0.6 if unit == "points" else 1 - 0.6 * share**2
            width = 0.02 * value
            printed_here = float(printed.get(depth, np.nan))
            rows.append(compared(named, value, width, printed_here, 0.015 if unit == "cosine" else 0.5))
    for other in dict.fromkeys(paper["model"]):
        if other not in {counterpart for _, counterpart, _ in ours}:
            for row in paper[paper["model"] == other].itertuples():
                named = {"counterpart": other, "depth": row.depth, "row": other, "column": f"depth {row.depth}"}
                named |= {"paper": float(row.value), "uncertainty": row.uncertainty, "remark": "not in this study"}
                rows.append(named)
    return numbered(rows)


def heat(sizes):
    """Contribution scores of models with these numbers of layers."""
    random = np.random.default_rng(2)
    tasks = ["SST-2", "MNLI", "QNLI", "QQP", "STS-B", "RTE", "MRPC", "mean of tasks"]
    dropped = dict.fromkeys((2, 4), "the paper gives no number; dropped by the paper: BERT, threshold 0.95")
    rows = [
        {"model": model, "row": f"{model}, {task}", "column": f"layer {layer}", "depth": layer, "unit": "cosine"}
        | {"ours": random.uniform(0.72, 0.97), "remark": dropped.get(layer, "the paper gives no number")}
        for model, layers in sizes.items()
        for task, layer in itertools.product(tasks, range(layers))
    ]
    alone = {"counterpart": "XLNet", "row": "XLNet", "column": "layer 0", "remark": "it drops layers 7 to 10 above 0.9"}
    return numbered([*rows, alone])


FRAMES = {
    "six": ("preprint-figure-3", lambda: bars("preprint-figure-3", "minilm", "DistilBERT")),
    "six, others": ("figure-2", lambda: bars("figure-2", "minilm", "", others=["BERT", "XLNet"])),
    "twelve": ("figure-2", lambda: bars("figure-2", "bert-base", "BERT", scale=2, others=["XLNet"])),
    "probes": ("figure-3", lambda: depths("figure-3", [("minilm", "DistilBERT", 6), ("bert-base", "BERT", 12)])),
    "similarity": ("preprint-figure-5", lambda: depths("preprint-figure-5", [("xlnet-base", "XLNet", 12)])),
    "one line": ("figure-3", lambda: depths("figure-3", [("minilm", "", 6)]).query("model == 'minilm'")),
    "heat": ("contribution", lambda: heat({"minilm": 6, "bert-base": 12})),
    "small heat": ("contribution", lambda: heat({"minilm": 6})),
    "two bars": ("figure-2", lambda: bars("figure-2", "tiny", "").query("strategy in ['none', 'top']").iloc[:3]),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


def misplaced(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of drawn texts that cover each other, or leave the figure; a name of bars starts with an empty line."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, page = canvas.get_renderer(), figure.bbox
    unseen = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        unseen |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    drawn = []
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and text not in unseen:
            box = text.get_window_extent(renderer)
            lines = text.get_text().split("\n")
            empty = len(lines) - len(text.get_text().lstrip("\n").split("\n"))
            box.y1 -= box.height * empty / len(lines)
            drawn.append((text.get_text(), box))
    outside = [
        (text, "edge")
        for text, box in drawn
        if box.x0 < -1 or box.y0 < -1 or box.x1 > page.width + 1 or box.y1 > page.height + 1
    ]
    return outside + [
        (one, other)
        for (one, first), (other, second) in itertools.combinations(drawn, 2)
        if min(first.x1, second.x1) - max(first.x0, second.x0) > 1
        and min(first.y1, second.y1) - max(first.y0, second.y0) > 1
    ]


@pytest.mark.parametrize("name", FRAMES)
def test_no_text_covers_another(name):
    item, make = FRAMES[name]
    assert misplaced(draw(item, make())) == []


def test_bars_are_ours_and_diamonds_the_papers():
    frame = bars("figure-2", "bert-base", "BERT", scale=2)
    (panel,) = draw("figure-2", frame).axes
    arms = frame[(frame["strategy"] != "none") & frame["ours"].notna()]
    lowest = panel.get_ylim()[0]
    assert lowest < frame[["low", "paper"]].min().min()
    tops = sorted(bar.get_y() + bar.get_height() for bar in panel.patches if bar.get_y() == lowest)
    np.testing.assert_allclose(tops, sorted(arms["ours"]))
    diamonds = [dots for dots in panel.collections if isinstance(dots, PathCollection)]
    drawn = {round(float(dots.get_offsets()[0][1]), 6): to_hex(dots.get_facecolor()[0]) for dots in diamonds}
    assert set(drawn) == set(arms["paper"].dropna())
    only_outside = set(arms.loc[arms["verdict"] == "outside", "paper"]) - set(
        arms.loc[arms["verdict"] == "inside", "paper"]
    )
    assert only_outside
    assert all(drawn[value] == "#ffffff" for value in only_outside)
    intervals = [lines.get_segments() for lines in panel.collections if isinstance(lines, LineCollection)]
    ends = {round(float(y), 6) for segment in itertools.chain(*intervals) for _, y in segment}
    assert {round(value, 6) for value in [*arms["low"], *arms["high"]]} <= ends
    full = frame[frame["strategy"] == "none"].iloc[0]
    heights = {round(float(line.get_ydata()[0]), 6): line.get_color() for line in panel.lines}
    assert heights[full["ours"]] != heights[full["paper"]] == PAPER_COLOUR


def test_what_is_blank_says_why():
    found = texts(draw(*drawn("six, others")))
    assert "minilm" in found
    assert "XLNet, paper only (not in this study)" in found
    assert "All bars: without MNLI.\nNo bar: contribution 0.9 (not run)." in found
    assert any(text.startswith("XLNet, paper only") for text in texts(draw(*drawn("probes"))))
    rows = [{"model": "m", "row": "r", "column": "c", "task": "mean7", "strategy": "top", "remark": "no baseline yet"}]
    for item in ("figure-2", "figure-3", "contribution"):
        assert any("no baseline yet" in text for text in texts(draw(item, numbered(rows)))), item


def drawn(name):
    item, make = FRAMES[name]
    return item, make()


def test_every_figure_has_a_drawing():
    assert sorted(DRAWINGS) == sorted(FIGURES)


@pytest.mark.parametrize("item", DRAWINGS)
def test_an_empty_frame_is_a_figure(item):
    empty = numbered([{"row": "r", "column": "c"}]).iloc[:0]
    assert {ITEMS[item].title, "nothing was run that belongs here"} <= set(texts(draw(item, empty)))


def test_the_mean_over_seven_tasks_is_shown():
    both = bars("figure-2", "bert-base", "BERT", scale=2)
    other = both.assign(task="mean5", ours=both["ours"] + 40)
    (panel,) = draw("figure-2", pd.concat([both, other])).axes
    assert panel.get_ylim()[1] < 100


def test_lines_by_depth():
    frame = depths("figure-3", [("bert-base", "BERT", 12)]).query("model != ''")
    (panel,) = draw("figure-3", frame).axes
    paper, ours = panel.lines
    np.testing.assert_allclose(ours.get_ydata(), frame["ours"])
    np.testing.assert_allclose(paper.get_ydata(), frame["paper"])
    assert len(panel.collections) == 2
    assert "bert-base and the paper's BERT: without MNLI" in texts(panel.figure)


def test_heat_map_shows_each_score():
    frame = heat({"minilm": 6})
    figure = draw("contribution", frame)
    (panel,) = figure.axes
    shown = {text.get_text(): text for text in panel.texts}
    scores = frame["ours"].dropna()
    assert set(shown) == {f"{score:.3f}" for score in scores}
    bold = {text for text, artist in shown.items() if artist.get_fontweight() == "bold"}
    assert bold == {f"{score:.3f}" for score in scores if score > LOWEST_THRESHOLD}
    assert panel.images[0].get_array().shape == (8, 6)
    notes = next(text for text in texts(figure) if text.startswith("Mean cosine")).split("\n")
    assert "minilm: dropped by the paper: BERT, threshold 0.95 (layer 2 and layer 4)" in notes
    assert "minilm: the paper gives no number" in notes
    assert any(note.startswith("XLNet, paper only (not in this study): it drops") for note in notes)


def test_script_draws_the_same_file_again(tmp_path, step):
    write_table(tmp_path / "figure-2.csv", FRAMES["two bars"][1]())
    options = ("--item", "figure-2", "--frame", "figure-2.csv", "--output-dir", "out")
    step("plot_reproduction", *options, folder=tmp_path)
    save(draw("figure-2", read_frame(tmp_path / "figure-2.csv")), tmp_path / "again")
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"out/figure-2{suffix}").read_bytes() == (tmp_path / f"again{suffix}").read_bytes()
