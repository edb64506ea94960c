"""The GLUE tasks: columns, classes, metrics and files, as the Hugging Face data set nyu-mll/glue has them."""

from dataclasses import dataclass

HUB_REPOSITORY = "nyu-mll/glue"
HUB_REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"

SENTENCES = ("sentence1", "sentence2")
ENTAILMENT = ("entailment", "not_entailment")


@dataclass(frozen=True)
class GlueTask:
    """One task of GLUE (Wang et al., 2019).

    Attributes:
        text: columns of text, one or two.
        labels: class names in the order of their ids; None for regression (scores from 0 to 5).
        metrics: as Hugging Face's `glue` metric defines them for the task, the primary one first. For MRPC and
            QQP that is accuracy, which the paper reports.
        validation: name of the validation split. MNLI has two; the matched one, of the genres of the training
            set, is the one that is reported.
        further: names of further labelled splits, which a model may be tested on; test splits have no labels.
        paper_name: what Sajjad et al. call the task; None for those that they leave out (section 4).
        similarity_range: the lowest and the highest similarity of two sentences, where the label is one.
    """

    text: tuple[str, ...]
    labels: tuple[str, ...] | None
    metrics: tuple[str, ...] = ("accuracy",)
    validation: str = "validation"
    further: tuple[str, ...] = ()
    paper_name: str | None = None
    similarity_range: tuple[float, float] | None = None

    @property
    def target(self) -> str:
        """What the label is: "classification" or "regression"."""
        return "classification" if self.labels else "regression"

    @property
    def targets(self) -> tuple[str, ...]:
        """What a study may take the label for; the first is the default."""
        return (self.target, "embedding") if self.similarity_range else (self.target,)


GLUE_TASKS = {
    "cola": GlueTask(("sentence",), ("unacceptable", "acceptable"), ("matthews_correlation",)),
    "mnli": GlueTask(
        ("premise", "hypothesis"),
        ("entailment", "neutral", "contradiction"),
        validation="validation_matched",
        further=("validation_mismatched",),
        paper_name="MNLI",
    ),
    "mrpc": GlueTask(SENTENCES, ("not_equivalent", "equivalent"), ("accuracy", "f1"), paper_name="MRPC"),
    "qnli": GlueTask(("question", "sentence"), ENTAILMENT, paper_name="QNLI"),
    "qqp": GlueTask(("question1", "question2"), ("not_duplicate", "duplicate"), ("accuracy", "f1"), paper_name="QQP"),
    "rte": GlueTask(SENTENCES, ENTAILMENT, paper_name="RTE"),
    "sst2": GlueTask(("sentence",), ("negative", "positive"), paper_name="SST-2"),
    "stsb": GlueTask(SENTENCES, None, ("pearson", "spearmanr"), paper_name="STS-B", similarity_range=(0, 5)),
    "wnli": GlueTask(SENTENCES, ("not_entailment", "entailment")),
}


def hub_file(subset: str, split: str) -> str:
    """Path inside the hub's repository of the parquet file of a split ("train", "validation" or a further one)."""
    name = GLUE_TASKS[subset].validation if split == "validation" else split
    return f"{subset}/{name}-00000-of-00001.parquet"
