"""Types of a study's keys: stricter than pydantic's own, with errors that say what to write instead.

YAML makes numbers, booleans and dates of texts that look like them, so no value is converted: 3.0 is no whole number, a
boolean is no number, and NaN, infinity and endless integers are refused. Each of the classes here is put into
`Annotated`, and contributes a rule to the JSON schema.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    Tag,
    WrapValidator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from shallower.study.file import NAME

# A larger whole number has no counterpart among the floats.
LARGEST = 10.0**300


def _check_finite(value: Any) -> Any:
    # Written so that NaN, which no comparison finds, is refused.
    if isinstance(value, int | float) and not -LARGEST < value < LARGEST:
        raise PydanticCustomError("not_finite", "is not finite; write a finite number")
    return value


def _as_written(value: Any, check: Any) -> Any:
    check(value)
    return value


Whole = Annotated[int, Strict(), BeforeValidator(_check_finite)]
# 1 stays 1 rather than become 1.0, which texts and parameters of rules would show.
Number = Annotated[float, Strict(), WrapValidator(_as_written), BeforeValidator(_check_finite)]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict(), Field(min_length=1)]


@dataclass(frozen=True)
class Matching:
    """A text that matches a regular expression from its first to its last character.

    `problem` follows the value in messages and says what to write instead.
    """

    pattern: str
    problem: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, value: str) -> str:
        # Not re.search: there `$` lets a line break at the end pass.
        if not re.fullmatch(self.pattern, value):
            raise PydanticCustomError("pattern", "{problem}", {"problem": self.problem})
        return value


@dataclass(frozen=True)
class OneOf:
    """One of the names that a registry holds; `what` they are is said in messages."""

    names: tuple[str | None, ...]
    what: str = "value"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": list(self.names)}

    def _check(self, value: Any) -> Any:
        if not isinstance(value, str | None) or value not in self.names:
            raise PydanticCustomError("unknown_name", "unknown {what}", {"what": self.what})
        return value


@dataclass(frozen=True)
class Distinct:
    """A list without repeats."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}

    def _check(self, value: list[Any]) -> list[Any]:
        if len(set(value)) < len(value):
            raise PydanticCustomError("repeats", "holds something more than once; remove the repeats")
        return value


def optional() -> Any:
    """A key that may be left out, but not be null."""
    return Field(default_factory=lambda: None)


# --- texts -----------------------------------------------------------------------------------------------------------

Name = Annotated[
    str,
    Strict(),
    Field(max_length=64),
    Matching(
        NAME,
        "is not allowed here; write letters (a to z), digits, '_', '.' and '-', and begin with a letter or a digit",
    ),
]
Path = Annotated[
    str,
    Strict(),
    Field(min_length=1, max_length=4000),
    Matching(
        r"^[^{}\x00-\x1f\x7f]+$",
        "is not allowed here: a path must not hold braces, which Snakemake takes for wildcards, or control "
        "characters; rename the file or folder",
    ),
]
Sha256 = Annotated[
    str, Strict(), Matching("^[0-9a-f]{64}$", "is not allowed here; write the 64 hexadecimal digits of a SHA-256")
]
Commit = Annotated[
    str,
    Strict(),
    Matching(
        "^[0-9a-f]{40}$", "is not a commit; pin the revision by its 40 hexadecimal digits, that of a pull request, too"
    ),
]
Repository = Annotated[
    str,
    Strict(),
    Matching(
        "^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        "is not allowed here; write owner/name, as the hub shows it",
    ),
]
Package = Annotated[
    str,
    Strict(),
    Matching("^[A-Za-z0-9][A-Za-z0-9_.-]*$", "is not allowed here; write the package's name in the package index"),
]
Version = Annotated[
    str, Strict(), Matching("^[0-9][A-Za-z0-9_.+!-]*$", "is not allowed here; write an exact version, such as 1.2.0")
]

# --- amounts ---------------------------------------------------------------------------------------------------------


def _kind_of_amount(value: Any) -> str | None:
    """Which of the two kinds of amounts is meant: a number, or a list of layers."""
    match value:
        case bool():
            return None
        case int() | float():
            return "number"
        case list():
            return "layers"
        case _:
            return None


Amount = Annotated[
    Annotated[Number, Field(gt=0), Tag("number")]
    | Annotated[list[Annotated[Whole, Field(ge=0)]], Strict(), Field(min_length=1), Tag("layers")],
    Discriminator(
        _kind_of_amount,
        custom_error_type="amount_type",
        custom_error_message="is neither a number nor a list of layer indices",
    ),
]
