"""The card of a delivered model: README.md with the hub's metadata, in words for people who use the model."""

from functools import cache
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shallower.core.model_classes import NO_HEAD, SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION
from shallower.core.variants import INT8, TORCH
from shallower.core.wording import (
    DASH,
    Unit,
    counted,
    layer_ranges,
    listed,
    megabytes,
    milliseconds,
    percent,
    score_text,
)
from shallower.delivery.description import RUNTIMES, Delivered, Form, Score
from shallower.delivery.markdown import Markdown, escaped, literal, plain
from shallower.task_kinds.registry import task_kind

TEMPLATES = Path(__file__).parents[2] / "templates"
# Of kinds of task with a card of their own. Not in the kinds: all steps that know these would depend on their cards.
CARD = "delivered_card.jinja"
CARDS = {
    "multi-label": "delivered_card_multi_label.jinja",
    "ranking": "delivered_card_ranking.jinja",
    "tokens": "delivered_card_tokens.jinja",
    "embedding": "delivered_card_embedding.jinja",
    "retrieval": "delivered_card_embedding.jinja",
}
# The hub's names of metrics, where they are other ones.
HUB_METRICS = {"pearson": "pearsonr", "macro_f1": "f1", "micro_f1": "f1", "subset_accuracy": "accuracy"}
# The hub's names of what models do, by transformers' class, unless their kind of task has its own.
PIPELINES = {
    SEQUENCE_CLASSIFICATION: "text-classification",
    TOKEN_CLASSIFICATION: "token-classification",
    NO_HEAD: "sentence-similarity",
}
# What loads a model with all that belongs to it, by its name on the hub.
TRANSFORMERS, SENTENCE_TRANSFORMERS = "transformers", "sentence-transformers"
# Identifiers of licences that the hub knows; other licences are given by their name.
# Source: https://huggingface.co/docs/hub/repositories-licenses
HUB_LICENSES = frozenset(
    """
    apache-2.0 mit openrail bigscience-openrail-m bigscience-bloom-rail-1.0 bsl-1.0 bsd-2-clause bsd-3-clause
    bsd-3-clause-clear cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0
    cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
    cc-by-nc-sa-4.0 isc gpl gpl-2.0 gpl-3.0 agpl-3.0 lgpl lgpl-2.1 lgpl-3.0 mpl-2.0 epl-1.0 epl-2.0 eupl-1.1
    eupl-1.2 zlib unlicense wtfpl artistic-2.0 afl-3.0 ms-pl odbl pddl odc-by gemma llama2 llama3
    """.split()  # noqa: SIM905 (readable)
)


def model_card(delivered: Delivered) -> str:
    """The content of README.md."""
    body = _environment().get_template(CARDS.get(delivered.target, CARD)).render(_content(delivered))
    return str(ModelCard(f"---\n{card_data(delivered).to_yaml()}\n---\n{body}"))


def card_data(delivered: Delivered) -> ModelCardData:
    """The hub's metadata. What is not on the hub is named in the text only; the language is not known."""
    base, dataset = delivered.base, delivered.dataset
    runtimes = [form.runtime for form in delivered.forms]
    pipeline = _pipeline(delivered)
    library = TRANSFORMERS if delivered.embedding is None else SENTENCE_TRANSFORMERS
    tags = [pipeline, *[library] * (library != TRANSFORMERS), "shallower", "layer-dropping"]
    return ModelCardData(
        model_name=plain(f"{delivered.model}-{delivered.task}"),
        base_model=base.hub,
        datasets=[dataset.hub] if dataset.hub else None,
        library_name=library,
        pipeline_tag=pipeline,
        tags=[*tags, *["onnx"] * (len(runtimes) > 1), *["int8"] * (INT8 in runtimes)],
        eval_results=_eval_results(delivered) or None,
        **_license(base.license),
    )


def _pipeline(delivered: Delivered) -> str:
    """The hub's name of what the model does."""
    return task_kind(delivered.target).pipeline or PIPELINES[delivered.model_class]


def _license(name: str | None) -> dict[str, Any]:
    if not name:
        return {}
    if name.lower() in HUB_LICENSES:
        return {"license": name.lower()}
    return {"license": "other", "license_name": plain(name)}


