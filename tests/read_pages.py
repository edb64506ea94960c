"""Pages as their readers meet them: text, cells and links; and rows of comparison frames to put into pages."""

from html.parser import HTMLParser

VOID = frozenset({"meta", "br", "img", "line", "rect", "circle", "path"})


class Page(HTMLParser):
    """Text of a page, its cells, and what it would load from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.loads, self.open, self.cells, self.anchors, self.ids = "", [], [], [], [], []
        self.feed(str(text))  # marked as HTML or not
        assert not self.open
        self.text = " ".join(self.text.replace("\N{NO-BREAK SPACE}", " ").split())

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.loads += [tag] if tag in ("script", "link", "iframe") else []
        self.loads += [source for source in [named.get("src")] if source and not source.startswith("data:")]
        self.anchors += [named["href"][1:]] if named.get("href", "").startswith("#") else []
        self.ids += [named["id"]] if "id" in named else []
        if tag == "td":
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.text += data + " "
        if "td" in self.open:
            self.cells[-1] += data + " "


def value(row: str, column: str, **known) -> dict:
    """A row of a comparison frame."""
    places = {"row_order": 0, "column_order": 0, "quantity": "score", "unit": "points", "model": row.split(",")[0]}
    empty = dict.fromkeys(("counterpart", "task", "paper_task", "origin", "strategy", "amount", "paper_how"), "")
    numbers = dict.fromkeys(
        ("num_dropped", "depth", "ours", "low", "high", "seeds", "paper", "uncertainty", "difference")
    )
    return {**empty, **numbers, **places, "row": row, "column": column, "verdict": "", "remark": "", **known}
