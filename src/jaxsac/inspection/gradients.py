"""The actor's gradient by its terms: how large each is, and how much each varies."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.inspection.member import NO_CRITICS, Member
from jaxsac.inspection.section import Section, number
from jaxsac.sac import queries
from jaxsac.sac.state import State
from jaxsac.types import Transition

BATCHES, KEYS = 4, 16
TERMS = ("score", "entropy_path", "q_path", "path", "total")
NOISY = 2.0


def inspect(member: Member) -> Section:
    """Norms of the terms over batches of replay, and their variance over keys.

    A term's variance is the trace of the covariance of its estimate on one batch over the noise,
    tr Cov(g) = K/(K−1) · (mean ‖g‖² − ‖mean g‖²) over K keys, averaged over the batches.
    """
    if not member.whole:
        return Section.without(NO_CRITICS)
    if member.replay is None:
        return Section.without(f"the terms are of batches of replay: {member.no_replay}")
    norms, signals, variances = _measured(member)
    section = Section(
        numbers={
            term: {"norm": norms[i], "norm_of_mean": signals[i], "variance": variances[i]}
            for i, term in enumerate(TERMS)
        }
    )
    section.notes.append(
        f"{BATCHES} batches of {member.config.batch_size} transitions, {KEYS} keys each. A norm is "
        "that of one estimate, on average; a variance the trace of its covariance over the keys of "
        "a batch. path is entropy_path + q_path, and total is score + path."
    )
    ratio = variances[-1] / variances[-2] if variances[-2] > 0 else math.inf
    section.numbers["total_over_path"] = ratio
    used = member.agent.config.actor_gradient
    section.add(
        "variance with the score, over that without", number(ratio),
        f"Between {1 / NOISY:g} and {NOISY:g}: above, actor_gradient path is the calmer estimator, "
        f"below, total is (in use: {used}).",
        (ratio > NOISY and used == "total") or (ratio < 1 / NOISY and used == "path"),
    )  # fmt: skip
    for term, norm, signal, variance in zip(TERMS, norms, signals, variances, strict=True):
        section.add(
            f"{term}: norm, norm of the mean, variance",
            f"{number(norm)}, {number(signal)}, {number(variance)}",
            "The score has mean zero: its norm of the mean is noise."
            if term == "score" else "A norm of the mean near the norm: little of it is noise.",
        )  # fmt: skip
    return section


def _measured(member: Member) -> tuple[list[float], list[float], list[float]]:
    """Of each of `TERMS`: mean norm, norm of the mean over keys, and variance over keys."""
    norms, signals, variances = [], [], []
    for batch_number in range(BATCHES):
        batch = member.drawn(member.config.batch_size, batch_number)
        keys = jax.random.split(jax.random.key(batch_number), KEYS)
        # Sums alone, in double precision: all gradients of a large actor might not fit.
        mean, squares, lengths = 0.0, 0.0, 0.0
        for key in keys:
            each = np.asarray(_flat_terms(member.agent, batch, key), np.float64)
            square = (each**2).sum(axis=1)
            mean, squares = mean + each / KEYS, squares + square / KEYS
            lengths = lengths + np.sqrt(square) / KEYS
        signal = (np.asarray(mean) ** 2).sum(axis=1)
        norms.append(lengths)
        signals.append(np.sqrt(signal))
        variances.append(np.maximum(squares - signal, 0) * KEYS / (KEYS - 1))
    norm, signal, variance = (np.mean(x, axis=0).tolist() for x in (norms, signals, variances))
    return norm, signal, variance


@jax.jit
def _flat_terms(agent: State, batch: Transition, key: jax.Array) -> jax.Array:
    """The terms in the order of `TERMS`, each as one row."""
    terms = queries.gradient_terms(agent, batch, key)
    score, entropy_path, q_path, total = (
        jnp.concatenate([x.ravel() for x in jax.tree.leaves(term)]) for term in terms
    )
    return jnp.stack([score, entropy_path, q_path, entropy_path + q_path, total])
