"""Write the recorded results into benchmarks/README.md: each table between its two markers, the prose left alone.

A marker is `<!-- NAME -->`, the end of its part `<!-- /NAME -->`, for each results/NAME.csv.
"""

import argparse
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from contest import BENCHMARKS, RESULTS
from delivered_summary import DELIVERED_MODE
from delivered_summary import conditions as delivered_conditions
from delivered_summary import goals as delivered_goals
from delivered_summary import table as delivered_table
from recorded import MACHINE, measured_on, verdict
from search_case import CHOICES
from search_summary import SEARCH_MODE, goals
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import write_text
from shallower.models.encoder_families import ENCODERS
from shallower.models.families import FAMILIES
from training_summary import MODE, TITLES, geometric_means, mode_title, parities, parity, summarise

# Contestants of compare_embeddings.py, and what makes up runs that stand in one table.
RIVAL, OURS, UNTRAINED = "sentence-transformers", "ours", "not trained"
SIGNIFICANT = 0.05
EMBEDDING_MODE = ["device", "threads", "texts"]
SWEEP_MODE = ["sweep", "device", "cores", "training_rows", "loops"]
# The name of the studies that measure_graph.py makes up; how much the price of a job may grow with their number.
SYNTHETIC, MOST_GROWTH = "synthetic", 1.1
MOST_JOBS_A_RUN = 5.7
# How many times as long as BERT other families of the packed encoder may take.
STEPS_MODE, AS_FAST = ["device", "threads", "steps"], 1.1
# Kinds of starts of measure_large_files.py, and how many seconds they may take.
FIRST, AGAIN, IN_A_JOB = "first", "again", "within a job of a cluster"
MOST_AGAIN, MOST_IN_A_JOB = 3, 1
# Per cent.
OVERHEAD_GOAL = 80
# How many times as fast as each loop a study should be.
SWEEP_GOALS = {"stock": 6, "tuned": 2.2}


def replace_part(text: str, name: str, content: str) -> str:
    """`text` with `content` between the markers of `name`. Raises UserError when it does not have them once each."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise UserError(f"README.md must have {start} and, after it, {end} once each")
    return text[: text.index(start) + len(start)] + f"\n{content}\n" + text[text.index(end) :]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown; numbers with three significant digits, a blank for what is missing."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def training_tables(runs: pd.DataFrame) -> str:
    """For each mode: speed and memory, our speed over the rivals', scores, and where it ran."""
    summary, verdicts, means = summarise(runs), parities(runs), geometric_means(summarise(runs))
    parts = []
    for mode, rows in summary.groupby(MODE, sort=False):
        of_mode = [(table[MODE] == list(mode)).all(axis=1) for table in (runs, verdicts, means)]
        here = runs[of_mode[0]]
        parts.append(f"### {mode_title(dict(zip(MODE, mode, strict=True)))}\n\n{_conditions(here)}")
        parts.append(_speed_table(rows))
        if of_mode[2].any():
            parts.append(_means_line(means[of_mode[2]].iloc[0]))
        if of_mode[1].any():
            parts.append(_score_table(rows, verdicts[of_mode[1]]))
    return "\n\n".join(parts)


def _conditions(runs: pd.DataFrame) -> str:
    row = runs.iloc[-1]
    rate = runs["matrix_flops"].median() / 1e9
    rows = runs.assign(rows=runs["examples"] / runs["epochs"]).groupby("task", sort=False)["rows"].first()
    trained = ", ".join(f"{task} {count:,.0f}" for task, count in rows.items())
    return (
        f"{measured_on(runs)}. Training rows: {trained}. Batch size {row['batch_size']}, {row['epochs']} epochs, "
        f"learning rate {row['learning_rate']:g}, at most {row['max_length']} tokens; "
        f"{runs['repetition'].nunique()} repetitions. Matrix products reach {rate:,.0f} GFLOP/s."
    )


