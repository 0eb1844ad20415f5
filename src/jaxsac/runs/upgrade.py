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

MISSING: dict[int, dict[str, Any]] = {2: {"encoder": "flat"}}
"""By format: settings that it did not have, with what it did, where that is not today's default."""


class Renamed(NamedTuple):
    """What a setting is called now."""

    name: str
    values: Mapping[Any, Any] | None = None
    """Today's values for those of then; None: the same."""


RENAMED: dict[int, dict[str, Renamed]] = {
    2: {"layer_norm": Renamed("normalization", {False: "none", True: "layer"})}
}
"""By format: settings that had another name."""
MOVED: dict[int, dict[str, str]] = {
    2: {
        "actor/params": "actor_params",
        "actor/opt_state": "actor_opt_state",
        "critic/params": "critic_params",
        "critic/opt_state": "critic_opt_state",
        "critic/target_params": "target_critic_params",
        "critic/value/params": "value_params",
        "critic/value/opt_state": "value_opt_state",
        "critic/target_value_params": "target_value_params",
        "temperature/params": "log_alpha",
        "temperature/opt_state": "alpha_opt_state",
    }
}
"""By format: what the tensors of an agent were called, by the beginning of today's names."""
ADDED: dict[str, float] = {
    "hyperparameters/adam_b1": 0.9,
    "hyperparameters/adam_b2": 0.999,
    "hyperparameters/adam_eps": 1e-8,
    "hyperparameters/weight_decay": 0.0,
    "hyperparameters/max_gradient_norm": 1.0,
    "hyperparameters/final_lr_scale": 0.0,
    "hyperparameters/schedule_updates": 1_000_000.0,
    "metrics/actor_updates": 0,
}
"""Tensors that a bundle may lack, with what they would have held: it was written before there were
any. Released and unreleased versions share a format, so this goes by name alone."""
NOT_RESUMED = frozenset({2})
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


def tensor_name(leaf: str, written: int) -> str:
    """What a tensor is called in a bundle of a format; a failure has its agent in `agent/`."""
    owner = "agent/" if leaf.startswith("agent/") else ""
    name = leaf.removeprefix(owner)
    for older in reversed(range(written, FORMAT)):
        for new, old in MOVED[older].items():
            if name == new or name.startswith(f"{new}/"):
                name = old + name.removeprefix(new)
                break
    return owner + name


def value_before(leaf: str) -> float | None:
    """What a tensor that a bundle lacks would have held; None where none may be lacking."""
    return ADDED.get(leaf.removeprefix("agent/"))


def refusal_to_resume(written: int) -> str | None:
    """Why a run whose checkpoint has this format is not resumed; None where it is."""
    if written not in NOT_RESUMED:
        return None
    release = RELEASES[written]
    return (
        f"written by jaxsac {release}, which alone resumes it; its policies, its report and its "
        "evaluation work with this version too."
    )
