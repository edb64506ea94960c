"""The page of judged strategies says what its tables say."""

import re

import pytest
from made_up import make_place

from shallower.core.tables import read_table, write_table
from shallower.oracle.figures import draw
from shallower.oracle.names import FIGURES
from shallower.oracle.page import oracle_page, oracle_section
from shallower.oracle.sentences import (
    correlation_sentence,
    coverage_sentences,
    number,
    price_text,
    shortlist_sentence,
    strategy_sentences,
)
from shallower.oracle.tables import judge
from shallower.reporting.figures import save

SCORES = {"0": [50], "1": [60], "2": [70], "0 1": [80], "0 2": [90], "1 2": [85]}
LOSSES = {"0": 0.9, "1": 0.7, "2": 0.8, "0 1": 0.4, "0 2": 0.5, "1 2": 0.6}


@pytest.fixture
def tables(tmp_path):
    """The tables of a study, as they are read from their files."""
    places = [
        make_place(SCORES, readout_loss=LOSSES, layer_scores={"taylor": [1, 2, 3], "magnitude": [3, 2, 1]}),
        make_place({name: SCORES[name] for name in ("0", "1", "2", "0 1")}, readout_loss=LOSSES, task="u"),
    ]
    for name, table in judge(places, 0.95).items():
        write_table(tmp_path / f"{name}.csv", table)
    return {path.stem: read_table(path) for path in tmp_path.glob("*.csv")}


def test_sentences_name_what_is_best_and_what_is_as_good_and_its_price(tables):
    said = [sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in strategy_sentences(tables["strategies"])]
    # Regrets of bottom are 5, 0 and 0; taylor, on t alone, also keeps 1 2 and 2.
    assert said[0].startswith("Of the strategies that can leave any number of layers bottom loses least against ")
    assert "the best subset of the same size: 1.7 (1.7 to 1.7) points" in said[0]
    assert "the mean of 3 cases" in said[0]
    minus = "\N{MINUS SIGN}5.0"
    assert f"Better, where they can choose: even-alternate ({minus}) and symmetric ({minus})." in said
    good = next(sentence for sentence in said if sentence.startswith("As good"))
    assert good.endswith("below 1.0 points: taylor (costs 3 passes).")
    assert any(sentence.startswith("Worse:") and "top (+15.0)" in sentence for sentence in said)
    assert "That choice costs nothing: bottom needs no data and no forward pass." in said
    assert any(sentence.startswith("A subset drawn at random loses") for sentence in said)


def test_a_free_rule_is_compared_with_a_better_one_that_is_not(tables):
    rows = tables["strategies"]
    rows = rows[~rows["strategy"].isin(["bottom", "magnitude", "odd-alternate"])].assign(reference="subset-readout")
    said = " ".join(strategy_sentences(rows))
    assert (
        "Of the rules that cost nothing and can drop any number of layers top loses least, 15.0 (15.0 to 15.0) points"
        in said
    )
    assert said.count("it is worse") == 1


def test_other_sentences(tables):
    means = {name: tables[name][tables[name]["task"].isna()] for name in ("shortlists", "correlations")}
    shortlist = shortlist_sentence(means["shortlists"])
    assert "1: 10.0 (10.0 to 10.0); 2: " in shortlist and re.search(r"4 subsets are enough|2 subsets are", shortlist)
    best = correlation_sentence(means["correlations"])
    assert "taylor, sum over the dropped layers (Spearman's correlation 0.75" in best
    assert coverage_sentences(tables["coverage"]) == [
        "m on u (origin finetuned), 2 layers kept: 1 of 3 subsets are refined."
    ]


def test_numbers_and_prices():
    assert (number(-0.04), number(-0.06), number(3)) == ("0.0", "\N{MINUS SIGN}0.1", "3.0")
    assert price_text(0, 0) == "nothing"
    assert price_text(1, 10.5) == "1 refining, 10.5 passes"
    assert price_text(0, 1) == "1 pass"


def test_page_and_section_hold_figures_tables_and_what_is_not_judged(tables, tmp_path):
    for name in FIGURES:
        save(draw(name, tables), tmp_path / name)
    figures = {name: tmp_path / f"{name}.svg" for name in FIGURES}
    page = oracle_page(tables, figures, 0.95)
    assert page.count("data:image/svg+xml") == len(FIGURES)
    assert "Not judged: m on u (origin finetuned), 2 layers kept" in page
    assert "With one seed, the chances of a training" in page
    for name in ("bottom", "subset-readout", "a random subset", "taylor, sum over the dropped layers"):
        assert f">{name}</th>" in page
    section = oracle_section(tables, figures, 0.95)
    assert "bottom loses least" in section.lead
    assert 'id="oracle"' in section.body and "oracle" in section.contents