def _speed_table(summary: pd.DataFrame) -> str:
    header = ["task", "contestant", "examples/s", "real tokens/s", "share of the matrix rate"]
    header += ["times stock", "times tuned", "whole run, s", "of it start-up, s"]
    header += ["runs/h", "times stock's", "CPU s", "peak MB"]
    rows = [
        [
            row["task"],
            TITLES[row["contestant"]],
            _spread(row, "examples_per_second"),
            row["tokens_per_second"],
            f"{100 * row['share']:.0f} %",
            row["over_stock"],
            row["over_tuned"],
            _spread(row, "wall_seconds"),
            row["start_up_seconds"],
            row["runs_per_hour"],
            row["wall_over_stock"],
            row["cpu_seconds"],
            row["peak_mb"],
        ]
        for _, row in summary.iterrows()
    ]
    return markdown_table(header, rows)


def _spread(row: pd.Series, name: str) -> str:
    return f"{_cell(row[name])} ({_cell(row[f'{name}_low'])} to {_cell(row[f'{name}_high'])})"


def _means_line(means: pd.Series) -> str:
    ratios = [
        f"{means[f'over_{rival}']:.2f} times the {rival} Trainer's examples/s, "
        f"{means[f'wall_over_{rival}']:.2f} times its runs/h"
        for rival in ("stock", "tuned")
        if not math.isnan(means[f"over_{rival}"])
    ]
    return f"Ours, geometric mean over tasks: {'; '.join(ratios)}."