def _eval_results(delivered: Delivered) -> list[EvalResult]:
    """What the recommended form of this run scores."""
    dataset, best = delivered.dataset, delivered.best
    scores = {"validation": best.validation, "test": best.test}
    return [
        EvalResult(
            task_type=_pipeline(delivered),
            dataset_type=dataset.hub or plain(dataset.name),
            dataset_name=plain(dataset.name),
            dataset_config=dataset.config,
            dataset_revision=dataset.revision,
            dataset_split=split,
            metric_type=HUB_METRICS.get(score.metric, score.metric),
            metric_name=plain(f"{score.title}, {RUNTIMES[best.runtime].title}"),
            metric_value=round(score.value, 6),
        )
        for split, score in scores.items()
        if score is not None
    ]


@cache
def _environment() -> Environment:
    # In Markdown, HTML's escaping is not enough; `finalize` is asked about everything that is inserted.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        undefined=StrictUndefined,
        finalize=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"literal": literal}
    return environment


def _content(delivered: Delivered) -> dict[str, Any]:
    onnx = [form for form in delivered.forms if form.runtime != TORCH]
    shown = delivered.best if delivered.best in onnx else onnx[0] if onnx else None
    latencies = [delivered.full.latency, *(form.latency for form in delivered.forms)]
    return {
        "delivered": delivered,
        "best": RUNTIMES[delivered.recommended].title,
        "best_file": Markdown(RUNTIMES[delivered.recommended].model),
        "summary": _summary(delivered),
        "interval": _interval_sentence(delivered.best),
        "forms": _form_rows(delivered),
        "sizes": sorted({texts for latency in latencies for texts in latency}),
        "scores": _score_rows(delivered),
        "onnx_file": Markdown(RUNTIMES[shown.runtime].model) if shown else None,
        "layers": f"{len(delivered.kept_layers)} of {counted(delivered.full.num_layers, 'layer')}",
        "kept": layer_ranges(delivered.kept_layers),
        "settings": [(name, DASH if value is None else value) for name, value in sorted(delivered.settings.items())],
        "limits": [*_limits(delivered), *map(escaped, delivered.limits)],
    }


def _summary(delivered: Delivered) -> Markdown:
    """What the recommended form is, how much smaller and faster, and what it keeps."""
    best, full = delivered.best, delivered.full
    gains = [f"its file is {_times(full.size / best.size)} smaller"] if best.size < full.size else []
    sizes = sorted(set(best.latency) & set(full.latency))
    faster = [f"{_times(full.latency[texts] / best.latency[texts])} as fast for {_texts(texts)}" for texts in sizes]
    gains += [f"it answers {listed(faster)} at once"] if faster else []
    compared = f"Compared with the full model in PyTorch, {' and '.join(gains)}." if gains else ""
    row = task_kind(delivered.target).row
    kept = [*_kept_sentences(best.validation, "validation", row), *_kept_sentences(best.test, "test", row)]
    return Markdown(" ".join([*[compared] * bool(gains), *kept]))


def _kept_sentences(score: Score | None, split: str, row: Unit) -> list[str]:
    """The score kept on a split, with its interval, and the scores themselves; `row` is what the split has many of."""
    if score is None:
        return []
    begin = "It" if split == "validation" else "On the test split, by which nothing was chosen, it"
    title, mean = escaped(score.title), "mean " * (score.seeds > 1)
    kept = []
    if score.kept is not None:
        kept = [f"{begin} keeps **{percent(score.kept)} of the full model's {title}**{_kept_interval(score)}."]
    of_split = Unit(f"{split} {row.one}", f"{split} {row.many}")
    on = f"on {of_split.counted(score.examples)}{score.in_groups} and {counted(score.seeds, 'seed')}"
    means = f"{score_text(score.mean)}{_interval(score)} {on}, the full model's {score_text(score.full)}"
    return [*kept, f"Its {mean}{title} is {means}."]


def _kept_interval(score: Score) -> str:
    if score.kept_low is None or score.kept_high is None:
        return ""
    return f" ({_confidence(score)} interval {percent(score.kept_low)} to {percent(score.kept_high)})"


def _interval(score: Score) -> str:
    return "" if score.low is None or score.high is None else f" ({score_text(score.low)} to {score_text(score.high)})"


