"""The page of an inspection."""

from __future__ import annotations

from collections.abc import Iterator

from jaxsac.inspection.inspect import TITLES, Inspection, MemberInspection
from jaxsac.reports import markup
from jaxsac.reports.markup import grid, items, table, text

MOST_BEFORE = 4
"""Seeds that stand before what is good."""
BAD = '<b style="color:#d55e00" title="looks bad">⚠</b> '


def html(inspection: Inspection, drawn: dict[str, str]) -> str:
    """The page.

    Args:
      inspection: what it shows.
      drawn: the figures by subject, as the text of an SVG each.
    """
    return markup.document(f"Inside {inspection.run.name}", _body(inspection, drawn))


def _body(inspection: Inspection, drawn: dict[str, str]) -> Iterator[str]:
    steps = sorted({member.step for member in inspection.members})
    at = " to ".join(f"{step:,}" for step in dict.fromkeys((steps[0], steps[-1])))
    yield (
        f"<p class=faint>{text(inspection.env)}, {_seeds(inspection)}, {_saved(inspection)} "
        f"step {at}.</p>"
    )
    flagged = list(_flagged(inspection))
    nothing = "<p>Nothing that was computed looks bad.</p>"
    yield f'<div class="answer">{items(flagged) if flagged else nothing}</div>'
    for subject, title in TITLES.items():
        yield f"<h2>{title}</h2>"
        if subject in drawn:
            yield grid([drawn[subject]])
        yield from _subject(inspection, subject)


def _flagged(inspection: Inspection) -> Iterator[str]:
    """What looks bad, each once for all members that have it."""
    found: dict[tuple[str, str], list[str]] = {}
    good: dict[tuple[str, str], str] = {}
    for member in inspection.members:
        for subject, check in member.bad:
            key = (subject, check.name)
            value = f"{_of(inspection, member)}<b>{text(check.value)}</b>"
            found.setdefault(key, []).append(value)
            good.setdefault(key, check.good)
    for (subject, name), values in found.items():
        yield (
            f"{text(TITLES[subject])}, {text(name)}: {'; '.join(values)}. "
            f"<small>Good: {text(good[subject, name])}</small>"
        )


def _subject(inspection: Inspection, subject: str) -> Iterator[str]:
    """A table of its checks, a column each seed; then how it was computed, and what is left out."""
    members = inspection.members
    by_name = [{check.name: check for check in m.sections[subject].checks} for m in members]
    names = dict.fromkeys(name for each in by_name for name in each)
    rows = []
    for name in names:
        checks = [each.get(name) for each in by_name]
        cells = ["" if c is None else f"{BAD * c.bad}{text(c.value)}" for c in checks]
        good = dict.fromkeys(c.good for c in checks if c is not None)
        rows.append([text(name), text(next(iter(good))), *cells])
    if rows:
        heads = ["", "good", *(text(m.heading) for m in members)]
        yield _table(heads, rows)
    for kind, title in (("left_out", "Left out: "), ("notes", "")):
        lines: dict[str, list[MemberInspection]] = {}
        for member in members:
            for line in getattr(member.sections[subject], kind):
                lines.setdefault(line, []).append(member)
        if lines:
            each = (
                ("" if len(of) == len(members) else "".join(_of(inspection, x) for x in of))
                + text(f"{title}{line}")
                for line, of in lines.items()
            )
            yield f"<div class=faint>{items(each)}</div>"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    """With what is good behind the seeds, where a phone shows these; of many, before them."""
    seeds = len(heads) - 2
    if seeds > MOST_BEFORE:
        return table(heads, rows, numbers=range(2, seeds + 2), joined=[1])
    heads, *rows = ([name, *cells, good] for name, good, *cells in (heads, *rows))
    return table(heads, rows, numbers=range(1, seeds + 1), joined=[seeds + 1])


def _of(inspection: Inspection, member: MemberInspection) -> str:
    """Whose it is, where there is more than one."""
    return f"{text(member.heading)}: " if len(inspection.members) > 1 else ""


def _saved(inspection: Inspection) -> str:
    """Which of its states was looked into."""
    named = {"latest": "the latest checkpoint,", "best": "the best policies,"}
    return named.get(str(inspection.which), "the checkpoint of")


def _seeds(inspection: Inspection) -> str:
    labels = ", ".join(member.label for member in inspection.members)
    return text(f"seed{'s' * (len(inspection.members) > 1)} {labels}")
