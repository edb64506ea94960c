"""What tables, figures and pages of judged strategies call things; no more than that, so that pages are made fast."""

# Tables, by the names of their files.
TABLES = ("subsets", "best", "regret", "strategies", "correlations", "shortlists", "coverage")
# Figures by the names of their files, with their titles, in the order of the page.
FIGURES = {
    "regret": "Regret: points below the best subset of the same size",
    "score-by-readout": "Subsets of layers before and after refining",
}

# How often the examples are halved.
HALVINGS = 10

# In the column `strategy`: what a subset of the size, drawn at random, would lose.
RANDOM = "random"
# Strategies whose regrets differ by less than this many points, with the whole interval, count as equally good.
MARGIN = 1.0
# In the column `verdict`.
BEST, WITHIN, WORSE, UNDECIDED = "loses least", "as good", "worse", "undecided"

# In the column `measure` of correlations: scores of the same subsets after refining with the other seeds, which show
# how well any score can be expected to rank them; and sums of layer scores.
OTHER_SEEDS = "other seeds"
SUMMED = "sum of "
# In the column `num_kept` of correlations: among subsets of the same size, and over those of all sizes.
WITHIN_SIZES, ALL_SIZES = "within", "all"
# In the column `task` of a row that is the mean over all tasks: blank.
MEAN = ""
