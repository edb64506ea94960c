"""The licence of a model, as its own card says: `license` in the metadata of its README.md, as the hub has it."""

import logging
import re
from pathlib import Path

import yaml

from shallower.sources.model_places import ModelPlace

logger = logging.getLogger(__name__)

CARD = "README.md"
# Of an identifier of SPDX or the hub, or the name of another licence.
WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,79}")


def stated_licence(place: ModelPlace, names: list[str], folder: Path) -> str | None:
    """The licence that a model's card states; None without a card, or where it does not state one that is well-formed.

    The card is fetched into `folder`. One that cannot be read is no reason to refuse the model; the log says so.
    """
    if CARD not in names:
        return None
    # Imported here, since it loads all clients of the hub, and the Snakefile imports this module.
    from huggingface_hub import metadata_load

    place.fetch([CARD], folder)
    try:
        data = metadata_load(folder / CARD) or {}
    except (ValueError, yaml.YAMLError) as error:
        logger.info("%s: its metadata cannot be read (%s), so the licence is not known", CARD, type(error).__name__)
        return None
    stated = data.get("license")
    # "other" says nothing without its name.
    name = data.get("license_name") if stated == "other" else stated
    if not isinstance(name, str) or not WELL_FORMED.fullmatch(name):
        return None
    logger.info("licence, as its %s says: %s", CARD, name)
    return name