def _confidence(score: Score) -> str:
    return percent(100 * score.confidence, 0)


def _interval_sentence(form: Form) -> Markdown | None:
    """What the intervals cover, and what they do not."""
    scores = [score for score in (form.validation, form.test) if score is not None]
    if not any(score.kept_low is not None or score.low is not None for score in scores):
        return None
    if all(score.seeds > 1 for score in scores):
        covered = "how much the score would differ with other texts of the same kind and with other seeds"
    else:
        covered = "how much the score would differ with other texts of the same kind, not with another seed"
    return Markdown(
        f"An interval says {covered} (bootstrap). It does not cover that this model was chosen by its validation score."
    )


def _texts(number: int) -> str:
    return "one text" if number == 1 else f"{number} texts"


def _times(ratio: float) -> str:
    return f"**{ratio:.{0 if ratio >= 20 else 1}f} times**"


def _form_rows(delivered: Delivered) -> list[dict[str, Any]]:
    """The forms, and the full model that they are compared with."""
    rows: list[dict[str, Any]] = [
        {
            "title": RUNTIMES[form.runtime].title,
            "file": Markdown(f"`{RUNTIMES[form.runtime].model}`"),
            "packages": listed(RUNTIMES[form.runtime].packages),
            "size": megabytes(form.size),
            "latency": form.latency,
            "best": form.runtime == delivered.recommended,
        }
        for form in delivered.forms
    ]
    full = {"title": "full model, PyTorch, fp32", "file": DASH, "packages": DASH, "best": False}
    rows.append({**full, "size": megabytes(delivered.full.size), "latency": delivered.full.latency})
    for row in rows:
        row["latency"] = {texts: milliseconds(duration) for texts, duration in row["latency"].items()}
    return rows


def _score_rows(delivered: Delivered) -> list[dict[str, str]]:
    """A row for each form and split that has a score."""
    splits = (("validation", "validation"), ("test", "test"))
    return [
        _score_row(form, split, getattr(form, attribute), task_kind(delivered.target).row)
        for split, attribute in splits
        for form in delivered.forms
        if getattr(form, attribute) is not None
    ]


def _score_row(form: Form, split: str, score: Score, row: Unit) -> dict[str, str]:
    kept = DASH if score.kept is None else percent(score.kept)
    if score.kept is not None and score.kept_low is not None and score.kept_high is not None:
        kept += f", {percent(score.kept_low)} to {percent(score.kept_high)}"
    return {
        "title": RUNTIMES[form.runtime].title,
        "split": f"{split}, {row.counted(score.examples)}{score.in_groups}",
        "metric": score.title,
        "value": score_text(score.value),
        "mean": Markdown(f"{score_text(score.mean)}{_interval(score)}"),
        "full": score_text(score.full),
        "kept": kept,
        "seeds": str(score.seeds),
        "confidence": _confidence(score),
    }


def _limits(delivered: Delivered) -> list[Markdown]:
    """What users have to mind, of every delivered model."""
    tested = delivered.best.test is not None
    rest = "the scores on the test split are free of that." if tested else "expect somewhat lower ones on other texts."
    limits = [
        "The model was chosen by the scores on the validation split that are given here, so these are too high by an "
        f"unknown, usually small amount; {rest}",
        "It was trained and scored on texts of one data set. Texts of another kind, in another language or on another "
        f"subject can get {'wrong answers with high probabilities' if delivered.labels else 'worse answers'}.",
        f"Inputs are cut to {delivered.inputs.max_length} tokens.",
        "What holds for the model that it was made from, its licence and its biases among it, holds for this one.",
    ]
    if delivered.base.license is None:
        limits.append("The licence of that model is not on record: look it up before you pass this one on.")
    if delivered.vocabulary.is_trimmed:
        limits.append("Tokens that the training texts do not use were left out: rare words are split into more pieces.")
    if any(form.runtime == INT8 for form in delivered.forms):
        limits.append(
            "The int8 form gives slightly different numbers on different processors, and for the same text alone and "
            "together with others."
        )
    if any(form.latency for form in delivered.forms):
        limits.append("Times are of one machine; the ratios differ on others.")
    return list(map(Markdown, limits))
