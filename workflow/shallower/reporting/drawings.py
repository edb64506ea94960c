"""Small drawings inside pages (SVG); `page.css` has their colours."""

from collections.abc import Collection
from dataclasses import dataclass

from markupsafe import Markup

from shallower.core.wording import layer_ranges

STEP = 7  # pixels from one layer to the next
MARGIN = 4  # pixels


def layer_stack(kept: Collection[int], num_layers: int) -> Markup:
    """The layers of a model, the bottom one at the left: kept ones filled, dropped ones hollow."""
    names = ("kept" if layer in kept else "dropped" for layer in range(num_layers))
    boxes = "".join(
        f'<rect class="{name}" x="{STEP * layer + 0.5}" y="0.5" width="4.5" height="11"/>'
        for layer, name in enumerate(names)
    )
    return _svg(boxes, STEP * num_layers, 12, f"layers kept: {layer_ranges(kept)}", "stack")


@dataclass(frozen=True)
class Scale:
    """Draws values with their intervals, all from `low` to `high`, with a line at `reference`; `width` in pixels."""

    low: float
    high: float
    reference: float
    width: int = 130
    height: int = 16

    def _x(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return MARGIN + (inside - self.low) / ((self.high - self.low) or 1.0) * (self.width - 2 * MARGIN)

    def draw(self, value: float | None = None, interval: tuple[float, float] | None = None, title: str = "") -> Markup:
        """The reference line and, where they are given, an interval and a value; an arrow for a value below `low`.

        Without `title` the drawing is hidden from screen readers.
        """
        middle = self.height / 2
        marks = f'<line class="reference" x1="{self._x(self.reference):.1f}" x2="{self._x(self.reference):.1f}"'
        marks += f' y1="0" y2="{self.height}"/>'
        if interval:
            ends = (self._x(end) for end in interval)
            marks += '<line class="interval" x1="{:.1f}" x2="{:.1f}" '.format(*ends) + f'y1="{middle}" y2="{middle}"/>'
        if value is not None and value >= self.low:
            marks += f'<circle cx="{self._x(value):.1f}" cy="{middle}" r="3.2"/>'
        elif value is not None:
            marks += f'<path d="M{MARGIN} {middle} l6 -4 v8 z"/>'
        return _svg(marks, self.width, self.height, title)


def _svg(content: str, width: int, height: int, title: str = "", name: str = "") -> Markup:
    described = (
        Markup(' role="img" aria-label="{0}"><title>{0}</title>').format(title) if title else ' aria-hidden="true">'
    )
    return Markup(
        f'<svg{f" class={name}" if name else ""} viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f"{described}{content}</svg>"
    )
