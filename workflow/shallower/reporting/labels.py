"""Labels of origins in figures, pages and sentences."""

from shallower.surgery.origins import ORIGINS


def origin_title(name: str) -> str:
    """A few words for an origin; its name where it is not registered."""
    return ORIGINS[name].title if name in ORIGINS else name
