"""What a study may say: every key with its type, its default and its description.

workflow/schemas/study.schema.yaml is generated from these classes. Settings of single steps are in
`shallower.study.step_settings`, checks that concern several keys in `shallower.study.checks`. Only the Snakefile
imports these modules: pydantic is slow to import.
"""

from typing import Annotated, Literal

from pydantic import Field, Strict

from shallower.sources.labelled_files import REFUSE, SPLIT
from shallower.study.fields import (
    Amount,
    Commit,
    Distinct,
    Flag,
    Name,
    Number,
    OneOf,
    Package,
    Path,
    Repository,
    Sha256,
    Text,
    Version,
    Whole,
    optional,
)
from shallower.study.names import (
    FORMATS,
    GLUE_SUBSETS,
    METRIC_NAMES,
    ORIGIN_NAMES,
    PAPER_MODELS,
    PAPER_TASKS,
    STRATEGY_NAMES,
    TARGETS,
)
from shallower.study.step_settings import (
    Budget,
    Calibration,
    Compute,
    Deliver,
    Evaluate,
    Measure,
    ParameterScores,
    Probe,
    Race,
    Refining,
    Report,
    Settings,
    Subsets,
    Training,
    Tuning,
)

Seeds = Annotated[list[Annotated[Whole, Field(ge=0, le=2**32 - 1)]], Strict(), Field(min_length=1)]
Metrics = Annotated[list[Annotated[str, OneOf(METRIC_NAMES)]], Strict(), Field(min_length=1), Distinct()]
Range = Annotated[list[Number], Strict(), Field(min_length=2, max_length=2)]
Examples = Annotated[Whole, Field(ge=2)]
Limit = Annotated[list[Annotated[str, Strict()]], Strict(), Field(min_length=1), Distinct()]


# --- models --------------------------------------------------------------------------------------------------------


class Model(Settings):
    name: Name
    """Name of the model in this study: in tables, figures and folders."""
    sha256: Sha256 = optional()
    """SHA-256 of model.safetensors (of the merged or converted file, where it is made here), which is checked."""
    num_layers: Annotated[Whole, Field(ge=2, le=1000)] = optional()
    """Expected number of layers; impossible amounts are then refused before any download."""
    counterpart: Annotated[str, OneOf(PAPER_MODELS)] = optional()
    """The paper's model that this one is, or is compared with."""


class HubModel(Model):
    """A model on the Hugging Face hub."""

    source: Literal["hub"]
    """The model is on the Hugging Face hub."""
    repository: Repository
    """Repository on the Hugging Face hub, owner/name."""
    revision: Commit
    """
    A commit of the repository, 40 hexadecimal digits, so that it can never change under the study. It may be a commit
    of a pull request that is not merged.
    """
    pickled_weights: Annotated[str, OneOf(("convert",))] = optional()
    """
    Weights that come only as pytorch_model.bin are refused, since a pickle can hold code. With convert, torch's
    restricted unpickler reads them in a process of its own, and they become model.safetensors; SECURITY.md says what is
    trusted then.
    """


class PackageModel(Model):
    """A model shipped inside a Python package."""

    source: Literal["package"]
    """The model is shipped inside a Python package."""
    package: Package
    """Name of the package in the Python package index."""
    version: Version
    """Exact version, as text in quotes."""
    path: Path
    """Folder of the model inside the package."""


class LocalModel(Model):
    """A model folder on this machine, as save_pretrained writes it."""

    source: Literal["local"]
    """The model is in a folder on this machine."""
    directory: Path
    """The folder with config.json, safetensors and tokenizer."""


# --- tasks ---------------------------------------------------------------------------------------------------------


class Task(Settings):
    name: Name
    """Name of the task in this study: in tables, figures and folders."""
    metrics: Metrics = optional()
    """Scores to compute; the first is the primary one, which tables and figures show. By default those of the task."""
    train_examples: Examples = optional()
    """Use only this many training examples, drawn with a fixed seed."""
    validation_examples: Examples = optional()
    """Use only this many validation examples, drawn with a fixed seed."""
    test_examples: Examples = optional()
    """Use only this many test examples, drawn with a fixed seed."""
    train: Training = optional()
    """What differs for this task from the study's train."""
    refine: Refining = optional()
    """What differs for this task from train when a model is tuned after its layers were dropped."""
    calibration: Calibration = optional()
    """The calibration examples of this task, instead of the study's."""
    unlabelled_file: Path = optional()
    """
    File of texts without labels on this machine, or a pattern of several, in the form of the task's data (parquet, CSV,
    TSV, JSONL; its columns of text, its columns if they are named). Only for refining with a teacher (refine.distill),
    who answers them. Texts that the task's splits have, and repeats, are left out.
    """
    unlabelled_examples: Annotated[Whole, Field(ge=1)] = optional()
    """Use only this many of the texts without labels, drawn with a fixed seed from those that are not left out."""
    unlabelled_text: Text = optional()
    """
    Name of the column of text in unlabelled_file, for sentence embeddings, whose teacher answers single texts; by
    default the first of the task's columns of text.
    """
    unlabelled_unit: Literal["text", "line", "sentence"] = optional()
    """
    What of unlabelled_file is one text, for sentence embeddings: each text as it is (the default), each of its lines,
    or each of its sentences, which end with a full stop, a question mark or an exclamation mark before a blank.
    """
    seeds: Seeds = optional()
    """Seeds of this task's runs, instead of the study's; small tasks need more of them."""
    counterpart: Annotated[str | None, OneOf((*PAPER_TASKS, None))] = optional()
    """The paper's task that this one is, or is compared with. A GLUE task is its own counterpart by default."""


