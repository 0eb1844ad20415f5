"""What older versions of jaxsac did: the one place that makes their run directories today's.

The rule: everything on disk is read by name. A missing key takes the value that reproduces what
the older version did, a name that this version does not know is said and not fatal, and runs
written by each released version stay in `tests/fixtures`, whose policies load, whose reports are
drawn and which resume, or are refused in one sentence that says which version resumes them.

A change that older runs would notice raises `FORMAT` and adds what it changed to the tables here,
under the format that was the newest until then. Nothing else in the library knows older formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

FORMAT = 3
"""Of the manifests and bundles that this version writes."""
RELEASES = {2: "0.1", 3: "0.2"}
"""The release that wrote each format. A run's manifest without a number is of the first."""
OLDEST = min(RELEASES)

MISSING: dict[int, dict[str, Any]] = {2: {}}
"""By format: settings that it did not have, with what it did, where that is not today's default."""


class Renamed(NamedTuple):
    """What a setting is called now."""

    name: str
    values: Mapping[Any, Any] | None = None
    """Today's values for those of then; None: the same."""


RENAMED: dict[int, dict[str, Renamed]] = {2: {}}
"""By format: settings that had another name, such as
`"layer_norm": Renamed("normalization", {False: "none", True: "layer"})`."""


class Moved(NamedTuple):
    """Where tensors lay: in another part of a bundle, or under another name."""

    part: str
    prefix: str
    """Of today's names, up to a "/", or a whole name."""
    old_part: str
    old_prefix: str


def _in_agent(prefix: str, old_prefix: str) -> tuple[Moved, Moved]:
    """A part of the agent's state, which a failure holds as well."""
    return (
        Moved("agent", prefix, "agent", old_prefix),
        Moved("failure", f"agent/{prefix}", "failure", f"agent/{old_prefix}"),
    )


MOVED: dict[int, tuple[Moved, ...]] = {2: ()}
"""By format: tensors that lay elsewhere, such as `*_in_agent("actor/params", "actor_params")`."""
ABSENT: dict[int, tuple[tuple[str, str], ...]] = {2: ()}
"""By format: parts and prefixes of tensors that it did not have, and that zeros stand for."""
NOT_RESUMED: frozenset[int] = frozenset()
"""Formats whose runs this version does not resume. Their policies, reports and evaluations work."""


def is_known(written: Any) -> bool:
    """Whether this version reads bundles of a format."""
    return isinstance(written, int) and not isinstance(written, bool) and written in RELEASES


def settings(values: Mapping[str, Any], written: int) -> dict[str, Any]:
    """The settings of a run by today's names.

    Args:
      values: from a manifest.
      written: its format.

    Returns:
      Those values, renamed, with what older versions did for settings that they did not have.

    Raises:
      KeyError: a value that the older version did not have.
    """
    found = dict(values)
    for older in range(written, FORMAT):
        for name, new in RENAMED[older].items():
            if name in found:
                value = found.pop(name)
                found[new.name] = value if new.values is None else new.values[value]
        found = {**MISSING[older], **found}
    return found


def origins(part: str, leaf: str, written: int) -> list[tuple[str, str]]:
    """The parts and names under which a tensor of today may lie in a bundle of a format."""
    places = [(part, leaf)]
    for older in reversed(range(written, FORMAT)):
        places = [before for place in places for before in _origins(*place, older)]
    return places


def is_absent(part: str, leaf: str, written: int) -> bool:
    """Whether a bundle of a format may lack this tensor, so that zeros stand for it."""
    return any(
        part == new_part and _below(leaf, prefix)
        for older in range(written, FORMAT)
        for new_part, prefix in ABSENT[older]
    )


def refusal_to_resume(written: int) -> str | None:
    """Why a run whose checkpoint has this format is not resumed; None where it is."""
    if written not in NOT_RESUMED:
        return None
    release = RELEASES[written]
    return (
        f"written by jaxsac {release}, which alone resumes it (pip install 'jaxsac=={release}.*'); "
        "its policies, its report and its evaluation work with this version too."
    )


def _origins(part: str, leaf: str, older: int) -> list[tuple[str, str]]:
    found = [
        (moved.old_part, moved.old_prefix + leaf.removeprefix(moved.prefix))
        for moved in MOVED[older]
        if moved.part == part and _below(leaf, moved.prefix)
    ]
    return found or [(part, leaf)]


def _below(leaf: str, prefix: str) -> bool:
    return leaf == prefix or leaf.startswith(f"{prefix.removesuffix('/')}/")
