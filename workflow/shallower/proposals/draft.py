"""The proposed study as it is written, YAML with a comment for each decision, and what is said of it."""

import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shallower.core.layout import SPLITS, TEST
from shallower.proposals.base import Decision, KindProposal
from shallower.proposals.columns import Column
from shallower.proposals.models import ProposedModel
from shallower.proposals.request import Request
from shallower.proposals.sizes import LONGEST, Lengths, examples
from shallower.study.step_settings import Training

SEEDS = [1, 2]
# Of models that the template says nothing of: the defaults of a study, and a batch that suits a laptop.
_DEFAULTS = {key: Training.model_fields[key].default for key in ("epochs", "learning_rate")}
TRAIN = {"epochs": _DEFAULTS["epochs"], "batch_size": 16, "learning_rate": _DEFAULTS["learning_rate"]}
BUDGET = {"score_kept": 95}
WIDTH = 118
# Characters that YAML does not allow, in comments neither.
_NOT_IN_YAML = re.compile(r"[^\t\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Draft:
    """All that was decided.

    Attributes:
        request: what was asked for.
        model: the model.
        template: a study whose training, budget and delivery are taken.
        proposal: of the kind of task.
        decisions: the keys of the task's entry, with reasons.
        columns: of the training file.
        rows: number of rows of each split.
        scored: on how many rows of each split but the first models can be scored.
        lengths: of its texts.
        remarks: sentences on the files.
    """

    request: Request
    model: ProposedModel
    template: Mapping[str, Any]
    proposal: KindProposal
    decisions: tuple[Decision, ...]
    columns: tuple[Column, ...]
    rows: Mapping[str, int]
    scored: Mapping[str, int]
    lengths: Lengths
    remarks: tuple[str, ...]

    def value(self, key: str) -> Any:
        """What was decided for a key of the task's entry; None for one that it lacks."""
        return next((each.value for each in self.decisions if each.key == key), None)

    @property
    def command(self) -> str:
        """The command that runs the study."""
        return f"make run STUDY={shlex.quote(str(self.request.study_file))}"

    @cached_property
    def train(self) -> dict[str, Any]:
        """Settings of training."""
        own = self.template.get("train", {}) if self.model.is_template else {}
        return TRAIN | own | {"max_length": self.lengths.max_length}

    @cached_property
    def refine(self) -> dict[str, Any]:
        """Settings of refining."""
        return {"epochs": self.template.get("refine", {}).get("epochs", 1)} if self.model.is_template else {}

    @cached_property
    def deliver(self) -> dict[str, Any] | None:
        """Settings of delivery; None where the kind has none."""
        if "deliver" in self.proposal.kind.unsupported:
            return None
        return self.template.get("deliver", {}) | ({} if self.model.can_export else {"runtimes": ["torch"]})

    @cached_property
    def examples(self) -> dict[str, int]:
        """How many examples are used of the splits that are not used as a whole."""
        epochs = {0: self.train["epochs"]} | dict.fromkeys(self.model.amounts, (self.train | self.refine)["epochs"])
        minutes = len(SEEDS) * self.model.minutes_per_row(epochs, self.lengths.mean)
        return examples({**self.rows, **self.scored}, len(self.value("labels") or ()), minutes)

    def task(self) -> dict[str, Any]:
        """The task's entry."""
        request = self.request
        files = {split: request.files.get(split) for split in self.rows}
        if request.is_divided:
            files |= {split: str(request.data_folder / f"{split}.jsonl") for split in request.divided_shares}
        keys: dict[str, Any] = {"name": request.study_name, "source": "files"}
        keys |= {f"{split}_file": name for split, name in files.items()}
        has_names = request.is_divided and TEST not in request.files
        keys |= {"columns": list(request.columns)} if request.columns and not has_names else {}
        keys |= {each.key: each.value for each in self.decisions}
        return keys | {f"{split}_examples": size for split, size in self.examples.items()}

    def said(self) -> Iterator[str]:
        """What was found and decided, line by line."""
        files = ", ".join(self.request.files.values())
        yield f"{files}: {', '.join(f'{count:,} {split}' for split, count in self.rows.items())} rows"
        yield from (f"  {column.name!r}: {column.holds}" for column in self.columns)
        for each in self.decisions:
            yield f"{each.key}: {_inline(each.value)}"
            yield f"  since: {each.reason}{f' (other: {each.other})' if each.other else ''}"
        yield f"model: {self.model.entry['name']}, {self.model.reason} (other: MODEL=)"
        for split, size in self.examples.items():
            yield f"{split}_examples: {size:,} of {self.rows[split]:,}, so that it takes minutes (remove it to use all)"
        yield from self.remarks
        if TEST not in self.rows:
            yield "There are no test examples: the score of a model that validation chose is optimistic (TEST=)"

    def study(self, estimate: str = "") -> str:
        """The text of the study, with a sentence on how long it takes."""
        reasons = {
            each.key: f"{each.reason[:1].upper()}{each.reason[1:]}.{f' Other: {each.other}.' if each.other else ''}"
            for each in self.decisions
        }
        for split in self.examples:
            whole = f"Of {self.rows[split]:,}"
            reasons[f"{split}_examples"] = f"{whole}, so that the study takes minutes; remove the line to use all."
        return _TEMPLATE.render(
            {
                name: getattr(self, name)
                for name in ("model", "columns", "remarks", "train", "refine", "deliver", "command")
            },
            name=self.request.study_name,
            estimate=estimate,
            train_file=self.request.files[SPLITS[0]],
            task=self.task(),
            reasons=reasons,
            seeds=SEEDS,
            longest=LONGEST,
            long_texts=self.proposal.long_texts,
            measure={"sequence_length": self.lengths.typical, "repeats": 10},
            budget=self.template.get("budget") or BUDGET,
        )


def _inline(value: Any) -> str:
    """A value in YAML on one line."""
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=2**31, sort_keys=False)
    return text.strip()[1:-1]


def _comment(text: str, indent: str = "") -> str:
    """Text as a comment, each of its lines wrapped."""
    lines = []
    for line in text.strip().splitlines():
        line = _NOT_IN_YAML.sub(lambda found: ascii(found[0])[1:-1], line)
        blanks = line[: len(line) - len(line.lstrip(" "))]
        start = f"{indent}# "
        unbroken = textwrap.TextWrapper(WIDTH, start + blanks, start, break_long_words=False, break_on_hyphens=False)
        lines += unbroken.wrap(line.strip())
    return "\n".join(lines)


def _entry(keys: Mapping[str, Any], reasons: Mapping[str, str] | None = None) -> str:
    """An entry of a list, a key a line, with a comment above those that have a reason."""
    lines: list[str] = []
    for index, (key, value) in enumerate(keys.items()):
        lines += [_comment(reasons[key], "    ")] if reasons and key in reasons else []
        lines.append(f"{'    ' if index else '  - '}{key}: {_inline(value)}")
    return "\n".join(lines)


def _mapping(keys: Mapping[str, Any], name: str) -> str:
    """A mapping at the study's top level."""
    return "\n".join(
        [f"{name}:{'' if keys else ' {}'}", *(f"  {key}: {_inline(value)}" for key, value in keys.items())]
    )


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parents[2] / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters |= {"inline": _inline, "entry": _entry, "mapping": _mapping, "shown": repr}
_ENVIRONMENT.filters["comment"] = lambda text: f"{_comment(text)}\n"
_TEMPLATE = _ENVIRONMENT.get_template("proposed_study.jinja")
