"""The shell of a page: one HTML file without scripts, links or images from elsewhere.

So it works from disk, in a mail and inside a Snakemake report, and reads at the width of a desk and of a phone.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape


def page(title: str, body: Sequence[str]) -> str:
    """A whole page; `title` is text, `body` are pieces of HTML."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body>\n</html>\n"
    )


def definitions(texts: Mapping[str, str]) -> str:
    """A list of terms with their texts (HTML); empty texts are left out."""
    return f"<dl>{''.join(f'<dt>{term}</dt><dd>{text}</dd>' for term, text in texts.items() if text)}</dl>"


def plain_table(headings: Iterable[str], rows: Iterable[Iterable[str]], caption: str = "") -> str:
    """A table of texts (HTML) that scrolls inside its box where the page is narrow; rows begin with their heading."""
    head = "".join(f"<th scope=col>{heading}</th>" for heading in headings)
    body = "".join(
        f"<tr><th scope=row>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>" for first, *rest in rows
    )
    said = f"<caption>{caption}</caption>" if caption else ""
    return (
        f"<div class=scroll><table class=plain>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def folded(title: str, content: str, opened: bool = False) -> str:
    """Content under a title (HTML both) that a click opens."""
    return f"<details{' open' if opened else ''}><summary>{title}</summary>{content}</details>"


STYLE = """
:root { --ink: #1b1f24; --soft: #59636e; --line: #d8dee4; --wash: #f4f7fa; --blue: #0072b2; --red: #b3400a }
* { box-sizing: border-box }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: clamp(1.8rem, 5vw, 2.6rem); line-height: 1.15; margin: 0 0 1rem; letter-spacing: -0.01em }
h2 { font-size: 1.3rem; margin: 2.75rem 0 0.75rem }
h3 { font-size: 1.05rem; margin: 0 0 0.5rem }
p { margin: 0.5rem 0 }
.kicker { color: var(--soft); margin: 0 0 0.25rem; font-size: 0.9rem }
.lead { list-style: none; margin: 0; padding: 0; font-size: clamp(1.05rem, 2.5vw, 1.25rem) }
.lead li { padding: 0.35rem 0 0.35rem 1rem; border-left: 4px solid var(--blue); margin: 0.6rem 0 }
.note, dd, small, caption { color: var(--soft) }
.note { font-size: 0.875rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
.matrix { width: 100%; text-align: left }
.matrix th, .matrix td { padding: 0.55rem 0.75rem; border-bottom: 1px solid var(--line); vertical-align: top }
.matrix thead th { color: var(--soft); font-weight: 600; font-size: 0.875rem;
  border-bottom: 2px solid var(--ink) }
.matrix th[scope=row] { font-weight: 400 }
.matrix .starts > * { border-top: 1px solid var(--soft) }
.matrix tbody tr:first-child > * { border-top: 0 }
.matrix .stack { margin-left: 0.35rem }
.matrix td b { font-size: 1.35rem; line-height: 1.1 }
.matrix small { display: block; white-space: nowrap }
.matrix .none { color: var(--soft) }
.tag { display: inline-block; font-size: 0.75rem; line-height: 1.3; padding: 0.05rem 0.45rem;
  border-radius: 1rem; font-weight: 400; border: 1px solid var(--soft); color: var(--soft);
  background: #fff; white-space: nowrap }
.tag.clear { background: var(--blue); border-color: var(--blue); color: #fff }
.tag.bad { border-color: var(--red); color: var(--red) }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)) }
article { border: 1px solid var(--line); border-radius: 0.5rem; padding: 1rem 1.15rem;
  background: var(--wash) }
article p { font-size: 0.95rem }
h4 { font-size: 0.95rem; margin: 1rem 0 0.3rem }
article dl { font-size: 0.875rem; gap: 0.15rem 0.75rem }
article dt { font-weight: 400; color: var(--soft) }
article dd { color: var(--ink) }
article .note { margin-top: 0.9rem; padding-top: 0.6rem; border-top: 1px solid var(--line) }
code { font: 0.8rem/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere;
  color: var(--soft) }
.warning { color: var(--red) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.4rem 1rem; margin: 0;
  font-size: 0.95rem }
dt { font-weight: 600 }
dd { margin: 0 }
details { border-top: 1px solid var(--line); padding: 0.25rem 0 }
details:last-of-type { border-bottom: 1px solid var(--line) }
summary { cursor: pointer; font-weight: 600; padding: 0.4rem 0 }
.numbers { width: 100%; font-size: 0.875rem; margin: 0.25rem 0 1rem }
.numbers caption { text-align: left; padding: 0 0 0.5rem; font-size: 0.875rem }
.numbers th, .numbers td { text-align: right; padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; font-weight: 400 }
.numbers th[scope=row], .numbers thead th:first-child, .numbers .origin th { text-align: left }
.numbers thead th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--ink) }
.numbers .origin th { font-weight: 600; padding-top: 0.9rem }
.numbers .full > * { font-weight: 600 }
.numbers i { color: var(--soft); font-style: normal }
.kept svg { vertical-align: middle }
.depth span { display: inline-block; width: 1.6rem }
.kept span { display: inline-block; width: 4.2rem }
svg .full { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 2 }
svg .interval { stroke: var(--blue); stroke-width: 2 }
svg circle, svg path, svg .stays { fill: var(--blue) }
svg .stays, svg .goes { stroke: var(--blue) }
svg .goes { fill: none; stroke: #9aa5b1; stroke-dasharray: 1.5 1 }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0.3rem 1.25rem; margin: 1.75rem 0 0; padding: 0.6rem 0;
  border: solid var(--line); border-width: 1px 0; font-size: 0.9rem }
a { color: var(--blue) }
nav a { text-decoration: none }
section h3 { margin-top: 1.75rem }
article h3 { margin-top: 0 }
h1.item { font-size: clamp(1.5rem, 4vw, 2rem) }
.beside-paper { font-size: 1.05rem; margin-top: 1rem }
figure { margin: 0.75rem 0 }
figure img { display: block; max-width: 100%; height: auto }
.plain { font-size: 0.875rem; margin: 0.5rem 0 1rem }
.plain caption { text-align: left }
.plain th, .plain td { text-align: left; padding: 0.3rem 1.25rem 0.3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top }
.plain th[scope=row] { font-weight: 400; min-width: 9rem }
.plain thead th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--ink) }
.beside { font-size: 0.875rem; line-height: 1.35; margin: 0.75rem 0 }
.beside th, .beside td { text-align: right; padding: 0.4rem 0.55rem; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; font-weight: 400 }
.beside thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; border-bottom: 2px solid var(--ink);
  white-space: normal; max-width: 7.5rem }
.beside thead span { white-space: nowrap }
.beside thead td { border-bottom: 2px solid var(--ink) }
.beside th[scope=row], .beside thead td { position: sticky; left: 0; background: #fff; text-align: left;
  white-space: normal; min-width: 6.5rem; max-width: 12rem }
.beside th[scope=row] small { display: block }
.beside small { font-size: 0.75rem }
.beside .mean { background: var(--wash) }
.beside .starts > * { border-top: 2px solid #9aa5b1 }
.beside i { font-style: normal; color: var(--soft) }
.beside sup { color: var(--soft); font-size: 0.68rem; line-height: 0; margin-left: 0.1rem }
.paper { color: #8a4b08 }
.in { color: #00704f; font-weight: 700 }
.out { color: var(--red); font-weight: 700 }
.footnotes { font-size: 0.8125rem; color: var(--soft); margin: 0.5rem 0; padding-left: 1.4rem }
@media (max-width: 36rem) {
  main { padding: 1.25rem 0.9rem 3rem }
  .matrix, .matrix tbody { display: block }
  .matrix thead { display: none }
  .matrix tr { display: grid; grid-template-columns: repeat(auto-fit, minmax(6.4rem, 1fr)); gap: 0 0.4rem;
    padding: 0.5rem 0; border-bottom: 1px solid var(--line) }
  .matrix th, .matrix td { padding: 0.15rem 0; border: 0 }
  .matrix th { grid-column: 1 / -1 }
  .matrix th[scope=rowgroup] { font-size: 1.1rem }
  .matrix .starts { border-top: 1px solid var(--soft) }
  .matrix .starts > * { border: 0 }
  .matrix td[data-within]::before { content: "within " attr(data-within); display: block; font-size: 0.8rem;
    color: var(--soft) }
  .plain { min-width: 32rem }
  .plain th[scope=row] { min-width: 6rem }
  figure img { max-width: none; width: 34rem }
  section > dl { grid-template-columns: 1fr; gap: 0.1rem }
  section > dl dd { margin-bottom: 0.6rem }
  .matrix .stack { display: block; margin: 0.15rem 0 }
}
@media print { article, tr { break-inside: avoid } }
"""