class GlueTask(Task):
    """A GLUE task, from glue_directory or from the hub."""

    source: Literal["glue"]
    """The task is part of GLUE."""
    subset: Annotated[str, OneOf(GLUE_SUBSETS)]
    """The GLUE task."""
    target: Annotated[str, OneOf(TARGETS)] = optional()
    """What the label is, where it is not what GLUE's own models answer: embedding, for stsb."""
    test_split: Text = optional()
    """
    A further labelled split, on which models are reported that were chosen by validation: validation_mismatched of
    MNLI. The labels of GLUE's own test splits are not published.
    """


class LabelledTask(Task):
    """Labelled text in files with columns of text and of labels."""

    text: Annotated[list[Text], Strict(), Field(min_length=1, max_length=2), Distinct()]
    """Names of one or two columns of text. For tokens, of the one column of words: a list a row, or of a CoNLL file."""
    label: Text = optional()
    """
    Name of the column that holds the label; for multi-label a list of labels, as a list or as text such as "a|b", []
    for none; for tokens a list of tags, one for each word.
    """
    label_columns: Annotated[list[Text], Strict(), Field(min_length=2), Distinct()] = optional()
    """
    Instead of label: names of columns with a 0 or 1 for each class, which are the names of the classes, too. Only for
    multi-label.
    """
    target: Annotated[str, OneOf(TARGETS)]
    """What the label is."""
    labels: Annotated[list[Text], Strict(), Field(min_length=2), Distinct()] = optional()
    """Names of the classes, in the order of their ids. Of tags for tokens. Only for kinds that have them."""
    threshold: Annotated[Number, Field(gt=0, lt=1)] = optional()
    """
    Probability above which a label is answered, 0.5 by default. Only for multi-label. Nothing is trained again for
    another one.
    """
    thresholds: Annotated[str, OneOf(("tuned",))] = optional()
    """
    tuned gives each label a threshold of its own, by which its F1 is highest among the full model's answers to the
    calibration examples; every run of the same seed is scored by it. Only for multi-label.
    """
    columns: Annotated[list[Text], Strict(), Field(min_length=2), Distinct()] = optional()
    """Names of all columns in their order, for CSV and TSV files without a header and for CoNLL files."""
    positive_class: Text = optional()
    """The class that f1 is of, one of labels, where there are two; by default the second, as in GLUE."""
    strict_entities: Flag = False
    """
    Only for tokens. Whether entity_f1 counts only entities that the tags' scheme allows, as seqeval's strict mode does.
    Otherwise an entity that begins wrongly counts from there on, as in CoNLL's scorer and in most published scores.
    """
    long_texts: Annotated[str, OneOf((SPLIT, REFUSE))] = optional()
    """
    Only for tokens. What becomes of a text of more than train.max_length tokens: split (the default) answers its parts,
    which overlap, and each word once; refuse stops with the row.
    """
    label_ranges: Annotated[list[Range], Strict(), Field(min_length=2)] = optional()
    """
    For labels that are ratings: the lowest and the highest number that counts as each class, both included, in the
    order of labels. Rows with a rating in no range are left out. Only for classification.
    """
    similarity_range: Range = optional()
    """
    The lowest and the highest similarity that a label can say, where they are not 0 and 1, such as [1, 5]. Only for
    embedding.
    """
    metrics: Metrics
    """Scores to compute; the first is the primary one, which tables and figures show."""


