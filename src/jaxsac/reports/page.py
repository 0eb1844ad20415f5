"""The page of a report: one HTML file that needs nothing else."""

from __future__ import annotations

import html as markup
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jaxsac.reports import figures, sentences, statistics
from jaxsac.reports.across import Across
from jaxsac.reports.comparable import COLUMNS
from jaxsac.reports.numbers import Improvement, Task, ranked
from jaxsac.reports.population import describe, differing
from jaxsac.reports.reference import SOURCES
from jaxsac.reports.statistics import Estimate
from jaxsac.reports.tables import Numbers, file_name
from jaxsac.runs import labels

STYLE = """
:root { color-scheme: light dark;
  --ink: #1d1d1f; --paper: #fff; --faint: #6b6b70; --line: #d9d9de; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececef; --paper: #161618; --faint: #a0a0a8; --line: #3a3a40; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
.answer { border-left: 4px solid #0072b2; padding: .2rem 1rem; }
.answer ul { padding-left: 1rem; }
.figures { display: grid; gap: 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
figure { margin: 0; } figure:first-child { grid-row: span 2; }
figure svg { width: 100%; height: auto; max-width: 38rem; color: var(--ink); }
.table { overflow-x: auto; margin-top: 1.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem;
  overflow-wrap: normal; width: max-content; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; max-width: 24rem; }
.number { text-align: right; white-space: nowrap; }
.faint, small { color: var(--faint); }
"""
HOW = """
The thick line is the interquartile mean (IQM): the mean of the seeds without their lowest and
highest quarter. Bands and intervals hold it with 95&nbsp;% confidence, by the percentiles of
{resamples} bootstrap resamples of the seeds, stratified by environment. The final score of a seed
is its mean return over the last fifth of the steps, the area its mean return over all of them (the
area under its curve divided by the steps). The probability of improvement is that a seed of the
first run scores higher than one of the second (Mann and Whitney's U over the number of pairs), by
their final scores; where its interval holds 0.5 the two are said not to differ. All this is as in
Agarwal et al. 2021 (arXiv:2108.13264). As such intervals are too short for few seeds, p is that of
the two-sided Mann-Whitney test beside them (of several environments, of a permutation test within
each): one is said to be better only where it is at most 0.05 too. Nothing is corrected for the
number of comparisons, and the best of many looks better than it is. n is the number of seeds. Of
more than four curves in a figure, seeds and bands are shown of the best two.
"""


def html(numbers: Numbers, drawn: dict[str, str]) -> str:
    """The page.

    Args:
      numbers: what it shows.
      drawn: the figures by name, as the text of an SVG each.
    """
    title = _text("Report: " + labels.shorten(", ".join(_names(numbers)), 120))
    body = "\n".join(_body(numbers, drawn))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _body(numbers: Numbers, drawn: dict[str, str]) -> Iterator[str]:
    found = (
        f"{_text(each.where)}: <b>{_text(each.finding)}</b> ({_text(each.detail)})"
        for each in sentences.answers(numbers)
    )
    yield f'<div class="answer">{_list(found)}</div>'
    for task in numbers.tasks:
        yield from _task(task, numbers, drawn)
    if numbers.across is not None:
        yield from _across(numbers.across, drawn)
    if numbers.notes:
        yield f"<h2>To be known</h2>{_list(map(_text, numbers.notes))}"
    yield f"<h2>How it was computed</h2><p>{HOW.format(resamples=f'{statistics.RESAMPLES:,}')}</p>"
    sources = dict.fromkeys(r.source for each in numbers.references.values() for r in each)
    if sources:
        yield "<p>Published curves, drawn for orientation and in no number of this page:</p>"
        yield _list(_text(f"{source}: {SOURCES[source]}.") for source in sources)


def _task(task: Task, numbers: Numbers, drawn: dict[str, str]) -> Iterator[str]:
    name, population = file_name(task.env), task.results[0].population
    measured = COLUMNS[population.column]
    if population.column == "eval_return":
        measured += f", {population.settings['eval_episodes']} episodes each"
    yield f"<h2>{_text(task.env)}</h2><p class=faint>Returns of {measured}.</p>"
    keys = (f"{kind}-{name}" for kind in ("learning-curves", "scores", "improvement"))
    yield _figures(drawn[key] for key in keys if key in drawn)
    yield _scores(task)
    if task.improvements:
        yield _improvements(task.improvements)


def _across(across: Across, drawn: dict[str, str]) -> Iterator[str]:
    yield f"<h2>All {len(across.envs)} environments</h2>"
    yield (
        "<p class=faint>What was trained with the same settings in all of them. Scores are "
        "normalized by the lowest (0) and the highest seed (1) of this report in each.</p>"
    )
    keys = ("performance-profiles", "improvement-all")
    yield _figures(drawn[key] for key in keys if key in drawn)
    rows = [[_text(m.label), _estimate(m.iqm, 3)] for m in across.methods]
    yield _table(["run", "normalized score, IQM"], rows)
    if across.improvements:
        yield _improvements(across.improvements)


def _scores(task: Task) -> str:
    varied = differing([result.population.settings for result in task.results])
    heads = ["run", "n", "final score, IQM", "area, IQM", "steps"]
    heads += ["best of the resamples"] * (task.chances is not None) + ["settings"] * bool(varied)
    rows = []
    for result in ranked(task.results):
        settings = describe(result.population.settings, varied)
        reached = min(values[-1, 0] for values in result.population.series.values())
        row = [_text(result.label), str(len(result.finals)), _estimate(result.final)]
        row += [_estimate(result.area), f"{reached:,.0f}"]
        row += [f"{task.chances[result.label]:.0%}"] if task.chances is not None else []
        rows.append(row + [_text(settings)] * bool(varied))
    if varied and all(row[0] == row[-1] for row in rows):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    return _table(heads, rows, numbers=range(1, 6))


def _improvements(found: Sequence[Improvement]) -> str:
    rows = [
        [_text(each.first), _text(each.second), "{} and {}".format(*each.seeds),
         _estimate(each.probability, 2), "" if each.p_value is None else f"{each.p_value:.2g}",
         _text(each.verdict)]
        for each in found
    ]  # fmt: skip
    heads = ["first", "second", "n", "P(first scores higher)", "p", "verdict"]
    return _table(heads, rows, numbers=(2, 3, 4))


def _table(heads: list[str], rows: list[list[str]], numbers: Iterable[int] = (1,)) -> str:
    right = set(numbers)

    def line(cells: list[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=number' * (index in right)}>{cell}</{tag}>"
            for index, cell in enumerate(cells)
        )

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f'<div class="table"><table><tr>{line(heads, "th")}</tr>\n{body}</table></div>'


def _figures(drawn: Iterable[str]) -> str:
    inner = "\n".join(f"<figure>{_inline(svg)}</figure>" for svg in drawn)
    return f'<div class="figures">{inner}</div>'


def _inline(svg: str) -> str:
    """An SVG file as part of a page: without its head, in the page's own ink, on its paper."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    return svg.replace(figures.INK, "currentColor").replace("fill: #ffffff", "fill: none")


def _estimate(found: Estimate, digits: int | None = None) -> str:
    value, interval = sentences.parts(found, digits)
    return f"{value} <small>{interval.removeprefix('95 % interval ')}</small>"


def _names(numbers: Numbers) -> list[str]:
    every = (result.population.path for task in numbers.tasks for result in task.results)
    return list(dict.fromkeys(path.resolve().name for path in every))


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _text(value: Any) -> str:
    return markup.escape(str(value))
