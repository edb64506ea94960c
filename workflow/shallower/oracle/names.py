"""Tables and figures of judged strategies, by the names of their files."""

TABLES = ("subsets", "best", "regret", "strategies", "correlations", "shortlists", "coverage")
# With their titles, in the order of the page.
FIGURES = {
    "regret": "Regret: points below the best subset of the same size",
    "score-by-readout": "Subsets of layers before and after refining",
}
