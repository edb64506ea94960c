"""Figures over variants: what is drawn, and pages with charts to explore."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.markers import MarkerStyle
from test_figures import overlapping, texts

from made_up_variants import made_up_variants
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.core.tables import write_table
from shallower.core.wording import TIMES
from shallower.reporting.variant_charts import variant_figure
from shallower.reporting.variant_figures import score_by_variant
from shallower.reporting.variant_points import frontier, variant_points
from shallower.reporting.variants_page import VariantFigure, variants_content, variants_page

BUDGET = {"score_kept": 95, "latency_ms": 8, "batch_size": 1, "megabytes": 30}
CHOSEN = {"recommended": True, "origin": "finetuned", "strategy": "top", "amount": "2"}
RECOMMENDED = pd.Series(CHOSEN | {"runtime": "onnx-int8", "vocabulary": "trimmed"})
HOSTILE = "</script><script>alert('1')</script><!--"


@pytest.fixture(scope="module")
def rows():
    return made_up_variants(7)


def test_points_and_what_is_left_out(rows):
    points = variant_points(rows, BUDGET, RECOMMENDED)
    assert len(points.rows) == 42 and points.hidden == 0 and points.remark == ""
    assert points.limits == {"latency_ms": 8, "megabytes": 30, "height": 95}
    [chosen] = points.rows[points.rows["is_recommended"]].to_dict("records")
    assert (chosen["layers"], chosen["runtime"], chosen["vocabulary"]) == (5, "onnx-int8", "trimmed")
    assert points.rows["is_full"].sum() == 1
    ruined = rows.assign(kept_percent=np.where(rows["runtime"] == "onnx-int8", 55.0, rows["kept_percent"]))
    assert variant_points(ruined, BUDGET).remark == "14 variants keep less than 80 %, not drawn"
    assert variant_points(ruined, {"score_kept": 50}).hidden == 0
    # The recommended one and the full model are always there; without shares of the score, scores are drawn.
    assert variant_points(ruined, BUDGET, RECOMMENDED).rows["is_recommended"].sum() == 1
    unknown = variant_points(rows.assign(kept_percent=np.nan), BUDGET)
    assert unknown.height_label == "accuracy" and "height" not in unknown.limits
    assert unknown.rows["height"].equals(rows["score"])


def test_times_are_those_of_the_budgets_batch_size(rows):
    points = variant_points(rows, {"latency_ms": 100, "batch_size": 32})
    assert points.rows["latency_ms"].equals(rows["latency_ms_batch32"])


def test_the_frontier_has_what_no_other_beats():
    table = pd.DataFrame(
        [("a", 1, 90, 0), ("b", 2, 89, 0), ("c", 2, 95, 0), ("d", 3, 95, 0), ("e", 4, 99, 1), ("f", 5, 97, 0)],
        columns=["name", "cost", "height", "collapsed"],
    )
    assert frontier(table, "cost")["name"].tolist() == ["a", "c", "f"]


def test_the_figure_has_every_point_and_no_texts_on_each_other(rows):
    figure = score_by_variant(variant_points(rows, BUDGET, RECOMMENDED))
    for panel in figure.axes:
        # A marker for each variant, and a ring.
        assert len([each for each in panel.collections if isinstance(each, PathCollection)]) == 43
        assert panel.get_xscale() == "log"
    words = texts(figure)
    assert "recommended: 5 of 7 layers, ONNX int8, trimmed vocabulary" in words
    assert "the full model, as it was trained" in words
    without = score_by_variant(variant_points(rows[rows["vocabulary"] == "full"]))
    assert not any("recommended" in word or "trimmed" in word for word in texts(without))
    for each in (figure, without):
        named = {word for word in texts(each) if not word.replace(".", "").isdigit()}
        assert not [pair for pair in overlapping(each) if named & {*pair}]


def test_the_sign_for_the_number_of_layers_is_a_digit(rows):
    """Not the text by which matplotlib is asked for one."""
    figure = score_by_variant(variant_points(rows, BUDGET, RECOMMENDED))
    handles = [handle for legend in figure.legends for handle in legend.legend_handles]
    (sign,) = [handle for handle in handles if handle.get_label() == "number of layers kept"]
    drawn = sign._marker.get_path().vertices  # matplotlib has no public name for it
    assert len(drawn) == len(MarkerStyle("$4$").get_path().vertices)


def test_charts_hold_all_numbers_of_every_variant(rows, tmp_path):
    points = variant_points(rows, BUDGET, RECOMMENDED)
    figure = variant_figure(points, rows)
    for chart in figure.charts:
        text = json.dumps(chart["specification"])
        assert "5 of 7 layers, ONNX int8, trimmed vocabulary" in text
        data = chart["specification"]["datasets"].values()
        assert {row["text0"] for values in data for row in values} == {each["variant"] for each in figure.texts}
        assert "http" not in text.replace("https://vega.github.io/schema/vega-lite", "")
    assert len(figure.texts) == 42 and figure.recommended == "5 of 7 layers, ONNX int8, trimmed vocabulary"
    [chosen] = [each for each in figure.texts if each["variant"] == figure.recommended]
    assert chosen["time, batch 1"].replace("\N{NO-BREAK SPACE}", " ") == f"3.72 ms, 5.3 {TIMES} as fast (5.2 to 5.5)"
    figure.write(tmp_path / "chart.json")
    assert VariantFigure.read(tmp_path / "chart.json") == figure
    write_json(tmp_path / "chart.json", {"model": "m"})
    with pytest.raises(UserError, match="not the charts of variants"):
        VariantFigure.read(tmp_path / "chart.json")


def test_a_page_has_the_scripts_once_and_no_text_of_it_becomes_code(rows):
    hostile = rows.assign(model=HOSTILE, task=HOSTILE, strategy=HOSTILE, metric=HOSTILE)
    figures = [variant_figure(variant_points(each, BUDGET, RECOMMENDED), each) for each in (rows, hostile)]
    page = variants_page(figures, HOSTILE)
    # Four specifications, the runtime and what draws: nothing else opens or ends a script.
    opened = re.findall(r"<script[^>]*>", page)
    assert len(opened) == len(re.findall(r"</script", page)) == 6
    assert [tag for tag in opened if "json" not in tag] == ['<script type="module">'] * 2
    assert "<!--" not in page and "alert('1')</script>" not in page
    specifications = re.findall(r'<script type="application/json" id="chart-1-0">(.*?)</script>', page, re.DOTALL)
    assert json.loads(specifications[0]) == figures[1].charts[0]["specification"]
    assert page.count('data-chart="') == 4 and 0.8e6 < len(page.encode()) < 1.4e6
    # It works from disk: nothing is loaded.
    without_code = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"<(link|iframe|img|script)", without_code) and " src=" not in " ".join(opened)


def test_a_report_without_variants_has_no_scripts():
    assert variants_content([]) == {}


def test_the_script_writes_pictures_and_charts(tmp_path, rows, step):
    write_table(tmp_path / "variants.csv", rows)
    write_table(tmp_path / "recommended.csv", RECOMMENDED.to_frame().T.assign(model="minilm", task="sst2"))
    options = ("--model", "minilm", "--task", "sst2", "--budget", json.dumps(BUDGET), "--output-dir", ".")
    files = ("--variants", "variants.csv", "--recommended", "recommended.csv")
    step("plot_variants", *files, *options, folder=tmp_path)
    written = {path.name for path in tmp_path.iterdir()} - {"variants.csv", "recommended.csv"}
    assert written == {"score-by-variant.png", "score-by-variant.svg", "score-by-variant.json"}
    assert read_json(tmp_path / "score-by-variant.json")["recommended"].startswith("5 of 7 layers, ONNX int8")
