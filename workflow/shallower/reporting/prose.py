"""Explanations that pages, the captions of Snakemake's report and the README share, word for word."""

KEPT = "the mean score of a pruned model in percent of the full model's mean score"
INTERVAL = "paired bootstrap over the validation split"
NO_SEED_VARIANCE = "It does not include seed variance"
ROBUST = "the interval and every seed stay within the tolerance"
COLLAPSED = "gives the same answer to everything"
NEVER_CHOSEN = "It stays in tables and figures and is never chosen."
LAYERS = "counted from 0 at the bottom, next to the embeddings"
HELD_OUT = "chosen on one half of the validation split, measured on the other"
SELECTION_BIAS = (
    "Scores are those of the validation split. Choosing the best of many arms on it is optimistic (selection bias)."
)
BUDGET_SCORE = (
    "A model meets the limit of the score when the lower end of the interval of the score that it keeps, over "
    "resamples of the validation split and of seeds together, is not below it. With two or three seeds such an "
    "interval is rather too narrow; with one it says nothing of other seeds."
)
CHOSEN_BY_IT = "The score of a model that was chosen is the one that it was chosen by."
TEST = (
    "Where a task has test examples, the model that was chosen is scored on them as well. Nothing was trained on them "
    "and no choice was made by them, so this score has no selection bias."
)
FIRST_SEED = (
    "Files are those of the first seed: to take the seed that scores best on the validation split would be one more "
    "choice by it."
)
STORED_PREDICTIONS = (
    "Every tuned model was loaded from its folder and predicted the validation split. All scores, intervals and "
    "tests were computed from these stored predictions."
)
MEASURED = "Time and size were measured for every depth of each model"
VARIANTS = (
    "Each mark is a model in one runtime with one vocabulary; the number in it is that of its layers. Times are those "
    "of the very files on one thread, measured in turns with the full model, and scores are those of their own "
    "predictions. Point at a mark, or touch it, for all of its numbers."
)