def _score_table(summary: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    header = ["task", "score", "ours", "rival", "rival's", "difference", "spread over seeds", "seeds", "verdict"]
    found = {(row["task"], row["contestant"]): row for _, row in summary.iterrows()}

    def score(task: str, contestant: str) -> str:
        row = found[task, contestant]
        spread = f" ± {row['score_sd']:.4f}" if row["seeds"] > 1 else ""
        return f"{row['score']:.4f}{spread}"

    rows = [
        [
            *(row["task"], row["metric"], score(row["task"], "ours"), TITLES[row["rival"]]),
            *(
                score(row["task"], row["rival"]),
                f"{row['difference']:+.4f}",
                f"{row['spread']:.4f}" if row["spread"] > 0 else "",
            ),
            *(row["seeds"], row["verdict"]),
        ]
        for _, row in verdicts.iterrows()
    ]
    return markdown_table(header, rows)


def sweep_tables(runs: pd.DataFrame) -> str:
    """For each sweep: the study's wall time against those of the loops, medians over repetitions, and the goals."""
    header = ["contestant", "seconds", "times the study's", "CPU s", "runs/h", "scores above the study's"]
    parts = []
    for (name, device, cores, training_rows, loops), of_sweep in runs.groupby(SWEEP_MODE, sort=False):
        row, repetitions = of_sweep.iloc[-1], of_sweep["repetition"].nunique()
        conditions = (
            f"`{name}` on {device}, {cores} cores: {row['runs']} runs; training rows: {training_rows}. "
            f"{measured_on(of_sweep)}. Loops {loops}; repetitions: {repetitions}."
        )
        study = of_sweep[of_sweep["contestant"] == OURS]["seconds"].median()
        rows, verdicts = [], []
        for contestant, taken in of_sweep.groupby("contestant", sort=False):
            title = "the study" if contestant == OURS else f"loop of the {TITLES[contestant]}"
            seconds, differences = taken["seconds"].median(), taken["score_difference"].dropna()
            rows.append([title, _range(taken["seconds"]) if repetitions > 1 else seconds, f"{seconds / study:.2f}"])
            rows[-1] += [taken["cpu_seconds"].median(), 3600 * row["runs"] / seconds, next(iter(differences), "")]
            if goal := SWEEP_GOALS.get(contestant):
                verdicts.append(
                    f"- {verdict(seconds >= goal * study)}: {goal} times as fast as the {title}: {seconds / study:.2f}"
                )
        parts += [conditions, markdown_table(header, rows), "\n".join(verdicts)]
    return "\n\n".join(parts)


def engine_table(rows: pd.DataFrame) -> str:
    """The speed of each part as a share of the machine's matrix rate, against its goal."""
    row = rows.iloc[0]
    conditions = (
        f"{measured_on(rows)}. Threads: {row['threads']}; {row['rounds']} rounds, medians (quartiles); matrix "
        f"products reach {row['matrix_gflops']:.0f} GFLOP/s."
    )
    header = ["part", "task", "batch size", "GFLOP/s", "share of the matrix rate", "goal"]
    lines = []
    for _, row in rows.iterrows():
        share = "{share:.0%} ({share_low:.0%} to {share_high:.0%})".format(**row)
        goal = "" if math.isnan(row["goal"]) else f"{row['goal']:.0%}, {verdict(row['share'] >= row['goal'])}"
        lines.append([row["part"], row["task"], str(row["batch_size"] or "by tokens"), row["gflops"], share, goal])
    return f"{conditions}\n\n{markdown_table(header, lines)}"


def steps_table(rows: pd.DataFrame) -> str:
    """For each device: a training step of each contestant, and how many times as fast ours is; goals, by families."""
    parts = []
    for (device, threads, steps), of_mode in rows.groupby(STEPS_MODE, sort=False):
        header = [
            "model",
            "task",
            "batch size",
            *(f"{TITLES[name]}, ms" for name in TITLES),
            "examples/s",
            "times tuned",
        ]
        header += ["times stock", *(["ours, GPU MB"] if device == "cuda" else [])]
        lines = []
        for (model, task, batch_size), group in of_mode.groupby(["model", "task", "batch_size"], sort=False):
            found = group.set_index("contestant")
            step = found["milliseconds"]
            lines.append([model, task, str(batch_size)])
            lines[-1] += [
                "{milliseconds:.1f} ({lowest:.1f} to {highest:.1f})".format(**found.loc[name]) if name in step else ""
                for name in TITLES
            ]
            lines[-1].append(1000 * batch_size / step[OURS] if OURS in step else None)
            for rival in ("tuned", "stock"):
                lines[-1].append(f"{step[rival] / step[OURS]:.2f}" if {rival, OURS} <= {*step.index} else "")
            if device == "cuda":
                lines[-1].append(found["gpu_peak_mb"].get(OURS))
        conditions = (
            f"{measured_on(of_mode)}. Threads: {threads}; blocks of {steps} steps after one to warm up: "
            f"{of_mode['blocks'].iloc[0]}, median (lowest to highest)."
        )
        parts += [conditions, markdown_table(header, lines), *_family_goals(of_mode)]
    return "\n\n".join(parts)


def _family_goals(rows: pd.DataFrame) -> list[str]:
    """Families of the packed encoder are as fast as BERT, others no slower than the tuned Trainer."""
    steps = rows.pivot_table("milliseconds", ["task", "batch_size", "model"], "contestant")
    packed = [model for model in rows["model"].unique() if model in ENCODERS]
    others = [model for model in rows["model"].unique() if model in FAMILIES and model not in ENCODERS]
    found = []
    if "bert" in packed and len(packed) > 1:
        ours = steps[OURS].unstack("model")
        most = ours[packed].div(ours["bert"], axis=0).max().max()
        text = f"families of the packed encoder take at most {AS_FAST:g} times as long as BERT: {most:.2f} times"
        found.append(f"- {verdict(most <= AS_FAST)}: {text}")
    if others and "tuned" in steps:
        times = (steps["tuned"] / steps[OURS]).unstack("model")[others].min()
        values = ", ".join(f"{model} {value:.2f}" for model, value in times.items())
        text = f"families that transformers computes at least as fast as by the tuned Trainer, times: {values}"
        found.append(f"- {verdict(times.min() >= 1)}: {text}")
    return ["\n".join(found)] if found else []


def overhead_table(parts: pd.DataFrame) -> str:
    """What the processor time of a study went to."""
    row = parts.iloc[0]
    conditions = (
        f"The study of {row['study']}.yaml, {row['wall_seconds']:,.0f} s on {row['cores']} cores; {measured_on(parts)}."
    )
    lines = [(line["part"], line["cpu_seconds"], f"{line['per_cent']:.1f} %") for _, line in parts.iterrows()]
    share = parts.set_index("part").loc["mathematics", "per_cent"]
    text = f"at least {OVERHEAD_GOAL} % of the processor time for mathematics: {share:.1f} %"
    goal = f"- {verdict(share >= OVERHEAD_GOAL)}: {text}"
    return f"{conditions}\n\n{markdown_table(['part', 'CPU s', 'share'], lines)}\n\n{goal}"


def search_tables(summary: pd.DataFrame) -> str:
    """For each mode: prices and scores of each choice, or of each way of refining, and what became of the goals."""
    parts = []
    for mode, rows in summary.groupby(SEARCH_MODE, sort=False):
        compared, device, model, threads, dropped, most, epochs, refine_epochs = mode
        title = (
            f"{model} on {device}, {dropped} layers dropped, at most {most:,} training rows, epochs: {epochs} and "
            f"{refine_epochs} of refining, threads: {threads}"
        )
        parts.append(f"### {compared.capitalize()}: {title}\n\n{_search_conditions(rows)}")
        parts.append(_search_table(rows, "method" if compared == CHOICES else "refining"))
        parts.append("\n".join(f"- {verdict}: {text}" for text, verdict in goals(rows)))
    return "\n\n".join(parts)


def teachers_tables(table: pd.DataFrame) -> str:
    """For each model: scores of each way of learning, and its gain over others, by task and depth."""
    parts = []
    for model, of_model in table.groupby("model", sort=False):
        row, tasks = of_model.iloc[0], list(of_model["task"].unique())
        conditions = (
            f"{measured_on(of_model)}. {row['rows']:,} training rows and at most {row['unlabelled']:,} "
            f"texts without labels; {row['seeds']} seeds. Epochs of the full model {row['epochs']}, of refining "
            f"{row['refine_epochs']}; batch size {row['batch_size']}, learning rate {row['learning_rate']:g}."
        )
        scores, gains = [], []
        for (strategy, amount), of_arm in of_model.groupby(["strategy", "amount"], sort=False):
            arm = f"{strategy}, {amount}"
            found = {"full model": of_arm.drop_duplicates("task").set_index("task")["full_score"]}
            for way, column in (("rival", "rival_score"), ("way", "score")):
                unique = of_arm.drop_duplicates([way, "task"]).set_index("task")
                found |= {name: rows[column] for name, rows in unique.groupby(way, sort=False)}
            scores += [[arm, name, *(f"{values[task]:.1f}" for task in tasks)] for name, values in found.items()]
            for (way, rival), rows in of_arm.groupby(["way", "rival"], sort=False):
                by_task = rows.set_index("task")
                gains.append([arm, f"{way} over {rival}", *(_gain(by_task.loc[task]) for task in tasks)])
        parts += [f"### {model}\n\n{conditions}", markdown_table(["layers dropped", "learns from", *tasks], scores)]
        parts.append(markdown_table(["layers dropped", "gain of", *tasks], gains))
    return "\n\n".join(parts)


def _gain(row: pd.Series) -> str:
    """A difference with its interval; bold where it holds for all comparisons of the table."""
    text = f"{row['difference']:+.1f} ({row['low']:+.1f} to {row['high']:+.1f})"
    return f"**{text}**" if row["p_holm"] < SIGNIFICANT else text


def delivered_tables(rows: pd.DataFrame) -> str:
    """For each contest of delivered models: what each costs and keeps, and what became of the goals."""
    parts = []
    for mode, of_mode in rows.groupby(DELIVERED_MODE, sort=False):
        parts.append(f"### {mode[0]}, at most {mode[1]:,} training rows\n\n{delivered_conditions(of_mode)}")
        parts.append(markdown_table(*delivered_table(of_mode)))
        parts.append("\n".join(f"- {verdict}: {text}" for text, verdict in delivered_goals(of_mode)))
    return "\n\n".join(parts)


def embedding_tables(runs: pd.DataFrame) -> str:
    """For each number of texts: time and score of each way of refining, for all layers that were kept."""
    header = ["layers kept", "by", "seeds", "training, s", "whole run, s", "times as fast", "CPU s", "peak MB"]
    header += ["Spearman x 100", "against sentence-transformers"]
    parts = []
    for _, of_mode in runs.groupby(EMBEDDING_MODE, sort=False):
        row, lines = of_mode.iloc[-1], []
        for kept, of_kept in of_mode.groupby("kept", sort=False):
            scores = {name: group["spearman"].to_list() for name, group in of_kept.groupby("contestant", sort=False)}
            medians = of_kept.groupby("contestant")["wall_seconds"].median()
            for name, group in of_kept.groupby("contestant", sort=False):
                line = [str(kept), name, "" if name == UNTRAINED else str(len(group))]
                line += [_range(group[column]) for column in ("train_seconds", "wall_seconds")]
                rival = name == OURS and RIVAL in medians
                line += [f"{medians[RIVAL] / medians[OURS]:.2f}" if rival else ""]
                line += [group["cpu_seconds"].median(), group["peak_mb"].median()]
                spread = f" ± {group['spearman'].std():.2f}" if len(group) > 1 else ""
                line += [f"{group['spearman'].mean():.2f}{spread}"]
                line += ["{0:+.2f}, {2}".format(*parity(scores[OURS], scores[RIVAL])) if rival else ""]
                lines.append(line)
        title = f"{row['texts']:,} sentences on {row['device']}, {row['threads']} threads"
        conditions = (
            f"{measured_on(of_mode, ('torch', 'transformers', 'sentence-transformers'))}. Batch size "
            f"{row['batch_size']}, {row['epochs']:g} epochs, learning rate {row['learning_rate']:g}, "
            f"warm-up over {row['warmup_ratio']:.0%} of the steps."
        )
        parts += [f"### {title}\n\n{conditions}", markdown_table(header, lines)]
    return "\n\n".join(parts)


def _range(values: pd.Series) -> str:
    if values.isna().all():
        return ""
    return f"{_cell(values.median())} ({_cell(values.min())} to {_cell(values.max())})"


def _search_conditions(summary: pd.DataFrame) -> str:
    row, tasks = summary.iloc[-1], [task for _, task in summary.drop_duplicates("task").iterrows()]
    sizes = ", ".join(f"{task['task']} {task['train_examples']:,}" for task in tasks)
    full = ", ".join(
        f"{task['task']} {task['full_score']:.2f} ({task['metric']}) after {task['full_seconds']:.0f} s"
        for task in tasks
    )
    passes = ", ".join(f"{task['task']} {task['forward_seconds']:.2f} s" for task in tasks)
    return (
        f"{measured_on(summary)}. Training rows: {sizes}; {row['calibration']} calibration examples; "
        f"{row['seeds']} seeds. Epochs of the full model {row['epochs']}, of refining {row['refine_epochs']}; "
        f"batch size {row['batch_size']}, learning rate {row['learning_rate']:g}. Full model's score: {full}. "
        f"A forward pass over the calibration texts: {passes}."
    )


def _search_table(summary: pd.DataFrame, column: str) -> str:
    taught = column == "refining"
    header = ["task", column, *["more texts"] * taught, "keeps", "choosing, s", "refining, s", "fine-tunings"]
    header += ["in full refinings", "forward passes", "score", "% of the full model's", "difference", "from", "p"]
    rows = [
        [
            *(row["task"], row[column], *([_more_texts(row)] if taught else [])),
            *(str(row["kept_layers"]), row["choose_seconds"], row["refine_seconds"]),
            *(row["fine_tunings"], row["refinings"], row["forward_passes"]),
            *(_interval(row, "score", ".2f"), _interval(row, "kept", ".1f"), _interval(row, "difference", "+.2f")),
            *(row["against"] if isinstance(row["against"], str) else "", row["p_value"]),
        ]
        for _, row in summary.iterrows()
    ]
    return markdown_table(header, rows)


def _more_texts(row: pd.Series) -> str:
    return f"{row['more_texts']:,}" if row["more_texts"] else ""


def _interval(row: pd.Series, name: str, style: str) -> str:
    if math.isnan(row[name]):
        return ""
    return f"{row[name]:{style}} ({row[f'{name}_low']:{style}} to {row[f'{name}_high']:{style}})"


def graph_table(plans: pd.DataFrame) -> str:
    """Processor seconds and memory of planning studies, medians over repeats, and what became of the goals."""
    header = ["study", "runs", "jobs", "CPU s", "of 1,000 jobs", "peak MB"]
    rows = [
        [*plan[["study", "runs", "jobs"]], _median_of(plan), *plan[["seconds_per_thousand_jobs", "megabytes"]]]
        for _, plan in plans.iterrows()
    ]
    synthetic = plans[plans["study"] == SYNTHETIC].sort_values("jobs")
    verdicts = [
        f"{verdict(plan['seconds'] <= limit)}: at most {limit} s for {name}: {plan['seconds']:.1f} s"
        for name, limit, chosen in (
            ("10,000 jobs", 25, synthetic[synthetic["jobs"].between(9_000, 11_000)]),
            ("the paper's study", 55, plans[plans["study"] == "paper"]),
        )
        for _, plan in chosen.iterrows()
    ]
    if len(synthetic) >= 3:
        steps = synthetic.tail(3)[["jobs", "seconds"]].diff().dropna()
        first, last = steps["seconds"] / steps["jobs"]
        verdicts.append(
            f"{verdict(last <= MOST_GROWTH * first)}: linear growth: a further job of the largest study costs "
            f"{last / first:.2f} times one of the second"
        )
    if len(synthetic):
        jobs = synthetic["jobs"].iloc[-1] / synthetic["runs"].iloc[-1]
        verdicts.append(f"{verdict(jobs < MOST_JOBS_A_RUN)}: fewer than {MOST_JOBS_A_RUN} jobs a run: {jobs:.1f}")
    return "\n\n".join(
        [f"{measured_on(plans)}.", markdown_table(header, rows), "\n".join(f"- {text}" for text in verdicts)]
    )


def _median_of(plan: pd.Series) -> str:
    return f"{_cell(plan['seconds'])} ({_cell(plan['fastest'])} to {_cell(plan['slowest'])})"


def large_files_table(starts: pd.DataFrame) -> str:
    """How long starts with files of so many rows take, and what became of the goals."""
    header = ["rows", "MB", "start", "starts", "seconds"]
    rows = [
        [
            *start[["rows", "megabytes", "start", "starts"]],
            f"{start['seconds']:.2f} ({start['lowest']:.2f} to {start['highest']:.2f})",
        ]
        for _, start in starts.iterrows()
    ]
    least, most = starts["rows"].min(), starts["rows"].max()
    seconds = starts.set_index(["rows", "start"])["seconds"]
    again, more = seconds[most, AGAIN], seconds[most, IN_A_JOB] - seconds[least, IN_A_JOB]
    verdicts = [
        f"- {verdict(again <= MOST_AGAIN)}: a second start with {most:,} rows in {MOST_AGAIN} s: {again:.1f} s",
        f"- {verdict(more <= MOST_IN_A_JOB)}: at most {MOST_IN_A_JOB} s more within a job than with {least:,} rows: "
        f"{more:.1f} s",
    ]
    return "\n\n".join([f"{measured_on(starts)}.", markdown_table(header, rows), "\n".join(verdicts)])


def plain_table(content: pd.DataFrame) -> str:
    """A recorded table as it is, below where it was measured."""
    columns = [name for name in content.columns if name not in MACHINE]
    header = [name.replace("_", " ") for name in columns]
    return f"{measured_on(content)}.\n\n{markdown_table(header, content[columns].itertuples(index=False))}"


TABLES = {
    "training": training_tables,
    "sweep": sweep_tables,
    "steps": steps_table,
    "graph": graph_table,
    "large_files": large_files_table,
    "overhead": overhead_table,
    "engine": engine_table,
    "search": search_tables,
    "teachers": teachers_tables,
    "delivered": delivered_tables,
    "embeddings": embedding_tables,
}


def write_readme(results: Path = RESULTS, readme: Path | None = None) -> None:
    """Renew the part of each result that a README.md has a marker for: for the recorded results the one next to them.

    Results in another folder change none, unless it is named.
    """
    if readme is None:
        if results.resolve() != RESULTS:
            return
        readme = BENCHMARKS / "README.md"
    text = readme.read_text(encoding="utf-8")
    for name in re.findall(r"<!-- ([\w-]+) -->", text):
        file = results / f"{name}.csv"
        if file.exists():
            text = replace_part(text, name, TABLES.get(name, plain_table)(pd.read_csv(file)))
    write_text(readme, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    run_step(parser, lambda _: write_readme())
