"""The tables of README.md and docs/ that are made from registries; run this file to write them.

In each page, a table is found by its header.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from shallower.models.encoder_families import ENCODERS
from shallower.models.families import FAMILIES, NOT_FOR_ALL
from shallower.paper.hypotheses import HYPOTHESES
from shallower.steps.table import STEPS, Step
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES

ROOT = Path(__file__).parents[1]


def strategy_table() -> str:
    rows = [(f"`{name}`", entry.description, entry.amount.description) for name, entry in STRATEGIES.items()]
    return table(("strategy", "drops", "amount"), rows)


def origin_table() -> str:
    return table(("origin", "how a run goes"), [(f"`{name}`", entry.description) for name, entry in ORIGINS.items()])


def family_table() -> str:
    rows = []
    for name, family in FAMILIES.items():
        refused = [kinds for kinds, reason_of in NOT_FOR_ALL.values() if reason_of(family)]
        engine = "our encoder" if name in ENCODERS else "transformers"
        rows.append((f"`{name}`", engine, family.no_onnx or "yes", ", ".join(refused)))
    return table(("`model_type`", "computed by", "ONNX", "not for"), rows)


def step_table() -> str:
    """The steps that a cluster runs as jobs, with their requests."""
    rows = [step_row(step) for step in STEPS.values() if step.is_job]
    return table(("step", "rules", "CPUs", "GPU", "memory by", "time by"), rows)


def step_row(step: Step) -> tuple[str, ...]:
    default = "the profile's default"
    return (
        f"`{step.script}`",
        ", ".join(f"`{rule}`" for rule in step.rules),
        "`compute.threads`" if step.is_parallel else "1",
        "1" if step.uses_gpu else "",
        summary(step.memory) if step.memory else default,
        summary(step.seconds) if step.seconds else default,
    )


def summary(formula: object) -> str:
    """The first line of a formula's docstring, as part of a sentence."""
    text = (formula.__doc__ or "").splitlines()[0].removesuffix(".")
    return text[:1].lower() + text[1:]


def claim_table() -> str:
    rows = [(f"`{entry.name}`", entry.claim, entry.criterion) for entry in HYPOTHESES]
    return table(("name", "claim", "criterion"), rows)


def rule_table() -> str:
    """The rules, each once, with the claims that they are of."""
    decisions = dict.fromkeys(entry.decision for entry in HYPOTHESES)
    of = {text: [f"`{entry.name}`" for entry in HYPOTHESES if entry.decision == text] for text in decisions}
    usual = max(decisions, key=lambda text: len(of[text]))
    rows = [("all others" if text == usual else ", ".join(of[text]), text) for text in decisions]
    return table(("rule of", "verdict"), sorted(rows, key=lambda row: row[1] == usual))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PAGES = {
    "README.md": (strategy_table, origin_table, family_table),
    "docs/cluster.md": (step_table,),
    "docs/claims.md": (claim_table, rule_table),
}


def with_tables(page: str, text: str) -> str:
    """The text of a page with its tables made again. Raises ValueError when one of them is not in it."""
    for make in PAGES[page]:
        new = make()
        header = new.partition("\n")[0]
        text, count = re.subn(rf"^{re.escape(header)}\n(\|.*\n)*", lambda _, new=new: new, text, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"{page} has {count} tables with the header {header}")
    return text


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        path.write_text(with_tables(page, path.read_text(encoding="utf-8")), encoding="utf-8")
