"""What the pages are made of: one HTML file that needs nothing else."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterable
from typing import Any

from jaxsac.reports import figures

STYLE = """
:root { color-scheme: light dark;
  --ink: #1d1d1f; --paper: #fff; --faint: #6b6b70; --line: #d9d9de; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececef; --paper: #161618; --faint: #a0a0a8; --line: #3a3a40; }
  figure svg { filter: brightness(1.4); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
.answer { border-left: 4px solid #0072b2; padding: .2rem 1rem; }
.answer ul { padding-left: 1rem; }
.figures { display: grid; gap: 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr));
  grid-template-rows: auto 1fr; }
figure { margin: 0; } figure:first-child { grid-row: span 2; }
figure svg { width: 100%; height: auto; max-width: 38rem; color: var(--ink); }
.table { overflow-x: auto; margin-top: 1.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem;
  overflow-wrap: normal; width: max-content; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; max-width: 18rem; }
tr > :first-child { position: sticky; left: 0; background: var(--paper); }
@media (max-width: 40rem) { td:first-child { max-width: 10rem; } }
.number { text-align: right; white-space: nowrap; max-width: none; }
.faint, small { color: var(--faint); }
"""


def document(title: str, body: Iterable[str]) -> str:
    """A page.

    Args:
      title: plain text.
      body: its parts, HTML.
    """
    title = text(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def table(
    heads: list[str],
    rows: list[list[str]],
    numbers: Iterable[int] = (1,),
    joined: Iterable[int] = (),
) -> str:
    """A table.

    Args:
      heads: of the columns, HTML.
      rows: HTML cells.
      numbers: indices of columns that are set right.
      joined: indices of columns in which cells that follow each other and are alike become one.
    """
    right = set(numbers)
    spans = {column: _spans([row[column] for row in rows]) for column in joined}

    def line(cells: list[str], tag: str, row: int | None = None) -> str:
        found = []
        for column, cell in enumerate(cells):
            span = spans[column][row] if row is not None and column in spans else 1
            if span:
                number, rows = " class=number" * (column in right), f" rowspan={span}" * (span > 1)
                found.append(f"<{tag}{number}{rows}>{cell}</{tag}>")
        return f"<tr>{''.join(found)}</tr>"

    body = "\n".join(line(row, "td", index) for index, row in enumerate(rows))
    return f'<div class="table"><table>{line(heads, "th")}\n{body}</table></div>'


def _spans(cells: list[str]) -> list[int]:
    """How many rows each cell stands for: those alike that follow it; 0 where one above does."""
    found = []
    for _, alike in itertools.groupby(cells):
        count = len(list(alike))
        found += [count] + [0] * (count - 1)
    return found


def grid(drawn: Iterable[str]) -> str:
    """Figures, each the text of an SVG file, beside each other where there is room."""
    inner = "\n".join(f"<figure>{_inline(svg)}</figure>" for svg in drawn)
    return f'<div class="figures">{inner}</div>'


def items(each: Iterable[str]) -> str:
    """A list of HTML items."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in each) + "</ul>"


def text(value: Any) -> str:
    """Plain text as HTML."""
    return html.escape(str(value))


def _inline(svg: str) -> str:
    """An SVG file as part of a page: without its head, in the page's own ink, on its paper."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    return svg.replace(figures.INK, "currentColor").replace("fill: #ffffff", "fill: none")