class FilesTask(LabelledTask):
    """Labelled text on this machine, in a file for training and a file for validation (parquet, CSV, TSV, JSONL).

    Files of text may be compressed with gzip, as in train.csv.gz.
    """

    source: Literal["files"]
    """The task is in files on this machine."""
    train_file: Path = optional()
    """
    File of labelled rows to train on, or a pattern of several, such as train-*.parquet. Sentence embeddings do without,
    where a teacher's vectors of unlabelled_file are all that is learnt.
    """
    validation_file: Path
    """File of labelled rows to score on, or a pattern of several."""
    test_file: Path = optional()
    """
    File of labelled rows, or a pattern of several, on which models are reported that were chosen by validation. Nothing
    is trained on them or chosen by them.
    """


class CollectionTask(Task):
    """A test collection on this machine: queries, documents, and judgements of which document answers which query.

    Queries and documents have columns of an id (_id or id), a text (text) and perhaps a title (title), judgements those
    of the query's id (query-id, query_id), the document's id (corpus-id, document_id) and a grade (score, relevance,
    grade), 0 or more. Files are parquet, CSV, TSV or JSONL, as BEIR's are.
    """

    source: Literal["collection"]
    """The task is a test collection in files on this machine."""
    target: Annotated[str, OneOf(("retrieval",))]
    """What models are scored on: retrieval, by the vectors of queries and documents."""
    queries_file: Path
    """File of queries."""
    corpus_file: Path
    """File of documents, or a pattern of several."""
    qrels_file: Path
    """File of judgements."""
    test_qrels_file: Path = optional()
    """File of judgements of other queries, on which models are reported that were chosen by those of qrels_file."""
    test_queries_file: Path = optional()
    """File of these queries, where they are not in queries_file."""
    train_file: Path = optional()
    """File of pairs of texts with their similarity to train on, or a pattern of several; not needed with a teacher."""
    text: Annotated[list[Text], Strict(), Field(min_length=2, max_length=2), Distinct()] = optional()
    """Names of the two columns of text in train_file."""
    label: Text = optional()
    """Name of the column of the similarity in train_file."""
    similarity_range: Range = optional()
    """The lowest and the highest similarity in train_file, where they are not 0 and 1."""
    metrics: Metrics
    """Scores to compute; the first is the primary one, which tables and figures show."""


class HubTask(LabelledTask):
    """A dataset on the Hugging Face hub, as parquet, CSV, TSV or JSONL files."""

    source: Literal["hub"]
    """The task is on the Hugging Face hub."""
    repository: Repository
    """Repository on the Hugging Face hub, owner/name."""
    revision: Commit
    """
    A commit of the repository, 40 hexadecimal digits, so that it can never change under the study. It may be a commit
    of a pull request that is not merged.
    """
    train_file: Path
    """Path of the training file inside the repository."""
    validation_file: Path
    """Path of the validation file inside the repository."""
    test_file: Path = optional()
    """Path of a file inside the repository, on which models are reported that were chosen by validation."""


class PackageTask(LabelledTask):
    """A file of labelled text inside a Python package's source archive or wheel, read as data and never run.

    Rows with the same text are one example. Examples are divided into training and validation with a fixed seed.
    """

    source: Literal["package"]
    """The task is a file inside a Python package."""
    package: Package
    """Name of the package in the Python package index."""
    version: Version
    """Exact version, as text in quotes."""
    sha256: Sha256
    """SHA-256 of the source archive or wheel, as the package index has it."""
    path: Path
    """Path of the data file inside it. An archive on the way counts as a folder."""
    format: Annotated[str, OneOf(FORMATS)] = "tsv"
    """Format of the data file, whatever its name."""
    validation_examples: Examples
    """How many examples are for validation, drawn with a fixed seed."""
    test_file: Path = optional()
    """
    Path of another data file inside the archive, of the same format and columns, on which models are reported that were
    chosen by validation.
    """


# --- what is dropped -----------------------------------------------------------------------------------------------


class Origin(Settings):
    name: Annotated[str, OneOf(ORIGIN_NAMES)]
    """
    Name of an origin (pretrained, finetuned, ...), which says how a run comes to the weights that layers are dropped
    from; README.md describes each.
    """
    refine: Refining = optional()
    """Refine-tuning settings for runs of this origin; they override the study's refine."""
    stage: Tuning = optional()
    """
    Only for origins that drop layers in stages (gradual). What differs from train in the training before each drop; two
    epochs by default.
    """


