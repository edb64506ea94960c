"""Types of a study's keys: stricter than pydantic's own, with errors that say what to write instead.

YAML makes numbers, booleans and dates of texts that look like them, so no value is converted: 3.0 is no whole number, a
boolean is no number, and NaN, infinity and endless integers are refused. Each of the classes here is put into
`Annotated`, and contributes a rule to the JSON schema.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict, WrapValidator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

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


def kind_of_amount(value: Any) -> str | None:
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
