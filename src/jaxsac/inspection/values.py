"""What the critics expect, beside what the policy gets: over-estimation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxsac.data import return_scale
from jaxsac.inspection.episodes import Episode
from jaxsac.inspection.member import Member
from jaxsac.inspection.section import Section, number, percent

FAR = 0.2
"""Mean gap that looks bad, in mean sizes of the returns."""
OWN_WORD = 0.5
"""Weight of a bootstrapped value from which on a return tells too little of what was paid."""


class Returns(NamedTuple):
    """Of every step of an episode, (T,)."""

    soft: np.ndarray
    """What Q(s, a) estimates: rewards, and entropy from the next step on."""
    plain: np.ndarray
    """Rewards alone, but for the bootstrapped value."""
    weight: np.ndarray
    """γ^k of the bootstrapped value in it; 0 where the episode terminated."""


def returns(episode: Episode, gamma: float, alpha: float, n_step: int, divisor: float) -> Returns:
    """Discounted returns from every state of an episode.

    R_t = Σ_{k<n} γ^k r_{t+k} + γ^n (R_{t+n} - α log π(a_{t+n}|s_{t+n})), n = `n_step`

    so that the entropy counts where the critics' targets count it: at each step for n = 1. After
    the last state of an episode that a time limit cut, R is min Q(s, a) of the critics.

    Args:
      episode: T steps.
      gamma: discount factor.
      alpha: temperature.
      n_step: of the critics' targets.
      divisor: of the rewards that the critics learn from.
    """
    length, goes_on = len(episode.reward), not episode.terminated
    reward = episode.reward / divisor
    # From `length` on: what follows the episode.
    plain = np.append(reward, goes_on * episode.last_q)
    bonus = np.append(np.zeros(length), 0.0)
    cost = np.append(alpha * episode.log_prob, goes_on * alpha * episode.last_log_prob)
    for t in reversed(range(length)):
        plain[t] += gamma * plain[t + 1]
        ahead = min(n_step, length - t)
        bonus[t] = gamma**ahead * (bonus[t + ahead] - cost[t + ahead])
    weight = goes_on * gamma ** np.arange(length, 0, -1.0)
    return Returns((plain + bonus)[:-1], plain[:-1], weight)


def inspect(member: Member, episodes: list[Episode], asked: int) -> Section:
    """Q against returns over the states of the episodes.

    Args:
      member: with its critics.
      episodes: of its sampled policy.
      asked: how many were played.
    """
    section = Section()
    if len(episodes) < asked:
        section.left_out.append(
            f"{asked - len(episodes)} of {asked} episodes: with a number that is not finite."
        )
    if not episodes:
        return section
    hyper, divisor = member.agent.hyperparameters, 1.0
    if member.scale:
        divisor = float(return_scale.divisor(member.scale))
        section.notes.append(f"In the critics' units: rewards are divided by {number(divisor)}.")
    gamma, alpha = float(np.asarray(hyper.gamma)), float(member.agent.alpha)
    each = [returns(x, gamma, alpha, member.config.n_step, divisor) for x in episodes]
    soft, plain, weight = (np.concatenate(x) for x in zip(*each, strict=True))
    q_min, q_mean = (
        np.concatenate([getattr(x, name) for x in episodes]) for name in ("q_min", "q_mean")
    )
    kept = weight <= OWN_WORD
    section.notes += _how(episodes, kept, weight, gamma)
    if not kept.any():
        kept[:] = True
    episode = np.repeat(np.arange(len(episodes)), [len(x.reward) for x in episodes])
    soft, plain, q_min, q_mean, episode = (x[kept] for x in (soft, plain, q_min, q_mean, episode))
    section.numbers |= {
        "q_min": q_min, "q_mean": q_mean, "soft_return": soft, "plain_return": plain,
        "episode": episode, "gamma": gamma, "alpha": alpha,
    }  # fmt: skip
    _compare(section)
    return section


def _compare(section: Section) -> None:
    """Adds the gap between Q and the soft returns, and how they go together."""
    n = section.numbers
    gap, size = n["q_min"] - n["soft_return"], np.mean(np.abs(n["soft_return"]))
    by_episode = [gap[n["episode"] == i].mean() for i in np.unique(n["episode"])]
    relative = float(gap.mean() / size) if size > 0 else np.nan
    n |= {"gap": float(gap.mean()), "relative_gap": relative, "gap_by_episode": by_episode}
    section.add(
        "min Q − soft return: mean (range over episodes)",
        f"{number(gap.mean())} ({number(min(by_episode))} to {number(max(by_episode))})",
        "Small beside the returns, and of the same sign in all episodes only where it is real.",
    )  # fmt: skip
    section.add(
        "min Q − soft return, relative to the mean size of returns", percent(relative),
        f"Within ± {percent(FAR)}: above it is over-estimation, below it pessimism.",
        abs(relative) > FAR,
    )  # fmt: skip
    section.add(
        "mean Q of the critics − min Q", number(np.mean(n["q_mean"] - n["q_min"])),
        "Small beside the gap: critics that agree.",
    )  # fmt: skip
    section.add(
        "soft return, plain return: means",
        f"{number(n['soft_return'].mean())}, {number(n['plain_return'].mean())}",
        "Plain returns are of rewards alone; their distance is what entropy is worth.",
    )  # fmt: skip
    if min(np.std(n["q_min"]), np.std(n["soft_return"])) > 1e-6 * size:
        together = float(np.corrcoef(n["q_min"], n["soft_return"])[0, 1])
        n["correlation"] = together
        section.add(
            "correlation of min Q and soft return", number(together),
            "Near 1: the critics tell good states from bad ones.", together < 0,
        )  # fmt: skip


def _how(episodes: list[Episode], kept: np.ndarray, weight: np.ndarray, gamma: float) -> list[str]:
    """How returns were made, in sentences."""
    lines = [
        f"{len(episodes)} episodes of the sampled policy, γ = {gamma:g}. Soft returns count "
        "−α log π from the next action on, as Q does; the plain ones are of rewards alone."
    ]
    cut = sum(not x.terminated for x in episodes)
    if cut:
        lines.append(
            f"A time limit cut {cut} of them: their returns go on with min Q at the last state."
        )
        if kept.any():
            lines.append(
                f"States where that weighs more than {OWN_WORD:g} are left out: "
                f"{np.sum(~kept):,} of {kept.size:,}; in the others it weighs "
                f"{number(weight[kept].mean())} on average, and hides that share of any gap."
            )
        else:
            lines.append(
                f"It weighs more than {OWN_WORD:g} in all of them ({number(weight.mean())} on "
                "average): the episodes are short beside 1/(1 − γ) steps, and a gap looks smaller "
                "than it is by that share."
            )
    return lines
