"""The verdicts on the paper's observations as a page, and as a piece of a larger one."""

from html import escape

import pandas as pd

from shallower.core.wording import DASH, MINUS, counted
from shallower.reporting.page import folded, page

APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"
# How each verdict's tag looks (classes of `shallower.reporting.page`).
_TAGS = {"supported": "tag clear", "not supported": "tag bad", "undecided": "tag", "not tested": "tag"}
_OUTCOMES = {"holds": "as claimed", "opposite": "the other way round", "open": "too close to tell"}
_TESTS = {"paired bootstrap": "bootstrap", "t-test over tasks": "t-test"}
_ROLES = {"decides": "What decides", "checks": "Single tasks, which may speak against it", "shown": "Shown beside them"}


def observations_page(frame: pd.DataFrame, study: str) -> str:
    """observations.html: the whole page of a study's observations.csv."""
    title = f"Do the paper{APOSTROPHE}s observations hold?"
    head = f"<header><p class=kicker>Study {escape(study)}</p><h1>{title}</h1></header>"
    return page(f"{title} {study}", [head, observations_fragment(frame)])


def observations_fragment(frame: pd.DataFrame) -> str:
    """A piece of HTML without heading: the verdicts, then what each rests on.

    `frame` is observations.csv. Everything that is drawn is styled by `shallower.reporting.page`.
    """
    sections = [
        f"<h3>{escape(observation)}</h3>"
        + "".join(_hypothesis(rows) for _, rows in of_it.groupby("hypothesis", sort=False))
        for observation, of_it in frame.groupby("observation", sort=False)
    ]
    return _overview(frame) + "".join(f"<section>{section}</section>" for section in sections) + _reading()


def _cases(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows by model; a hypothesis that could not be asked has no model."""
    rows = frame.assign(model=frame["model"].fillna(""))
    return list(rows.groupby("model", sort=False))


def _overview(frame: pd.DataFrame) -> str:
    cell = '<td style="grid-column: 1 / -1">'  # the page's grid on a phone
    rows = []
    for observation, of_observation in frame.groupby("observation", sort=False):
        starts = " class=starts"
        for _, of_hypothesis in of_observation.groupby("hypothesis", sort=False):
            claim = escape(of_hypothesis["claim"].iloc[0])
            verdicts = "".join(
                f"<div>{_tag(rows_of_model['verdict'].iloc[0])} {escape(model)}</div>"
                for model, rows_of_model in _cases(of_hypothesis)
            )
            rows.append(
                f"<tr{starts}><th scope=row><b>{escape(observation)}.</b> {claim}</th>{cell}{verdicts}</td></tr>"
            )
            starts = ""
    return (
        "<div class=scroll><table class=matrix><thead><tr><th scope=col>what the paper says</th>"
        f"<th scope=col>here</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _tag(verdict: str) -> str:
    return f"<span class='{_TAGS[verdict]}'>{escape(verdict)}</span>"


def _hypothesis(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    cases = "".join(_case(model, of_model) for model, of_model in _cases(rows))
    return f"<h4>{escape(first['claim'])}</h4><p class=note><b>Rule.</b> {escape(first['rule'])}</p>{cases}"


def _case(model: str, rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    name = f"<b>{escape(model)}</b> " if model else ""
    text = f"<p>{name}{_tag(first['verdict'])} {escape(first['reason'])}.</p>"
    comparisons = rows[rows["comparison"].notna()]
    if comparisons.empty:
        return text
    dropped = [counted(int(number), "layer") + " dropped" for number in comparisons["n_dropped"].dropna().unique()]
    return text + folded(
        ", ".join([f"{counted(len(comparisons), 'comparison')} in numbers", *dropped]), _table(comparisons)
    )


def _table(rows: pd.DataFrame) -> str:
    """Effects with their intervals and p-values; those in points are drawn, all on one scale."""
    headings = ("comparison", "on", "effect", "interval", "", "p", "p, Holm", "seeds", "test", "outcome")
    parts = []
    for role, of_role in rows.groupby("role", sort=False):
        parts.append(f"<tr class=origin><th colspan={len(headings)}>{_ROLES[role]}</th></tr>")
        parts += [_row(row, rows[rows["unit"] == row["unit"]]) for _, row in of_role.iterrows()]
    head = "".join(f"<th scope=col>{heading}</th>" for heading in headings)
    body = "".join(parts)
    return f"<div class=scroll><table class=numbers><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _row(row: pd.Series, alike: pd.DataFrame) -> str:
    decimals = 2 if row["unit"] == "points" else 3
    cells = [
        escape(row["task"]),
        f"{_signed(row['effect'], decimals)} {'' if row['unit'] == 'points' else escape(row['unit'])}",
        f"{_signed(row['low'], decimals)} to {_signed(row['high'], decimals)}" if pd.notna(row["low"]) else DASH,
        _drawing(row, alike),
        _p_text(row["p"]),
        _p_text(row["p_holm"]),
        f"{row['seeds_agreeing']:.0f} of {row['seeds']:.0f}",
        _TESTS.get(row["test"], escape(row["test"])),
        _OUTCOMES.get(row["outcome"], DASH),
    ]
    comparison = escape(row["comparison"]).replace(" minus ", f" {MINUS} ")
    return f"<tr><th scope=row>{comparison}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _drawing(row: pd.Series, alike: pd.DataFrame) -> str:
    """The effect and its interval, with a line at zero; all of `alike` on one scale."""
    width, height = 100, 16
    ends = alike[["effect", "low", "high"]].astype(float)
    left, right = min(0.0, ends.min().min()), max(0.0, ends.max().max())
    scale = (width - 8) / ((right - left) or 1.0)

    def x(value: float) -> str:
        return f"{4 + (value - left) * scale:.1f}"

    zero = f'<line class=full x1="{x(0)}" x2="{x(0)}" y1="0" y2="{height}"/>'
    interval = (
        f'<line class=interval x1="{x(row["low"])}" x2="{x(row["high"])}" y1="8" y2="8"/>'
        if pd.notna(row["low"])
        else ""
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true">'
        f'{zero}{interval}<circle cx="{x(row["effect"])}" cy="8" r="3.2"/></svg>'
    )


def _signed(value: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}".replace("-", MINUS)


def _p_text(p: float) -> str:
    if pd.isna(p):
        return DASH
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


def _reading() -> str:
    return f"""<p class=note><b>Effects</b> are above zero where the paper is right, in points (0 to 100) unless they
say cosine. <b>mean7</b> and <b>mean5</b> are means over the paper{APOSTROPHE}s seven tasks, and over the five
that it calls stable; a mean of 3 is one over as many of them as there are here. <b>Intervals</b> come from resampled
validation examples and, with several seeds, resampled seeds; few seeds make them too narrow. <b>Tests:</b> exact
McNemar on the answers of each seed, combined as twice the median p; the paired bootstrap for correlations, means and
differences of losses; Student{APOSTROPHE}s t over the tasks, as is their interval, for layer-wise curves. p is
two-sided; Holm{APOSTROPHE}s correction is over what decides and what may speak against it. <b>Seeds:</b> in how many
of them, each by itself, the effect is above zero.</p>"""
