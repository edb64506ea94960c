"""The paper's claims as hypotheses: each with its criterion, and the contrasts that decide it.

The claims are those of Sajjad et al.: the abstract, sections 4 to 6, tables 1, 2, 6 and 7, and figure 5 of the first
preprint (arXiv 2004.03844v1).
"""

from collections.abc import Iterator

from shallower.paper.claims import MARGIN, NOTHING_FOUND, OVERLAP, SAME_NUMBERS, SCORE_AND_NUMBERS, Finding, Hypothesis
from shallower.paper.contribution_sets import contribution_sets
from shallower.paper.evidence import Evidence
from shallower.paper.losses import distilled, robust_tasks, score_kept, small_tasks, symmetric_loss
from shallower.paper.objectives import deep_cut, middle_layers, plateau, similarity
from shallower.paper.orderings import best_or_worst, odd_alternate, variance_or_aggregation, variance_second
from shallower.paper.printed_numbers import ROUNDED, data_sizes, nine_layers
from shallower.paper.ways_of_training import after_finetuning, gradually, more_epochs

_HALF, _LOWER, _STRATEGIES = "Half of the layers can go", "Lower layers matter most", "Strategies differ"
_TASKS, _OBJECTIVES, _TRAINING = "Some tasks are robust", "Objectives differ", "When to drop, and how long to train"
_NUMBERS = "Numbers in the text and in table 1"
_LEARNED = "Tasks that the full model has not learned, at the confidence of the intervals, are left out."


def _bottom_worst(evidence: Evidence) -> Iterator[Finding]:
    return best_or_worst(evidence, "bottom", is_best=False)


def _top_best(evidence: Evidence) -> Iterator[Finding]:
    return best_or_worst(evidence, "top", is_best=True)


