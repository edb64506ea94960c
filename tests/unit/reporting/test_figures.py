import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from shallower.core.tables import read_table, write_table
from shallower.reporting.figures import OTHER_STYLES, SETTINGS, STYLES, save, score_by_cost, score_by_layers, styles_of
from shallower.reporting.results import collect_results
from shallower.reporting.summary import read_comparisons, read_costs, summarise
from synthetic_runs import SMALL, write_study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a small study, with results.csv and summary.csv."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runs = read_table("results/small/runs.csv")
        results = collect_results(runs)
        costs = read_costs(["results/small/minilm/cost.json"])
        write_table("results.csv", results)
        write_table("summary.csv", summarise(results, read_comparisons(runs), costs))
    return folder


@pytest.fixture
def tables(made):
    """Summary and results of one model and task."""
    both = (read_table(made / f"{name}.csv") for name in ("summary", "results"))
    return tuple(table[table["task"] == "docs-pair"].reset_index(drop=True) for table in both)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of drawn texts that cover each other, or leave the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    unseen = set()  # labels of ticks outside an axis, which exist but are not drawn
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        unseen |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    drawn = [
        (artist.get_text(), artist.get_window_extent(canvas.get_renderer()))
        for artist in figure.findobj(Text)
        if artist.get_text().strip() and artist.get_visible() and artist not in unseen
    ]
    page = figure.bbox
    outside = [
        (text, "edge") for text, box in drawn if box.x0 < 0 or box.y0 < 0 or box.x1 > page.width or box.y1 > page.height
    ]
    return outside + [
        (one, other)
        for place, (one, first) in enumerate(drawn)
        for other, second in drawn[place + 1 :]
        if first.overlaps(second) and first.width * second.width > 0
    ]


def test_strategies_keep_their_own_colour_and_marker():
    styles = styles_of(["bottom", "top", "new-one", "bottom", "another"])
    assert list(styles) == ["bottom", "top", "new-one", "another"]
    assert styles["top"] == STYLES["top"] == styles_of(["top"])["top"]
    assert styles["new-one"] != styles["another"]
    everything = [*STYLES.values(), *OTHER_STYLES]
    assert len({colour for colour, _ in everything}) == len({marker for _, marker in everything})
    assert len(everything) == len(set(everything))


def test_every_number_of_dropped_layers_has_a_tick(tables):
    """Also where the only strategy at the deepest cut stands left of it."""
    summary, results = tables
    full, arms = summary[summary["origin"] == "baseline"], summary[summary["origin"] == "pretrained"]
    fewer = arms[arms["num_dropped"] < arms["num_dropped"].max()]
    first, *others = STYLES
    many = pd.concat([full, arms.assign(strategy=first), *(fewer.assign(strategy=name) for name in others)])
    figure = score_by_layers(many.reset_index(drop=True), results)
    (low, high), ticks = figure.axes[0].get_xlim(), figure.axes[0].get_xticks()
    shown = many.loc[many["origin"] == "pretrained", "num_dropped"]
    assert {tick for tick in ticks if low <= tick <= high} == set(range(int(shown.min()), int(shown.max()) + 1))


def test_score_by_layers_shows_means_seeds_and_the_full_model(tables):
    summary, results = tables
    figure = score_by_layers(summary, results)
    assert len(figure.axes) == 2
    panel = figure.axes[0]
    arms = summary[(summary["origin"] == "pretrained") & (summary["strategy"] == "top")]
    colour = STYLES["top"][0]
    line = next(line for line in panel.lines if to_hex(line.get_color()) == colour)
    np.testing.assert_allclose(line.get_ydata(), arms["score"])
    np.testing.assert_array_equal(np.round(line.get_xdata()), arms["num_dropped"])
    full = summary[summary["origin"] == "baseline"].iloc[0]["score"]
    assert any(np.allclose(line.get_ydata(), full) for line in panel.lines)
    seeds = results[results["primary"] & (results["origin"] == "pretrained")]
    shown = np.concatenate([dots.get_offsets()[:, 1] for dots in panel.collections if len(dots.get_offsets())])
    assert set(np.round(seeds["value"], 9)) <= set(np.round(np.asarray(shown, float), 9))
    assert {"layers dropped", "accuracy", "top", "bottom", "one seed", "collapsed seed"} <= set(texts(figure))
    assert any(text.startswith("full model\n") for text in texts(figure))
    assert any("constant answer" in text for text in texts(figure))


