"""What comes out of a report, in a sentence for each question."""

from __future__ import annotations

from typing import NamedTuple

from jaxsac.reports.numbers import Improvement, Task
from jaxsac.reports.statistics import Estimate
from jaxsac.reports.tables import Numbers
from jaxsac.runs.settings import labels


class Answer(NamedTuple):
    """A finding and what it stands on."""

    where: str
    finding: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.finding} ({self.detail})"


def answers(numbers: Numbers) -> list[Answer]:
    """For each environment: the score of one run, which of two is better, or the best of many."""
    found = []
    for task in numbers.tasks:
        if len(task.results) == 1:
            found.append(_score(task))
        elif len(task.results) == 2:
            found += [_comparison(task.env, each) for each in task.improvements]
        else:
            found.append(_best(task))
    if numbers.across is not None:
        found += [_comparison("all environments", each) for each in numbers.across.improvements]
    return found


def estimate(found: Estimate, digits: int | None = None) -> str:
    """A number with its interval: "0.83, 95 % interval 0.70 to 0.95"; as a return by default."""
    value, interval = parts(found, digits)
    return f"{value}, {interval}"


def parts(found: Estimate, digits: int | None = None) -> tuple[str, str]:
    """The number and its interval, each for itself."""
    largest = max((each for each in found if each is not None), key=abs)

    def text(value: float) -> str:
        return labels.number(value, largest) if digits is None else f"{value:.{digits}f}"

    if found.low is None or found.high is None:
        return text(found.value), "no interval"
    return text(found.value), f"95 % interval {text(found.low)} to {text(found.high)}"


def seeds(count: int) -> str:
    """How many: "4 seeds"."""
    return f"{count} seed{'s' * (count > 1)}"


def _score(task: Task) -> Answer:
    (result,) = task.results
    return Answer(
        task.env,
        f"{result.label} scores {parts(result.final)[0]}",
        f"{parts(result.final)[1]}, {seeds(len(result.finals))}, at {task.end:,.0f} steps",
    )


def _comparison(where: str, each: Improvement) -> Answer:
    probability = estimate(each.probability, 2)
    of = f"P({each.first} scores higher than {each.second}) = {probability}"
    p = "" if each.p_value is None else f", p = {each.p_value:.2g}"
    return Answer(where, each.verdict, f"{of}{p}, n = {each.seeds[0]} and {each.seeds[1]}")


def _best(task: Task) -> Answer:
    """The best of many, its interval, and how sure it is."""
    best = task.best
    value, interval = parts(best.final)
    finding = f"the best of {len(task.results)} is {best.label}, which scores {value}"
    detail = f"{interval}, {seeds(len(best.finals))}"
    if task.chances is None:
        return Answer(task.env, finding, f"{detail}; with one seed nobody knows how sure that is")
    detail += f"; the best in {task.chances[best.label]:.0%} of the resamples of the seeds"
    pairs = [each for each in task.improvements if best.label in (each.first, each.second)]
    alike = [
        each.second if each.first == best.label else each.first
        for each in pairs
        if each.better != best.label
    ]
    if alike:
        more = f", and {len(alike) - 3} more" * (len(alike) > 3)
        detail += f"; not surely better than {'; '.join(alike[:3])}{more}"
    return Answer(task.env, finding, detail)
