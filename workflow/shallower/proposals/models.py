"""Which model a study is to make shallower: one of config.yaml, a folder of this machine, or one of the hub."""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import local_path, read_json
from shallower.models.families import check_onnx_export, family_of, position_limit
from shallower.models.folder import CONFIG
from shallower.models.sentence_embedding import read_embedding
from shallower.models.size import ModelSize, assumed_config
from shallower.proposals.request import slug
from shallower.sources.hub import newest_commit
from shallower.sources.hub_check import check_on_hub
from shallower.sources.hub_requests import check_revision
from shallower.sources.model_sources import model_source
from shallower.sources.models import check_model
from shallower.steps.runtime import CPU_RATE

# Layers that are dropped: so large shares of a model's.
SHARES = (1 / 6, 1 / 3, 1 / 2)


@dataclass(frozen=True)
class ProposedModel:
    """A model of the study.

    Attributes:
        entry: its entry under `models`.
        reason: how it came to be the one, with its commit where it is from the hub.
        size: its size.
        most_tokens: tokens that it can take; None for no limit.
        is_template: whether it is a model of the study that serves as a template, whose settings suit it.
        can_export: whether it can be exported for ONNX Runtime.
        no_vectors: why it does not answer with the vectors of texts, as one of sentence-transformers; None if it does.
    """

    entry: Mapping[str, Any]
    reason: str
    size: ModelSize
    most_tokens: int | None
    is_template: bool
    can_export: bool
    no_vectors: str | None

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return self.size.num_layers

    @property
    def amounts(self) -> list[int]:
        """Numbers of layers to drop: a few depths down to half of the model."""
        return sorted({max(1, round(share * self.num_layers)) for share in SHARES} & {*range(1, self.num_layers)})

    def minutes_per_row(self, epochs: Mapping[int, float], tokens: float) -> float:
        """Minutes on one core that so many epochs on an example take, by numbers of dropped layers."""
        of_depths = (self.size.operations(self.num_layers - amount, tokens) * count for amount, count in epochs.items())
        return 3 * sum(of_depths) / CPU_RATE / 60


def propose_model(asked: str | None, template: Mapping[str, Any], template_name: str) -> ProposedModel:
    """The model that `asked` means: the name of one of the template's, a folder, or owner/name[@commit] on the hub.

    Without it, the first model of the template, a study of that file name. The hub is asked only for models there.
    Raises UserError where there is no such model, or it cannot be used.
    """
    known = {entry["name"]: entry for entry in template["models"]}
    if asked is None or asked in known:
        entry = known[asked] if asked else template["models"][0]
        reason = f"as in {template_name}" if asked else f"the one of {template_name}"
    elif os.path.isdir(local_path(asked)):  # noqa: PTH112 (no error for names that are too long)
        folder = Path(os.path.normpath(asked))
        entry = {"name": slug(folder.resolve().name, "model"), "source": "local", "directory": str(folder)}
        reason = "a folder of this machine"
    elif re.match(r"[./~]", asked) or asked.endswith("/") or asked.count("/") > 1:
        raise UserError(
            f"MODEL={asked}: there is no such folder; name a folder that save_pretrained wrote, a model of the hub as "
            f"owner/name, or one of {template_name}: {', '.join(known)}"
        )
    else:
        entry, reason = _on_hub(asked)
    if problem := check_model(entry):
        raise UserError(f"MODEL={asked or entry['name']}: {problem}")
    config, no_vectors = _looked_into(entry)
    if (size := ModelSize.of(config)).num_layers < 2:
        raise UserError(f"MODEL={asked}: has {size.num_layers} layer, and none can be dropped; choose a deeper model")
    can_export = _problem(check_onnx_export, family_of(config)) is None
    return ProposedModel(entry, reason, size, position_limit(config), entry in known.values(), can_export, no_vectors)


def _on_hub(asked: str) -> tuple[dict[str, Any], str]:
    """The entry of a model on the hub, at the commit that is asked for or at the newest, and how that was chosen."""
    repository, _, revision = asked.partition("@")
    if not revision:
        revision = newest_commit(repository)
        reason = "at the newest commit of today, so that it never changes under the study"
    elif problem := check_revision(revision):
        raise UserError(f"MODEL={asked}: {problem}")
    else:
        reason = "at the commit that MODEL names"
    name = slug(repository.rpartition("/")[2], "model")
    entry = {"name": name, "source": "hub", "repository": repository, "revision": revision}
    (finding,) = check_on_hub([entry], [])
    if finding.problems:
        raise UserError(f"MODEL={asked}: {'; also: '.join(finding.problems)}")
    return entry, f"{reason} ({'; '.join(finding.notes)})"


def _looked_into(entry: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The config.json of a model, or what its entry says of it; and why it does not answer with vectors, if so."""
    source = model_source(entry)
    if entry["source"] != "hub" and source.folder(entry) is None:
        return assumed_config(entry), "its files are not on this machine"
    with tempfile.TemporaryDirectory(prefix="shallower-") as scratch:
        place = source.open(entry, Path(scratch))

        def read(name: str) -> Any:
            place.fetch([name], Path(scratch))
            return read_json(Path(scratch, name))

        config: dict[str, Any] = read(CONFIG)
        return config, _problem(read_embedding, read, place.names(), position_limit(config))


def _problem(check: Any, *arguments: Any) -> str | None:
    """What is wrong by a check that raises UserError; None if nothing is."""
    try:
        check(*arguments)
    except UserError as error:
        return str(error)
    return None
