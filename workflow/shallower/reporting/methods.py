"""The last part of the report: how the numbers were made, what they can and cannot tell, and from what."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from shallower.core.runs import BASELINE
from shallower.core.wording import DASH, counted, listed, score_text
from shallower.evaluation.metrics import metric_title
from shallower.reporting.answer import ORIGINS
from shallower.reporting.page import definitions, folded, plain_table
from shallower.surgery.strategies import STRATEGIES, amount_label

PAPER = (
    "Sajjad, Dalvi, Durrani and Nakov, <i>On the effect of dropping layers of pre-trained transformer models</i>, "
    'Computer Speech &amp; Language 77, 2023 (<a href="https://doi.org/10.1016/j.csl.2022.101429">'
    'doi:10.1016/j.csl.2022.101429</a>; preprint <a href="https://arxiv.org/abs/2004.03844">arXiv:2004.03844</a>)'
)
SETTINGS = {
    "epochs": "epochs",
    "batch_size": "batch size",
    "learning_rate": "learning rate, falling linearly to zero",
    "warmup_ratio": "warm-up, share of steps",
    "weight_decay": "weight decay",
    "max_grad_norm": "gradients clipped to norm",
    "max_length": "tokens at most",
}
# Keys of a strategy's entry that limit it to a part of the study.
LIMITS = ("models", "tasks", "origins")


def methods(config: Mapping[str, Any], summary: pd.DataFrame, tasks: Mapping[str, Mapping[str, Any]]) -> str:
    """What was done, in the study's own settings (HTML).

    `config` is the study with its defaults filled in, `tasks` the content of task.json by task.
    """
    origins = [origin["name"] for origin in config["origins"]]
    steps = [
        "Each model was fine-tuned with all its layers on each task: the <b>full model</b>.",
        f"Layers were dropped by each strategy, and what was left was tuned: "
        f"{listed([f'<i>{escape(name)}</i> ({ORIGINS.get(name, name)})' for name in origins])}.",
        "Every tuned model was loaded anew from its folder and answered the validation examples. All scores, intervals "
        "and tests were computed from these stored answers."
        + (
            " That it answers the same when loaded with plain <code>from_pretrained</code> was checked "
            "(<code>reloaded.csv</code> beside its task)."
            if config.get("keep_models")
            else ""
        ),
        "Time and size were measured for every depth of each model, with random weights of the same shape.",
    ]
    if config.get("reproduction"):
        steps.append(
            f"For the paper's analyses, a linear classifier was trained on the sentence token's vector at every "
            f"depth of the full models (on at most {config['probe']['train_examples']:,} training examples), and "
            f"these vectors were compared with those of the pre-trained model. Parameter scores are of each layer's "
            f"{config['parameter_scores']['weights'].replace('-', ' ')}."
        )
    return (
        f"<p>The method is that of {PAPER}.</p><ol>{''.join(f'<li>{step}</li>' for step in steps)}</ol>"
        f"{_models(config)}{_tasks(config, summary, tasks)}{_training(config)}{_strategies(config)}"
    )


def statistics(config: Mapping[str, Any], beside_paper: bool) -> str:
    """What intervals, verdicts and tests mean, and their limits (HTML)."""
    evaluate = config["evaluate"]
    several = max(len(task.get("seeds") or config["seeds"]) for task in config["tasks"]) > 1
    texts = {
        "Intervals": f"{100 * evaluate['confidence']:g} % percentile intervals from {evaluate['bootstrap_samples']:,} "
        "bootstrap samples of the validation examples. Every run of a task sees the same samples, so differences are "
        "paired: what is hard for both cancels.",
        "Seeds": "Where an arm has several seeds, its score is their mean. "
        + (
            "Beside the paper, seeds are resampled as well, so that those intervals hold the luck of training too; "
            "with so few seeds they are still somewhat too narrow."
            if several
            else "There is one seed here, so no interval holds the luck of training, which is often the larger part."
        ),
    }
    if beside_paper:
        texts |= {
            "Inside, outside": "The paper gives single numbers, with neither seeds nor intervals. A value of it lies "
            "inside when it is within our interval (widened by the uncertainty of what was measured off a figure). "
            "Its own luck is not in the verdict: another run of the very same experiment can fall outside too, and a "
            "wide interval holds nearly anything.",
            "Means": "Over the paper's seven tasks, and over the five that it calls stable "
            "(without RTE and MRPC, whose small validation sets swing by several points). Means over fewer tasks say "
            "so.",
        }
    texts["Limits"] = (
        "Scores are those of the validation split, as in the paper; choosing the best of many arms on it flatters the "
        "winner. Latency is that of one machine. Classification and similarity of short texts say nothing about "
        "generation or reasoning."
    )
    return definitions(texts)


def provenance(
    manifests: Sequence[Mapping[str, Any]], models: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]]
) -> str:
    """Code, packages, machine, and checksums (HTML), from the manifests of the runs, models and tasks."""
    codes = [manifest["code"] for manifest in manifests if "code" in manifest]
    commits = dict.fromkeys(_commit(code) for code in codes)
    versions: dict[str, set[str]] = {}
    for manifest in manifests:
        for package, version in manifest.get("versions", {}).items():
            versions.setdefault(package, set()).add(str(version))
    machines = dict.fromkeys(_machine(manifest) for manifest in manifests if "device" in manifest)
    texts = {
        "Runs": _effort(manifests),
        "Machine": "; ".join(map(escape, machines)),
        "Code": listed(list(commits)),
        "Packages": escape(
            ", ".join(f"{package} {' and '.join(sorted(found))}" for package, found in versions.items())
        ),
    }
    sums = [
        (f"model {source['name']}", file, digest) for source in models for file, digest in source["sha256"].items()
    ] + [
        (f"task {source['source']['name']}", file, digest)
        for source in tasks
        for file, digest in source["sha256"].items()
    ]
    table = plain_table(
        ("what", "file", "SHA-256"),
        ([escape(what), escape(file), f"<code>{digest}</code>"] for what, file, digest in sums),
    )
    checksums = folded("Checksums of models and data", table) if sums else ""
    return (
        f"{definitions(texts)}{checksums}<p class=note>Beside each run, <code>manifest.json</code> says from which "
        "weights, data, settings, seed, code and packages it was made.</p>"
    )


def _models(config: Mapping[str, Any]) -> str:
    rows = (
        [escape(model["name"]), _model_source(model), escape(model.get("counterpart") or DASH)]
        for model in config["models"]
    )
    return plain_table(("model", "weights", "beside the paper's"), rows)


def _model_source(model: Mapping[str, Any]) -> str:
    if model["source"] == "hub":
        return f"hub, {escape(model['repository'])} <code>{model['revision'][:12]}</code>"
    if model["source"] == "package":
        return f"package {escape(model['package'])} {escape(model['version'])}"
    return f"folder <code>{escape(str(model['directory']))}</code>"


def _tasks(config: Mapping[str, Any], summary: pd.DataFrame, tasks: Mapping[str, Mapping[str, Any]]) -> str:
    """Rows as they were used, so that a slice of a task cannot pass for the whole."""
    rows = []
    for task in config["tasks"]:
        baseline = summary[(summary["task"] == task["name"]) & (summary["origin"] == BASELINE)].iloc[0]
        used = tasks.get(task["name"], {}).get("rows", {})
        seeds = task.get("seeds") or config["seeds"]
        rows.append(
            [
                escape(task["name"]),
                _task_source(task),
                f"{used['train']:,}{_slice(task, 'train_examples')}" if used else DASH,
                f"{baseline['n_examples']:,}{_slice(task, 'validation_examples')}",
                escape(listed([metric_title(metric) for metric in task["metrics"]])),
                score_text(baseline["chance"]),
                escape(" ".join(map(str, seeds))),
            ]
        )
    headings = ("task", "data", "training", "validation", "score (first: the one shown)", "constant answer", "seeds")
    return plain_table(headings, rows)


def _slice(task: Mapping[str, Any], key: str) -> str:
    return " <span class=tag>a subset</span>" if task.get(key) and task["source"] != "installed-docs" else ""


def _task_source(task: Mapping[str, Any]) -> str:
    if task["source"] == "glue":
        return f"GLUE {escape(task['subset'])}"
    if task["source"] == "hub":
        return f"hub, {escape(task['repository'])}"
    return "docstrings of installed packages" if task["source"] == "installed-docs" else "own files"


def _training(config: Mapping[str, Any]) -> str:
    columns = {"full model": config["train"]}
    for origin in config["origins"]:
        columns[origin["name"]] = {**config["train"], **config["refine"], **origin.get("refine", {})}
        if "stage" in origin:
            columns[f"{origin['name']}, before each drop"] = {**config["train"], **origin["stage"]}
    rows = (
        [title, *(f"{settings[key]:g}" for settings in columns.values())]
        for key, title in SETTINGS.items()
        if key in config["train"]
    )
    exceptions = [
        f"on {escape(task['name'])} {_settings(task[part])}{' when layers are gone' if part == 'refine' else ''}"
        for task in config["tasks"]
        for part in ("train", "refine")
        if task.get(part)
    ]
    said = f"<p class=note>Otherwise: {'; '.join(exceptions)}.</p>" if exceptions else ""
    return plain_table(("training (AdamW)", *map(escape, columns)), rows) + said


def _settings(settings: Mapping[str, Any]) -> str:
    return listed([f"{SETTINGS[key].split(',')[0]} {value:g}" for key, value in settings.items()])


def _strategies(config: Mapping[str, Any]) -> str:
    rows = []
    for entry in config["strategies"]:
        strategy = STRATEGIES[entry["name"]]
        where = "; ".join(f"{key[:-1]} {listed(entry[key])}" for key in LIMITS if entry.get(key)) or "everywhere"
        amounts = ", ".join(amount_label(amount) for amount in entry["amounts"])
        section = f" <small>{escape(_section(strategy.section))}</small>"
        rows.append([escape(strategy.name), escape(strategy.description) + section, escape(amounts), escape(where)])
    return plain_table(("strategy", "drops", "amounts", "where"), rows)


def _section(section: str) -> str:
    return f"section {section}" if section[0].isdigit() else section


def _effort(manifests: Sequence[Mapping[str, Any]]) -> str:
    trained = [manifest for manifest in manifests if not manifest.get("trained_as")]
    hours = sum(manifest["train_seconds"] for manifest in trained) / 3600
    text = f"{counted(len(manifests), 'run')}, {hours:.1f} hours of training"
    copied = len(manifests) - len(trained)
    return text + (f" ({copied} of them are the same as another and were trained once)" if copied else "")


def _machine(manifest: Mapping[str, Any]) -> str:
    text = f"{manifest['device']}, {manifest['precision']}"
    return text + (f", {counted(manifest['threads'], 'thread')} a run" if manifest["device"] == "cpu" else "")


def _commit(code: Mapping[str, Any]) -> str:
    if not code["commit"]:
        return "not from a git checkout"
    return f"<code>{escape(code['commit'][:12])}</code>{' with uncommitted changes' if code['dirty'] else ''}"
