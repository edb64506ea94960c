"""Pages from the templates in workflow/templates.

All pages share one layout and one style sheet, and load nothing from elsewhere: they work from disk, in a mail and
inside a Snakemake report, on a wide screen and on a phone. Text is escaped unless it is marked as HTML.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from shallower.core import wording
from shallower.reporting import prose
from shallower.surgery.origins import origin_title

TEMPLATES = Path(__file__).parents[2] / "templates"


def render_page(template: str, **content: Any) -> str:
    """A page from a template, given the variables that it names. Raises jinja2.UndefinedError when one is missing."""
    return _environment().get_template(template).render(content)


def render_fragment(template: str, **content: Any) -> Markup:
    """A piece of HTML from a template, likewise, to be placed in a page."""
    return Markup(render_page(template, **content))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "counted": wording.counted,
        "listed": listed,
        "tolerance": tolerance_text,
    }
    environment.globals |= {"DASH": wording.DASH, "prose": prose, "origin_title": origin_title}
    return environment


def listed(words: Sequence[str]) -> Markup:
    """`a, b and c` as HTML; words that are not HTML are escaped."""
    if len(words) < 2:
        return Markup("").join(words)
    return Markup(", ").join(words[:-1]) + " and " + words[-1]


def tolerance_text(tolerance: float) -> str:
    """`1 %`, for a tolerance in percent of the full model's score."""
    return f"{tolerance:g}{wording.JOINED}%"
