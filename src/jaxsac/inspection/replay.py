"""What replay holds: how much, how it ends, what it pays, and the ranges of its observations."""

from __future__ import annotations

import jax
import numpy as np

from jaxsac.data import normalize
from jaxsac.inspection.member import Member
from jaxsac.inspection.section import Section, number, percent
from jaxsac.sac.config import Config

MOST_DIMENSIONS = 1024
"""Of observations that are listed one by one; an image is told by its smallest and largest."""
UNEVEN = 100.0
"""Ratio of the largest standard deviation of a dimension to the smallest that is not zero."""


def inspect(member: Member) -> Section:
    """The section of a member."""
    if member.replay is None:
        return Section.without(member.no_replay)
    section, config = Section(), member.config
    reward = np.asarray(member.replay.reward, np.float64)
    ended = float(np.mean(member.replay.discount == 0))
    capacity = config.replay_capacity
    section.numbers |= {
        "transitions": len(reward), "capacity": capacity, "terminated": ended,
        "reward": _summary(reward[:, None]),
    }  # fmt: skip
    section.add(
        "transitions", f"{len(reward):,} of {capacity:,}",
        "All of a run's transitions as long as they fit, then the latest.",
    )  # fmt: skip
    section.add(
        "terminated", percent(ended),
        "The share of transitions that end the process; none where only time limits end episodes.",
    )  # fmt: skip
    section.add(
        "reward: mean ± std", f"{number(reward.mean())} ± {number(reward.std())}",
        "A spread above 0: rewards that are all alike teach nothing.", reward.std() == 0,
    )  # fmt: skip
    section.add(
        "reward: min to max", f"{number(reward.min())} to {number(reward.max())}",
        "Within some tens of standard deviations; single extreme rewards rule the critics' loss.",
        np.max(np.abs(reward - reward.mean())) > 50 * reward.std() > 0,
    )  # fmt: skip
    if config.n_step > 1:
        section.notes.append(f"Rewards are discounted sums over up to {config.n_step} steps.")
    _observations(member, section)
    return section


def _observations(member: Member, section: Section) -> None:
    """Ranges of each dimension, before any normalization."""
    ranges, large = [], []
    for path, leaf in jax.tree.leaves_with_path(member.observations):
        name = "observation" + jax.tree_util.keystr(path)
        flat = leaf.reshape(len(leaf), -1)
        if flat.shape[1] > MOST_DIMENSIONS:
            large.append(f"{name}: {flat.shape[1]:,} values, {flat.min()} to {flat.max()}.")
            continue
        ranges.append((name, _summary(flat), normalize.is_float(leaf)))
    section.notes += large
    section.numbers["observations"] = {name: summary for name, summary, _ in ranges}
    floats = [np.asarray(summary["std"]) for _, summary, is_float in ranges if is_float]
    if not floats:
        return
    std = np.concatenate(floats)
    section.add(
        "constant observation dimensions", f"{np.sum(std == 0)} of {std.size}",
        "None: what never changes tells nothing.", np.any(std == 0),
    )  # fmt: skip
    if np.any(std > 0):
        ratio = std.max() / std[std > 0].min()
        scaled = scaled_by(member.config.normalize_observations, member.agent.config)
        section.add(
            "largest std of an observation dimension over the smallest", number(ratio),
            f"Below {UNEVEN:g}, or inputs brought to one scale (here {scaled or 'nothing does so'})"
            ".", ratio > UNEVEN and not scaled,
        )  # fmt: skip


def scaled_by(normalize_observations: bool, config: Config) -> str:
    """Which setting brings each dimension of the networks' inputs to one scale; "" for none."""
    if normalize_observations:
        return "normalize_observations does so"
    kinds = {each.normalization for each in (config.actor_settings, config.critic_settings)}
    # Layer normalization scales an input as a whole; of networks of one's own nothing is known.
    by_batch = kinds <= {"batch", "batch_renorm"} and not (config.actor or config.critic)
    return "normalize_inputs does so" if config.normalize_inputs and by_batch else ""


def _summary(values: np.ndarray) -> dict[str, list[float]]:
    """Mean, standard deviation and range of each column of (N, D)."""
    found: dict[str, list[float]] = {name: [] for name in ("mean", "std", "min", "max")}
    # In double precision, as float32 loses a spread beside a large mean; so column by column.
    for column in values.T:
        column = column.astype(np.float64)
        for name, each in found.items():
            each.append(float(getattr(np, name)(column)))
    return found