def test_score_by_cost_names_depths_and_marks_collapsed(tables):
    summary, _ = tables
    figure = score_by_cost(summary)
    assert len(figure.axes) == 6
    found = texts(figure)
    assert {"time for one text (ms), left is faster", "model file (MB), left is smaller"} <= set(found)
    assert {"3", "4", "5", "6", "layers left", "best at each depth", "hollow: a seed collapsed"} <= set(found)
    best = next(line for line in figure.axes[0].lines if line.get_linewidth() == 3)
    sound = summary[(summary["origin"].isin(["baseline", "pretrained"])) & (summary["collapsed"] == 0)]
    by_depth = sound.groupby("num_dropped")["score"].max().sort_index(ascending=False)
    np.testing.assert_allclose(best.get_ydata(), by_depth)


@pytest.mark.parametrize("origins", [["pretrained"], ["pretrained", "finetuned"]])
def test_no_text_covers_another(tables, origins):
    summary, results = tables
    chosen = [table[table["origin"].isin(["baseline", *origins])] for table in (summary, results)]
    assert overlapping(score_by_layers(*chosen)) == []
    assert overlapping(score_by_cost(chosen[0])) == []


def test_costs_that_depth_leaves_alone_are_left_out(tables):
    summary, _ = tables
    summary["model_bytes"] = 47_000_000
    labels = texts(score_by_cost(summary))
    assert not any("model file" in label for label in labels)
    times = [column for column in summary if column.startswith("latency")]
    assert "model file (MB), left is smaller" in texts(score_by_cost(summary.drop(columns=times)))


def test_one_seed_and_a_far_chance_level(tables):
    summary, results = tables
    results = results[results["seed"] == 1]
    summary = summary.assign(seeds=1, score_sd=np.nan, collapsed=0, chance=0.1)
    found = texts(score_by_layers(summary, results))
    assert "one seed" not in found
    assert "a constant answer scores 0.100, below this range" in found


def test_custom_sets_are_not_joined_by_a_line(tables):
    summary, results = (table.replace({"strategy": {"bottom": "custom"}}) for table in tables)
    figure = score_by_layers(summary, results)
    lines = [line for line in figure.axes[0].lines if line.get_marker() == STYLES["custom"][1]]
    assert [line.get_linestyle() for line in lines] == ["None"]


def test_the_same_figure_is_the_same_file(tables, tmp_path):
    for name in ("one", "other"):
        save(score_by_layers(*tables), tmp_path / name)
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"other{suffix}").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()


def test_the_palette_of_a_png_hardly_changes_a_colour(tables, tmp_path):
    figure = score_by_layers(*tables)
    save(figure, tmp_path / "figure")
    with mpl.rc_context(SETTINGS):
        figure.savefig(tmp_path / "exact.png")
    small, exact = (Image.open(tmp_path / name) for name in ("figure.png", "exact.png"))
    assert (small.size, small.info["dpi"]) == (exact.size, exact.info["dpi"])
    colours = [np.asarray(image.convert("RGB"), dtype=int) for image in (small, exact)]
    assert np.abs(colours[0] - colours[1]).max() <= 0.05 * 255
    assert (tmp_path / "figure.png").stat().st_size < (tmp_path / "exact.png").stat().st_size / 2


def test_script_draws(made, step):
    def draw(model: str, status: int = 0) -> str:
        options = ("--model", model, "--task", "similarity", "--output-dir", "figures")
        files = ("--summary", "summary.csv", "--results", "results.csv")
        return step("plot_results", *files, *options, folder=made, status=status).stderr

    draw("minilm")
    names = sorted(path.name for path in (made / "figures").iterdir())
    assert names == [f"score-by-{what}.{kind}" for what in ("cost", "layers") for kind in ("png", "svg")]
    assert draw("other", status=1) == "error: summary.csv: nothing about other on similarity\n"


def test_all_strategies_fit_into_the_legend(tables):
    summary, results = tables
    one = summary["origin"].isin(["baseline", "pretrained"])
    full, arms = (summary[one & (summary["strategy"] == name)] for name in ("none", "top"))
    names = list(STYLES)
    many = pd.concat([full, *(arms.assign(strategy=name) for name in names)], ignore_index=True)
    seeds = results[(results["origin"] == "pretrained") & (results["strategy"] == "top")]
    figure = score_by_layers(many, pd.concat([seeds.assign(strategy=name) for name in names], ignore_index=True))
    assert set(names) <= set(texts(figure))
    assert overlapping(figure) == []
    assert overlapping(score_by_cost(many)) == []
