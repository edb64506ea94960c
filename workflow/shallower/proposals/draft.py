"""The proposed study as it is written, and what is said of it."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shallower.core.layout import SPLITS, TEST
from shallower.core.wording import counted
from shallower.proposals.base import Decision
from shallower.proposals.columns import Column
from shallower.proposals.models import ProposedModel
from shallower.proposals.request import Request
from shallower.proposals.sizes import Lengths, examples, minutes_per_row
from shallower.proposals.study_text import entry, inline, mapping, reasons, sections
from shallower.study.step_settings import Training

SEEDS = [1, 2]
# Of models that the template says nothing of: the defaults of a study, and a batch that suits a laptop.
TRAIN = {"epochs": Training.model_fields["epochs"].default, "batch_size": 16}
TRAIN["learning_rate"] = Training.model_fields["learning_rate"].default
BUDGET = {"score_kept": 95}


@dataclass(frozen=True)
class Draft:
    """All that was decided.

    Attributes:
        request: what was asked for.
        model: the model.
        template: a study whose training, budget and delivery are taken.
        decisions: the keys of the task's entry, with reasons.
        columns: of the training file.
        rows: number of rows of each split.
        lengths: of its texts.
        remarks: sentences on the files.
    """

    request: Request
    model: ProposedModel
    template: Mapping[str, Any]
    decisions: tuple[Decision, ...]
    columns: tuple[Column, ...]
    rows: Mapping[str, int]
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
    def examples(self) -> dict[str, int]:
        """How many examples are used of the splits that are not used as a whole."""
        minutes = minutes_per_row(
            self.model.size, self.model.amounts, len(SEEDS), self.lengths.mean, self.train, self.refine
        )
        return examples(self.rows, len(self.value("labels") or ()), minutes)

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
            yield f"{each.key}: {inline(each.value)}"
            yield f"  since: {each.reason}{f' (other: {each.other})' if each.other else ''}"
        yield f"model: {self.model.entry['name']}, {self.model.reason} (other: MODEL=)"
        for split, size in self.examples.items():
            yield f"{split}_examples: {size:,} of {self.rows[split]:,}, so that it takes minutes (remove it to use all)"
        yield from self.remarks
        if TEST not in self.rows:
            yield "There are no test examples: the score of a model that validation chose is optimistic (TEST=)"


def study_of(draft: Draft, estimate: str = "") -> str:
    """The text of the study, with a sentence on how long it takes."""
    request, model = draft.request, draft.model
    why = reasons(draft.decisions)
    why |= {
        f"{split}_examples": f"Of {draft.rows[split]:,}, so that the study takes minutes; remove the line to use all."
        for split in draft.examples
    }
    found = "\n".join([*(f"{column.name!r}: {column.holds}" for column in draft.columns), *draft.remarks])
    budget = draft.template.get("budget") or BUDGET
    deliver = draft.template.get("deliver") or {}
    if not model.can_export:
        deliver = deliver | {"runtimes": ["torch"]}
    longest = draft.lengths.max_length
    parts = [
        (
            f"How many layers of {model.entry['name']} does {request.study_name} need? `make study` wrote this file; "
            f"change what you like, and run it:\n  {draft.command}\n{estimate}\n"
            "Every key is described in workflow/schemas/study.schema.yaml. Layer indices are 0-based from the bottom.",
            [f"study: {inline(request.study_name)}"],
        ),
        (
            f"The model: {model.reason}. It has {counted(model.num_layers, 'layer')}.",
            ["models:", *entry(model.entry)],
        ),
        (f"The data, by the columns of {request.files[SPLITS[0]]}:\n{found}", ["tasks:", *entry(draft.task(), why)]),
        (
            "Layers are dropped from the fine-tuned model, which is then tuned again.",
            ["origins:", "  - name: finetuned"],
        ),
        (
            f"How many of the {model.num_layers} layers are dropped, from the top. README.md lists other strategies.",
            ["strategies:", "  - name: top", f"    amounts: {inline(model.amounts)}"],
        ),
        ("More seeds tell better how much of a difference is chance.", [f"seeds: {inline(SEEDS)}"]),
        (
            f"Nineteen of twenty texts have at most {longest} tokens, roughly; longer ones are cut."
            if longest < 256
            else f"Texts are cut to {longest} tokens, so that the study takes minutes; raise max_length for long ones.",
            mapping("train", draft.train),
        ),
        ("What differs when a model is tuned again after its layers were dropped.", mapping("refine", draft.refine)),
        (
            "Speed is measured with texts of this length.",
            mapping("measure", {"sequence_length": draft.lengths.typical, "repeats": 10}),
        ),
        (
            "The recommended model is the fastest that is known to keep so much of the full model's score, in %.",
            mapping("budget", budget),
        ),
        (
            f"The recommended model, ready to ship, comes into results/{request.study_name}/delivered."
            + ("" if model.can_export else " This architecture cannot be exported for ONNX Runtime."),
            mapping("deliver", deliver),
        ),
    ]
    return sections(parts)
