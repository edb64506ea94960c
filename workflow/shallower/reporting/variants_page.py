"""Charts of variants inside pages, to explore: what report.html shows of them, and a page of their own.

A page holds all it needs: the specifications as JSON, which cannot end its element early, and once the scripts that
draw them (Vega, Vega-Lite and Vega-Embed, 0.9 MB). Of these vl-convert gives a part of its own choice only whole: its
bundle has no working name for Vega alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from markupsafe import Markup

from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.core.variants import RUNTIME_TITLES, RUNTIMES, TRIMMED, VOCABULARIES, VOCABULARY_TITLES
from shallower.reporting.colours import BEST_COLOUR, BUDGET_COLOUR, INK, RUNTIME_COLOURS, SOFT
from shallower.reporting.templates import render_page


@dataclass(frozen=True)
class VariantFigure:
    """The charts of one model on one task, handed over as a JSON file.

    Attributes:
        model, task: what they are of.
        charts: each with a `title` and a Vega-Lite `specification`.
        texts: of each variant its numbers in words, by title.
        runtimes, vocabularies: those that there are.
        has_limits: whether lines of a budget are drawn.
        recommended: the name of the variant that is ringed, or "".
        remark: what is not drawn, or "".
    """

    model: str
    task: str
    charts: Sequence[Mapping[str, Any]]
    texts: Sequence[Mapping[str, str]]
    runtimes: Sequence[str]
    vocabularies: Sequence[str]
    has_limits: bool
    recommended: str
    remark: str

    def write(self, path: Path) -> None:
        """Write the figure to a file."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a figure. Raises UserError, naming the file, when it is missing or damaged."""
        record = read_json(path)
        try:
            return cls(**record)
        except TypeError as error:
            raise UserError(f"{path}: not the charts of variants ({error}); delete it and run again") from None


def variants_content(figures: Sequence[VariantFigure]) -> dict[str, Any]:
    """The variables of the macros on variants; empty where there are no figures."""
    if not figures:
        return {}
    return {
        "signs": _signs(figures),
        "figures": [
            {
                "title": f"{figure.model} on {figure.task}",
                "charts": [{**chart, "name": f"chart-{place}-{number}"} for number, chart in enumerate(figure.charts)],
                "recommended": figure.recommended,
                "remark": figure.remark,
                # As JSON has them, keys are sorted; the name of a variant comes first.
                "headings": (headings := ["variant", *sorted(set(figure.texts[0]) - {"variant"})]),
                "rows": [[texts[heading] for heading in headings] for texts in figure.texts],
            }
            for place, figure in enumerate(figures)
        ],
        "runtime": chart_runtime(),
    }


def variants_page(figures: Sequence[VariantFigure], title: str) -> str:
    """A page of figures, one file that holds everything it shows."""
    return render_page("variants_page.jinja", title=title, content=variants_content(figures))


@cache
def chart_runtime() -> Markup:
    """What draws specifications, as a script that sets `vegaEmbed`.

    Raises ValueError when it has a text that would end its element in a page.
    """
    import vl_convert  # its JavaScript engine is large, and few pages have charts

    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    if any(text in script.lower() for text in ("</script", "<!--")):
        raise ValueError("the runtime of charts has a text that ends its element in a page")
    return Markup(script)


def _signs(figures: Sequence[VariantFigure]) -> list[tuple[str, Markup]]:
    """The legend: titles with small drawings. Styles are inside, since those of pages are for other drawings."""
    runtimes = [name for name in RUNTIMES if any(name in figure.runtimes for figure in figures)]
    vocabularies = [name for name in VOCABULARIES if any(name in figure.vocabularies for figure in figures)]
    signs = [(RUNTIME_TITLES[name], _circle(RUNTIME_COLOURS[name], RUNTIME_COLOURS[name])) for name in runtimes]
    if len(vocabularies) > 1:
        for name in vocabularies:
            drawing = _DIAMOND if name == TRIMMED else _circle(SOFT, SOFT)
            signs.append((VOCABULARY_TITLES[name], drawing))
    signs += [("full model as it was trained", _circle("none", INK))]
    signs += [("not beaten in score and cost", _line(BEST_COLOUR, 3, ""))]
    if any(figure.has_limits for figure in figures):
        signs.append(("budget; the lower end of the score's interval meets it", _line(BUDGET_COLOUR, 2, "3 3")))
    if any(figure.recommended for figure in figures):
        signs.append(("recommended", _circle("none", BUDGET_COLOUR)))
    return signs


def _svg(width: int, content: str) -> Markup:
    return Markup(f'<svg width="{width}" height="16" viewBox="0 0 {width} 16" aria-hidden="true">{content}</svg>')


def _circle(fill: str, stroke: str) -> Markup:
    return _svg(16, f'<circle cx="8" cy="8" r="6" style="fill:{fill};stroke:{stroke};stroke-width:2"/>')


def _line(colour: str, width: int, dashes: str) -> Markup:
    style = f"stroke:{colour};stroke-width:{width};stroke-dasharray:{dashes or 'none'}"
    return _svg(24, f'<line x1="0" x2="24" y1="8" y2="8" style="{style}"/>')


_DIAMOND = _svg(16, f'<path d="M8 1 L15 8 L8 15 L1 8 Z" style="fill:#fff;stroke:{SOFT};stroke-width:2"/>')
