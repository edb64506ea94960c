"""The paper's tables and figures that a study is compared with."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shallower.core.runs import Run
from shallower.paper import shown_runs
from shallower.paper.shown_runs import Models

# The tables of a study that items are made from, below its folder.
TABLES_OF_STUDY = {"states": "states.csv", "scores": "scores.csv"}
# The paper's models whose time of inference is the subject of a claim (see `printed_numbers`).
TIMED_MODELS = ("XLNet",)


@dataclass(frozen=True)
class Item:
    """A table or figure of the paper, or what it says without one.

    Attributes:
        title: its heading.
        note: what it shows, and how it differs from the paper's.
        runs: which of the study's runs it shows, or None when it is made from a table.
        table: the table that it is made from, a key of `TABLES_OF_STUDY`, or "".
        shows_speed: whether it shows how fast models are, too.
        is_figure: whether it is drawn; otherwise it is shown as a table.
    """

    title: str
    note: str
    runs: Callable[[Iterable[Run], Models], list[Run]] | None = None
    table: str = ""
    shows_speed: bool = False
    is_figure: bool = False


# In the order of reading.
ITEMS = {
    "table-2": Item(
        "Table 2: top layers dropped, task by task",
        "The top layers of the pre-trained model are dropped, then it is fine-tuned. Score on the validation set.",
        shown_runs.without_albert,
    ),
    "figure-2": Item(
        "Figure 2: strategies compared, mean over tasks",
        "Each strategy drops the same number of layers; the mean is over the paper's seven tasks where all were run. "
        "The paper prints these scores as bars only, so its values were measured off the figure.",
        shown_runs.deep_models,
        is_figure=True,
    ),
    "preprint-figure-3": Item(
        "Figure 3 of the preprint: strategies compared on six layers",
        "As Figure 2, for a model of six layers. In the preprint only; measured off its bars.",
        shown_runs.shallow_models,
        is_figure=True,
    ),
    "table-3": Item(
        "Table 3: loss, size and speed",
        "Loss is the mean score lost, in points. The paper mixes the mean over seven tasks (BERT, XLNet) with the "
        "mean over five (RoBERTa); both are given here. Times were measured on the machine of this study; the paper's "
        "on its own.",
        shown_runs.top_cuts,
        shows_speed=True,
    ),
    "table-4": Item(
        "Table 4: layers that can be dropped within 1, 2 and 3 points",
        "On one half of the validation set: the most top layers that can be dropped while the score stays within so "
        "many points. Below it the loss: what dropping that many layers loses on the other half, which was not used "
        "for the choice. Where only the preprint has a value, it was chosen on the full validation set.",
        shown_runs.top,
    ),
    "table-5": Item(
        "Table 5: ALBERT, whose layers share their weights",
        "Top layers of ALBERT dropped. Its layers are one set of weights, so dropping saves time but no memory.",
        shown_runs.of_albert,
    ),
    "table-6": Item(
        "Table 6: half of the layers dropped, or distilled",
        "A model without its top half, compared with models of that depth that were made by distillation. Rows of "
        "other papers are quoted by the paper; their metric for QQP is not always the same as its own.",
        shown_runs.top_half,
    ),
    "table-7": Item(
        "Table 7: dropped before or after fine-tuning",
        "The same layers dropped from the pre-trained and from the fine-tuned model, and from one that was fine-tuned "
        "while these layers were frozen.",
        shown_runs.before_or_after_finetuning,
    ),
    "gradual": Item(
        "Gradual dropping: one layer after every few epochs",
        "Score of gradual dropping minus that of dropping at once, for the same layers. The paper reports no "
        "improvement, without numbers.",
        shown_runs.gradual_or_at_once,
    ),
    "contribution": Item(
        "Contribution scores: how little each layer changes the [CLS] token",
        "Mean cosine between the [CLS] token's vector before and after a layer, in the pre-trained model. Layers are "
        "counted from 0 at the bottom. The paper drops a layer whose cosine is above a threshold.",
        table="scores",
        is_figure=True,
    ),
    "figure-3": Item(
        "Figure 3: classifiers on every layer of the fine-tuned models",
        "A linear classifier on the [CLS] token's vector, after each layer of the fine-tuned model. Depth 0 is the "
        "output of the embeddings.",
        table="states",
        is_figure=True,
    ),
    "preprint-figure-5": Item(
        "Figure 5 of the preprint: how far fine-tuning moves each layer",
        "Cosine between the [CLS] token's vector in the pre-trained and in the fine-tuned model, at each depth. In the "
        "preprint only; measured off its lines.",
        table="states",
        is_figure=True,
    ),
}
TABLES = [name for name, item in ITEMS.items() if not item.is_figure]
FIGURES = [name for name, item in ITEMS.items() if item.is_figure]