HYPOTHESES = (
    Hypothesis(
        _HALF,
        "score-kept",
        "Models without 40 % of their parameters, 6 of 12 layers, keep up to 98.2 % of their score (abstract).",
        "Without the top half of the layers: the mean score over tasks, minus 98.2 % of the full model's, plus "
        f"{MARGIN:g} point. The paper's sentence is about the best of its models; here each has a verdict. {_LEARNED}",
        score_kept,
    ),
    Hypothesis(
        _HALF,
        "distilled",
        "BERT and RoBERTa without their top half are on a par with distilled models (abstract, table 6).",
        "On the five tasks of table 6: the mean score of the model without its top half, minus that of the distilled "
        f"model of the same depth, tuned on the same task, plus {MARGIN:g} point (non-inferiority). {_LEARNED}",
        distilled,
    ),
    Hypothesis(
        _LOWER,
        "bottom-worst",
        "Dropping from the bottom is the worst strategy (section 5.1, figure 2).",
        "At the deepest cut that the strategies share: the mean score over tasks of each other strategy of the paper, "
        "minus that of bottom.",
        _bottom_worst,
    ),
    Hypothesis(
        _LOWER,
        "top-best",
        "Dropping from the top is the best strategy at the deepest cut (section 5.1, figure 2).",
        "At the deepest cut that the strategies share: the mean score over tasks of top, minus that of each other "
        "strategy of the paper.",
        _top_best,
    ),
    Hypothesis(
        _STRATEGIES,
        "odd-alternate",
        "With two of twelve layers dropped odd-alternate is better than top (section 5.1).",
        "With a sixth of the layers dropped: the mean score over tasks of odd-alternate, minus that of top. Other "
        "strategies are shown only: in figure 2 some are above odd-alternate.",
        odd_alternate,
    ),
    Hypothesis(
        _STRATEGIES,
        "variance-second",
        "With six of twelve layers dropped parameter-variance is the second best strategy (section 5.1).",
        "With half of the layers dropped: the mean score over tasks of parameter-variance, minus that of each other "
        "strategy of the paper but top. Whether top is better still is the claim top-best.",
        variance_second,
    ),
    Hypothesis(
        _STRATEGIES,
        "variance-aggregation",
        "Parameter-variance is better than parameter-aggregation (section 5.1).",
        "With a sixth, a third and half of the layers dropped: the mean score over tasks of parameter-variance, minus "
        "that of parameter-aggregation.",
        variance_or_aggregation,
    ),
    Hypothesis(
        _STRATEGIES,
        "contribution-sets",
        "The layers that contribute least are the same on all tasks: one set for each model (section 5.1).",
        "Layers scored on each task with the pre-trained weights, for each amount of contribution and "
        "contribution-rank: the overlap of the sets dropped (Jaccard index, mean over pairs of tasks) minus that of "
        "independent random sets of the same sizes, and minus one half.",
        contribution_sets,
        OVERLAP,
    ),
    Hypothesis(
        _TASKS,
        "robust-tasks",
        "QQP and STS-B lose least, MNLI and QNLI lose most (section 6).",
        "With the top half of the layers dropped: the loss in points on MNLI and on QNLI, minus that on QQP and that "
        f"on STS-B. {_LEARNED}",
        robust_tasks,
    ),
    Hypothesis(
        _TASKS,
        "small-tasks",
        "What dropping top layers changes on RTE and MRPC is not significant (section 5.2, table 2).",
        "The score of the full model minus that without a sixth, a third and half of its layers, from the top, on RTE "
        "and on MRPC, by McNemar's test. The losses on the other tasks of table 2 are tested together with these, and "
        f"count in the correction only. {_LEARNED}",
        small_tasks,
        NOTHING_FOUND,
    ),
    Hypothesis(
        _OBJECTIVES,
        "middle-layers",
        "Dropping middle layers hurts XLNet more than BERT (section 5.1, figure 2: symmetric, 2 layers).",
        f"At the smallest symmetric cut: the mean loss over tasks of XLNet, minus that of BERT. {_LEARNED}",
        middle_layers,
    ),
    Hypothesis(
        _OBJECTIVES,
        "deep-cut",
        "RoBERTa and XLNet lose less than BERT without their top half (table 2).",
        "With the top half of the layers dropped: the mean loss over tasks of BERT, minus that of RoBERTa and that of "
        f"XLNet. {_LEARNED}",
        deep_cut,
    ),
    Hypothesis(
        _OBJECTIVES,
        "plateau",
        "Layer-wise classifiers of RoBERTa and XLNet stop gaining near depth 7 of 12, BERT's rise on (figure 3).",
        "What classifiers gain from depth 7 (of 12) to the last, mean over tasks: BERT's, minus RoBERTa's and XLNet's.",
        plateau,
    ),
    Hypothesis(
        _OBJECTIVES,
        "similarity",
        "Fine-tuning changes BERT more the higher the layer, but XLNet most in the middle (preprint, figure 5).",
        "Cosine of pre-trained and fine-tuned states, mean over tasks: BERT's middle depths (3 to 6 of 12) minus its "
        "upper ones (8 to 11); XLNet's upper minus its middle ones.",
        similarity,
    ),
    Hypothesis(
        _TRAINING,
        "after-finetuning",
        "Dropping from the fine-tuned model gives about the same as from the pre-trained one (table 7).",
        "With the top half of the layers dropped, on the five tasks of table 7: the mean score with origin finetuned "
        f"minus that with origin pretrained, plus {MARGIN:g} point, and the reverse (equivalence). {_LEARNED}",
        after_finetuning,
    ),
    Hypothesis(
        _TRAINING,
        "gradual",
        "Dropping layers gradually is no improvement (section 4).",
        "For whatever a study drops gradually: the mean score over tasks of dropping the same at once, minus that of "
        f"dropping gradually, plus {MARGIN:g} point (non-inferiority). {_LEARNED}",
        gradually,
    ),
    Hypothesis(
        _TRAINING,
        "epochs",
        "Training for more than three epochs is no improvement, nor is it between two drops (section 4).",
        "For whatever a study drops from both origins, pretrained and pretrained-longer: the mean score over tasks "
        f"after the study's epochs (three in the paper), minus that after twice as many, plus {MARGIN:g} point "
        f"(non-inferiority). More epochs between two drops are not tested. {_LEARNED}",
        more_epochs,
    ),
    Hypothesis(
        _NUMBERS,
        "symmetric-loss",
        "BERT without its two middle layers loses 0.97 points, mean over seven tasks (section 5.1).",
        f"The loss minus 0.97, plus {MARGIN:g} point, and 0.97 minus the loss, plus {MARGIN:g} point (equivalence).",
        symmetric_loss,
    ),
    Hypothesis(
        _NUMBERS,
        "nine-layers",
        "XLNet can do without nine of its layers on QQP: 60 % fewer parameters, 80 % less inference time (section 6).",
        f"The score without them minus that of the full model, plus {MARGIN:g} point, above zero; the changes of "
        f"parameters and of inference time within {ROUNDED:g} percentage points of the paper's.",
        nine_layers,
        SCORE_AND_NUMBERS,
    ),
    Hypothesis(
        _NUMBERS,
        "data-sizes",
        "The tasks have as many examples to train on and to validate as in table 1.",
        "Numbers of examples as they arrived, of each split that the study uses whole: the same as the paper's.",
        data_sizes,
        SAME_NUMBERS,
    ),
)
