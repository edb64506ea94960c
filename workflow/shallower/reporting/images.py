"""Images inside pages."""

import base64
from pathlib import Path
from urllib.parse import quote

# Characters that may stand in a data URI inside quotes; the fewer are escaped, the smaller the page.
SAFE_IN_SVG = " !$()*+,-./:;=?@[]^_`{|}~"


def image_uri(path: Path) -> str:
    """The content of an SVG or PNG file as a data URI."""
    if path.suffix == ".svg":
        # A browser drops line ends from a URI; a space keeps numbers apart.
        text = " ".join(path.read_text(encoding="utf-8").split())
        return f"data:image/svg+xml,{quote(text, safe=SAFE_IN_SVG)}"
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
