"""`report(runs, output)`: from runs to figures, tables and one page."""

from __future__ import annotations

import collections
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxsac import packages
from jaxsac.reports import comparable, population, tables
from jaxsac.reports.across import across
from jaxsac.reports.numbers import Task, task
from jaxsac.reports.population import Population
from jaxsac.reports.reference import Reference, published
from jaxsac.reports.tables import Numbers
from jaxsac.runs import files


def report(
    runs: Sequence[os.PathLike[str] | str] | os.PathLike[str] | str,
    output: Path | str | None = None,
    reference: bool = False,
) -> Numbers:
    """Compares runs: curves, scores, and how sure it is that one is better than another.

    Example:
      numbers = jaxsac.report(["runs/a", "runs/b"], "runs/a-or-b")
      print(numbers.tasks[0].improvements[0].verdict)

    Args:
      runs: run directories, directories of sweeps, or what `train` returned. A run may be
        unfinished.
      output: directory to write figures (PNG, SVG), numbers.csv, numbers.json and report.html to;
        `report/` within the run or sweep by default, or of several a folder of runs/.
      reference: whether to draw published curves beside them, where there are any.

    Returns:
      All numbers; `directory` says where the files are.

    Raises:
      RunDirectoryError: there is no such run.
      ValueError: no run has a return yet, or runs that cannot be compared; says why.
      ModuleNotFoundError: a package is not installed; names the command that installs it.
    """
    packages.load("a report", "report", "matplotlib", "scipy")
    from jaxsac.reports.write import write

    paths = _paths(runs)
    output = default_output(paths) if output is None else Path(output).expanduser()
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file: give a directory to write the report to.")
    everyone = _labelled([each for path in paths for each in population.read(path)], paths)
    comparable.check(everyone)
    numbers = _numbers(everyone, output, reference)
    write(numbers)
    return numbers


def default_output(paths: Sequence[Path]) -> Path:
    """Where a report goes: into the run, or, of several, where the same runs find it again."""
    if len(paths) == 1:
        return paths[0] / "report"
    names = "\n".join(sorted(os.path.abspath(path) for path in paths))
    return Path("runs") / f"report-{hashlib.sha256(names.encode()).hexdigest()[:6]}"


def _paths(runs: Any) -> list[Path]:
    if isinstance(runs, str | os.PathLike):
        runs = [runs]
    if not isinstance(runs, Iterable):
        raise ValueError(f"runs must be a run directory, or several, got {runs!r}.")
    paths = [Path(run).expanduser() for run in runs]
    if not paths:
        raise ValueError("give a run directory, or several.")
    seen: dict[Path, Path] = {}
    for path in paths:
        other = seen.setdefault(path.resolve(), path)
        if other is not path:
            raise ValueError(f"{path} is given twice: one run is not another to compare it with.")
    return paths


def _labelled(everyone: list[Population], paths: list[Path]) -> list[Population]:
    """With labels that tell them apart."""
    names = [path.resolve().name for path in paths]
    clear = len(set(names)) == len(names)
    found, count = [], collections.Counter()
    for each in everyone:
        name = each.path.resolve().name if clear else str(each.path)
        files.check_name(name)
        parts = [other for other in everyone if other.path == each.path]
        label = name if len(parts) == 1 else each.label
        if len(parts) > 1 and len(paths) > 1:
            label = f"{name}: {label}"
        # Settings are written with few digits, and may then look alike.
        count[each.env, label] += 1
        if (number := count[each.env, label]) > 1:
            label = f"{label} ({number})"
        found.append(population.relabelled(each, label))
    return found


def _numbers(everyone: list[Population], output: Path, reference_too: bool) -> Numbers:
    notes = [note for each in everyone for note in each.notes]
    known = [each for each in everyone if each.series]
    if not known:
        where = ", ".join(dict.fromkeys(str(each.path) for each in everyone))
        raise ValueError(f"there is no return yet in {where}: wait for the first evaluation.")
    by_env: dict[str, list[Population]] = {}
    for each in known:
        by_env.setdefault(each.env, []).append(each)
    tasks = [task(each) for each in by_env.values()]
    references = {t.env: _published(t) if reference_too else [] for t in tasks}
    if reference_too:
        notes += [note for each in tasks if (note := _unpublished(each, references[each.env]))]
    notes += [note for each in tasks for note in tables.remarks(each)]
    return Numbers(output, tasks, across(tasks), references, list(dict.fromkeys(notes)))


def _published(found: Task) -> list[Reference]:
    return published(found.env, _last_step(found))


def _unpublished(found: Task, drawn: list[Reference]) -> str | None:
    """Which published curves are not drawn, and why."""
    there = {each.algorithm for each in drawn}
    missing = [e.algorithm for e in published(found.env) if e.algorithm not in there]
    if not missing:
        return None if drawn else f"No published curves of {found.env} are known here."
    return (
        f"{found.env}: not drawn, as they have no second point up to {_last_step(found):,.0f} "
        f"steps, are the published curves of {' and '.join(missing)}."
    )


def _last_step(found: Task) -> float:
    return max(result.curve.steps[-1] for result in found.results)
