"""Check a study as a whole and fill in its defaults. Only the Snakefile does; steps read study.json."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from shallower.core.errors import StudyErrors
from shallower.core.files import plain_numbers
from shallower.study.checks import problems
from shallower.study.defaults import with_defaults
from shallower.study.draft import Draft
from shallower.study.messages import KeyPath, malformed, missing_keys, place, unknown, unknown_keys
from shallower.study.schema import locate
from shallower.study.settings import StudySettings
from shallower.study.study import Study


def resolve_study(config: Mapping[str, Any], is_checked: bool = False) -> Study:
    """Check a study and fill in its defaults.

    `is_checked` says that all this was found right moments ago: models and data are not looked into again.

    Raises StudyErrors with everything that is wrong: values and keys, and in all parts that are well-formed names,
    amounts, metrics, model folders and data files. Reads local files only and starts no download.
    """
    found: list[str] = []
    draft = Draft(config, ())
    try:
        settings = StudySettings.model_validate(config)
    except ValidationError as error:
        found, draft = _malformed(config, error)
    if isinstance(config, Mapping) and not is_checked:
        found += problems(draft)
    if found:
        raise StudyErrors(found)
    return Study(plain_numbers(with_defaults(settings)))


def _malformed(config: Mapping[str, Any], error: ValidationError) -> tuple[list[str], Draft]:
    """What keys and values have wrong by themselves, in the order of their places, and the study without them."""
    bad: list[KeyPath] = []
    texts: dict[KeyPath, list[str]] = defaultdict(list)
    missing: dict[KeyPath, list[str]] = defaultdict(list)
    surplus: dict[KeyPath, list[Any]] = defaultdict(list)
    known: dict[KeyPath, Iterable[str]] = {}
    for details in error.errors(include_url=False):
        path, rule = locate(details["loc"])
        kind, value = details["type"], details["input"]
        if kind in ("extra_forbidden", "invalid_key"):
            parent, mapping = locate(details["loc"][:-1])
            surplus[parent].append(value if kind == "invalid_key" else path[-1])
            known[parent] = mapping["properties"]
            continue
        if kind in ("union_tag_not_found", "union_tag_invalid"):
            path = (*path, "source")
        bad.append(path)
        match kind:
            case "missing" | "union_tag_not_found":
                missing[path[:-1]].append(str(path[-1]))
            case "union_tag_invalid":
                texts[path].append(unknown("value", value["source"], rule["discriminator"]["mapping"]))
            case _:
                texts[path].append(malformed(details, rule))
    for path, keys in missing.items():
        texts[path].append(missing_keys(keys))
    for path, keys in surplus.items():
        texts[path].append(unknown_keys(keys, known[path]))
    ordered = sorted(texts.items(), key=lambda item: [(isinstance(part, str), part) for part in item[0]])
    return [f"{place(config, path)}: {text}" for path, found in ordered for text in found], Draft(config, bad)