class Strategy(Settings):
    name: Annotated[str, OneOf(STRATEGY_NAMES, "strategy")]
    """Name of a strategy (top, bottom, symmetric, ...)."""
    amounts: Annotated[list[Amount], Strict(), Field(min_length=1)]
    """
    Numbers of layers to drop; for contribution thresholds between 0 and 1; for custom and keep lists of layer indices
    (0-based from the bottom).
    """
    protect: Annotated[list[Annotated[Whole, Field(ge=0)]], Strict(), Field(min_length=1), Distinct()] = optional()
    """
    Layers (0-based from the bottom) that are never dropped, whatever the strategy. For models whose layers have weights
    of their own.
    """
    scores_from: Annotated[str, Strict()] = optional()
    """
    Name of the task on whose texts layers are scored for runs on all tasks, as in the paper, whose choice is one for
    each model; each run's own task when left out. For strategies that score pre-trained models without labels.
    """
    models: Limit = optional()
    """Names of the models that the entry is limited to; all when left out."""
    tasks: Limit = optional()
    """Names of the tasks that the entry is limited to; all when left out."""
    origins: Limit = optional()
    """Names of the origins that the entry is limited to; all when left out."""


# --- the study ------------------------------------------------------------------------------------------------------


class StudySettings(Settings):
    """One complete YAML file that says which models to make shallower, on which tasks, and how.

    Lists are the axes of the grid. Paths are relative to the directory in which snakemake runs.
    """

    study: Name
    """Name of the study; outputs go to results/{study}."""
    glue_directory: Path | None = None
    """
    Folder with one sub-folder for each GLUE task, holding train and validation files (parquet, CSV, TSV or JSONL). With
    null, GLUE is downloaded from the Hugging Face hub at a pinned revision.
    """
    unlabelled_file: Path | None = None
    """The unlabelled_file of tasks that have none of their own; null for none."""
    models: Annotated[
        list[Annotated[HubModel | PackageModel | LocalModel, Field(discriminator="source")]],
        Strict(),
        Field(min_length=1),
    ]
    """Pre-trained models."""
    tasks: Annotated[
        list[Annotated[GlueTask | FilesTask | HubTask | PackageTask | CollectionTask, Field(discriminator="source")]],
        Strict(),
        Field(min_length=1),
    ]
    """Labelled text data, each a task to fine-tune on."""
    origins: Annotated[list[Origin], Strict(), Field(min_length=1)]
    """Which checkpoint layers are dropped from. The baseline, with all layers, always runs."""
    strategies: Annotated[list[Strategy], Strict(), Field(min_length=1)]
    """
    Rules that choose the layers to drop, each with its amounts. An entry holds for all models, tasks and origins, or
    for those that it names; a strategy may have several entries.
    """
    seeds: Seeds
    """Random seeds; each run is repeated with each, and the spread is reported."""
    parameter_scores: ParameterScores = Field(default_factory=ParameterScores)
    """How the strategies parameter-aggregation and parameter-variance score weights."""
    probe: Probe = Field(default_factory=Probe)
    """The classifiers that are trained on each layer of the fine-tuned models (the paper's Figure 3)."""
    reproduction: Flag = False
    """
    Whether the paper's tables, figures and observations are made, with the paper's numbers next to the study's. Models
    that have to be downloaded need num_layers then.
    """
    oracle: Flag = False
    """
    Whether the strategies are judged by what refining all subsets of layers shows: for the models, tasks and origins of
    which the strategy keep names all subsets of at least one size.
    """
    calibration: Calibration = optional()
    """Training examples that are kept for choices from data, such as the scoring of subsets of layers."""
    subsets: Subsets = Field(default_factory=Subsets)
    """How subsets of layers are scored, for the strategies that choose among them."""
    race: Race = Field(default_factory=Race)
    """How subsets of layers are raced, for the strategy subset-race."""
    train: Training = Field(default_factory=Training)
    """How the baseline is fine-tuned. Defaults are the paper's."""
    refine: Refining = Field(default_factory=Refining)
    """What differs from train when a model is tuned after its layers were dropped."""
    evaluate: Evaluate = Field(default_factory=Evaluate)
    """How predictions are scored."""
    measure: Measure = Field(default_factory=Measure)
    """How the cost of each depth is measured."""
    report: Report = Field(default_factory=Report)
    """What the tables answer."""
    budget: Budget = optional()
    """
    What a model may cost and must keep, one limit or several. The study then recommends one model for each model and
    task.
    """
    deliver: Deliver = optional()
    """
    The recommended models in the form in which they run, ready to ship: the study measures what each form costs and
    scores, recommends a model and its form, and writes them to delivered/.
    """
    compute: Compute = Field(default_factory=Compute)
    """The device, precision and threads of the work, and how it is interrupted."""
    keep_models: Flag = True
    """
    Whether the tuned models stay on disk after their predictions were made. Without them a run finds no result of an
    identical run to copy, unless both run at the same time.
    """
    pruned_dtype: Literal["fp32", "bf16"] = "fp32"
    """
    dtype of the saved pruned models. bf16 halves their size on disk; their predictions are made from the rounded
    weights, so that scores are those of the files. Baselines stay in fp32.
    """
