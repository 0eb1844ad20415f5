"""The page of a report: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jaxsac.reports import markup, sentences, statistics
from jaxsac.reports.across import Across
from jaxsac.reports.comparable import COLUMNS
from jaxsac.reports.markup import grid, items, table, text
from jaxsac.reports.numbers import Improvement, Task, ranked
from jaxsac.reports.population import describe, differing
from jaxsac.reports.reference import SOURCES
from jaxsac.reports.statistics import Estimate
from jaxsac.reports.tables import Numbers, file_name
from jaxsac.runs.settings import labels

HOW = """
The thick line is the interquartile mean (IQM): the mean of the seeds without their lowest and
highest quarter. Bands and intervals are its 95&nbsp;% confidence intervals: percentiles of
{resamples} bootstrap resamples of the seeds, stratified by environment. The final score of a seed
is its mean return over the last fifth of the steps, the area its mean return over all of them (the
area under its curve divided by the steps), both with straight lines between evaluations.
&ldquo;Best in resamples&rdquo; is the share of the resamples in which a run has the highest final
score. The probability of improvement is the chance
that a seed of the first run scores higher than one of the second (Mann and Whitney's U over the
number of pairs), by their final scores; where its interval holds 0.5 no difference was found, which
does not say that there is none, and where seeds are so few that p cannot reach 0.05 there are too
few to be sure. All this is as in Agarwal et al. 2021 (arXiv:2108.13264). Such intervals are too
short for few seeds, so the p of a two-sided Mann-Whitney test stands beside them (of several
environments, that of a permutation test within each): one run is said to be better only where p is
at most 0.05 too. Nothing is corrected for the number of comparisons, and the best of many looks
better than it is. n is the number of seeds. A figure of more than four curves shows the seeds and
bands of the best two only.
"""
LINES = "Thick lines: IQM of the seeds; bands: its 95&nbsp;% interval; thin lines: single seeds."


def html(numbers: Numbers, drawn: dict[str, str]) -> str:
    """The page.

    Args:
      numbers: what it shows.
      drawn: the figures by name, as the text of an SVG each.
    """
    title = "Report: " + labels.shorten(", ".join(_names(numbers)), 120)
    return markup.document(title, _body(numbers, drawn))


def _body(numbers: Numbers, drawn: dict[str, str]) -> Iterator[str]:
    found = (
        f"{text(each.where)}: <b>{text(each.finding)}</b> ({text(each.detail)})"
        for each in sentences.answers(numbers)
    )
    yield f'<div class="answer">{items(found)}</div>'
    for task in numbers.tasks:
        yield from _task(task, numbers, drawn)
    if numbers.across is not None:
        yield from _across(numbers.across, drawn)
    if numbers.notes:
        yield f"<h2>Notes</h2>{items(map(text, numbers.notes))}"
    yield f"<h2>How it was computed</h2><p>{HOW.format(resamples=f'{statistics.RESAMPLES:,}')}</p>"
    sources = dict.fromkeys(r.source for each in numbers.references.values() for r in each)
    if sources:
        yield "<p>Published curves are drawn for orientation; no number comes from them:</p>"
        yield items(text(f"{source}: {SOURCES[source]}.") for source in sources)


def _task(task: Task, numbers: Numbers, drawn: dict[str, str]) -> Iterator[str]:
    name, population = file_name(task.env), task.results[0].population
    measured = COLUMNS[population.column]
    if population.column == "eval_return":
        measured += f", {population.settings['eval_episodes']} episodes each"
    several = any(len(result.finals) > 1 for result in task.results)
    yield f"<h2>{text(task.env)}</h2><p class=faint>Returns of {measured}. {LINES * several}</p>"
    keys = (f"{kind}-{name}" for kind in ("learning-curves", "scores", "improvement"))
    yield grid(drawn[key] for key in keys if key in drawn)
    yield _scores(task)
    if task.improvements:
        yield _improvements(task.improvements)
    yield _settings(task)


def _across(across: Across, drawn: dict[str, str]) -> Iterator[str]:
    yield f"<h2>All {len(across.envs)} environments</h2>"
    yield (
        "<p class=faint>What was trained with the same settings in all of them. Scores are "
        "normalized by the lowest (0) and the highest seed (1) of this report in each.</p>"
    )
    keys = ("performance-profiles", "improvement-all")
    yield grid(drawn[key] for key in keys if key in drawn)
    rows = [[text(m.label), _estimate(m.iqm, 3)] for m in across.methods]
    yield table(["run", "normalized score, IQM"], rows)
    if across.improvements:
        yield _improvements(across.improvements)


def _scores(task: Task) -> str:
    heads = ["run", "n", "final score, IQM", "area, IQM", "steps"]
    heads += ["best in resamples"] * (task.chances is not None)
    rows = []
    for result in ranked(task.results):
        reached = min(last for _, last in result.population.spans.values())
        row = [text(result.label), str(len(result.finals)), _estimate(result.final)]
        row += [_estimate(result.area), f"{reached:,.0f}"]
        row += [f"{task.chances[result.label]:.0%}"] if task.chances is not None else []
        rows.append(row)
    return table(heads, rows, numbers=range(1, 6))


def _settings(task: Task) -> str:
    """Those in which the runs differ, a row each; nothing where the labels say it all."""
    results = ranked(task.results)
    each = [result.population.settings for result in results]
    varied = differing(each)
    if all(
        describe(settings, varied) in ("", r.label)
        for settings, r in zip(each, results, strict=True)
    ):
        return ""
    rows = [
        [text(name), *(text(describe(settings, [name]).partition("=")[2]) for settings in each)]
        for name in varied
    ]
    return table(["setting", *(text(result.label) for result in results)], rows, numbers=())


def _improvements(found: Sequence[Improvement]) -> str:
    rows = [
        [text(each.first), text(each.second), "{} and {}".format(*each.seeds),
         _estimate(each.probability, 2), "" if each.p_value is None else f"{each.p_value:.2g}",
         text(each.verdict)]
        for each in found
    ]  # fmt: skip
    heads = ["first", "second", "n", "P(first scores higher)", "p", "verdict"]
    return table(heads, rows, numbers=(2, 3, 4))


def _estimate(found: Estimate, digits: int | None = None) -> str:
    value, interval = sentences.parts(found, digits)
    return f"{value} <small>{interval.removeprefix('95 % interval ')}</small>"


def _names(numbers: Numbers) -> list[str]:
    every = (result.population.path for task in numbers.tasks for result in task.results)
    return list(dict.fromkeys(path.resolve().name for path in every))
