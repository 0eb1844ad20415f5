"""Actions at the ends of their range, where the entropy's gradient vanishes."""

from __future__ import annotations

import jax
import numpy as np

from jaxsac.inspection.episodes import Episode
from jaxsac.inspection.member import Member
from jaxsac.inspection.section import Section, number, percent
from jaxsac.sac import agent as sac

SATURATED = 0.99
HALF = 0.5
STATES = 4096
LITTLE = 1e-3


def inspect(member: Member, episodes: list[Episode]) -> Section:
    """The share of |a| > 0.99 in each action dimension, in replay and under the policy.

    Args:
      member: the member.
      episodes: of its sampled policy, for its actions where there is no replay.
    """
    section, replayed = Section(), None
    section.notes.append(
        "1 − a² is what tanh leaves of a gradient: that of the entropy with respect to the "
        "pre-tanh action, and of Q through it. Where it is below "
        f"{LITTLE:g}, hardly any gradient brings an action back."
    )
    if member.replay is None:
        section.left_out.append(f"actions of replay: {member.no_replay}")
        if not episodes:
            section.left_out.append("actions of the policy: there is no state to see them in.")
            return section
        actions = np.concatenate([each.action for each in episodes])
        where = "in its episodes"
    else:
        replayed = _shares(np.asarray(member.replay.action, np.float64))
        states = member.drawn(STATES).observation
        actions = np.asarray(sac.sample(member.agent, states, jax.random.key(0))[0])
        where = "at states of replay"
    acted = _shares(actions.astype(np.float64))
    whose = "policy" if replayed is None else "policy / replay"
    section.numbers |= {"policy": acted} | ({} if replayed is None else {"replay": replayed})
    section.add(
        f"largest share of |a| > {SATURATED} in a dimension", percent(max(acted["share"])),
        f"Below {percent(HALF)}; the dimensions follow.",
    )  # fmt: skip
    for index, (share, left) in enumerate(zip(acted["share"], acted["gradient"], strict=True)):
        shown = f"{percent(share)} ({number(left)})" if share else "0 %"
        section.add(
            f"action {index}: |a| > {SATURATED} (mean 1 − a² there), {whose}",
            shown if replayed is None else f"{shown} / {percent(replayed['share'][index])}",
            f"Below {percent(HALF)} under the policy ({where}), unless the best actions are the "
            "extreme ones.",
            share > HALF,
        )  # fmt: skip
    return section


def _shares(actions: np.ndarray) -> dict[str, list[float]]:
    """By dimension: the share of saturated actions of (N, A), and the mean 1 − a² of those."""
    saturated = np.abs(actions) > SATURATED
    counts = saturated.sum(axis=0)
    left = np.sum((1 - actions**2) * saturated, axis=0)
    gradient = np.where(counts > 0, left / np.maximum(counts, 1), np.nan)
    return {"share": saturated.mean(axis=0).tolist(), "gradient": gradient.tolist()}
