"""Episodes of a saved policy, with what its critics say of every step."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.data import frame_stack, normalize
from jaxsac.envs import host
from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.fitness import time_limit
from jaxsac.envs.in_jax import device
from jaxsac.envs.in_jax.families import make_in_jax
from jaxsac.envs.step_result import StepResult
from jaxsac.inspection.member import Member
from jaxsac.runs.policies.evaluation import FRESH
from jaxsac.runs.settings.config import RunConfig
from jaxsac.sac import agent as sac
from jaxsac.sac import queries
from jaxsac.training.carry import Policy
from jaxsac.training.copies import make_envs_to_evaluate_alone
from jaxsac.training.population import EVALUATION_STREAM, INSPECTION_STREAM, stream_key
from jaxsac.types import PyTree


class Episode(NamedTuple):
    """T steps of the sampled policy."""

    action: np.ndarray
    """In [-1, 1], (T, A)."""
    reward: np.ndarray
    """As the environment pays it, (T,)."""
    log_prob: np.ndarray
    """(T,)"""
    q_min: np.ndarray
    """min over the critics of Q(s, a), (T,)."""
    q_mean: np.ndarray
    """Their mean, (T,)."""
    terminated: bool
    """False: a time limit cut it."""
    last_q: float
    """min Q(s, a) at the state after the last step, a being the policy's; without meaning where
    the episode terminated."""
    last_log_prob: float
    """log π(a|s) there."""


class _Said(NamedTuple):
    """What a policy and its critics say of the states of all copies."""

    action: Any
    """(E, A)."""
    log_prob: Any
    """(E,)."""
    q_min: Any
    """Over the critics, (E,)."""
    q_mean: Any


class _Step(NamedTuple):
    """A step of all copies."""

    said: _Said
    reward: np.ndarray
    discount: np.ndarray
    valid: np.ndarray


class _End(NamedTuple):
    """How the first episode of a copy ended."""

    step: int
    """Its last one, from 0 on."""
    q: float
    """As `Episode.last_q`."""
    log_prob: float


class Environments(Protocol):
    """Copies of an environment to play in."""

    limit: time_limit.Limit
    """Of an episode."""

    def reset(self, seed: int, number: int) -> PyTree:
        """Starts an episode in every copy, (E, ...), by the member's seed and a number."""
        ...

    def step(self, action: np.ndarray) -> StepResult:
        """Steps every copy; leading axis E."""
        ...

    def close(self) -> None:
        """Ends the copies."""
        ...


def make(config: RunConfig, episodes: int) -> Environments:
    """Environments as a run evaluates in, for one member at a time.

    Raises:
      ValueError, ModuleNotFoundError: they cannot be made.
    """
    mujoco_warnings.redirect()
    population = config.to_population()
    in_jax = make_in_jax(population.env, population.env_options)
    if in_jax is not None:
        return _OnDevice(in_jax, episodes)
    one = population.replace(seeds=population.seeds[:1], labels=population.labels[:1])
    return _OnHost(make_envs_to_evaluate_alone(one, episodes))


def play(member: Member, envs: Environments, episodes: int) -> list[Episode]:
    """Episodes of a member's sampled policy; those with a NaN or an infinity are left out.

    Args:
      member: with its critics.
      envs: to play in.
      episodes: how many, at the least.

    Raises:
      ValueError: an episode has no end.
    """
    found: list[Episode | None] = []
    while len(found) < episodes:
        found += _round(member, envs, len(found))
    return [each for each in found[:episodes] if each is not None]


def _round(member: Member, envs: Environments, number: int) -> list[Episode | None]:
    """An episode in every copy; None for one with a number that is not finite."""
    first = jax.tree.map(np.asarray, envs.reset(member.seed, number))
    seen = frame_stack.begin(first, member.config.frame_stack, np)
    key = jax.random.fold_in(stream_key(jnp.asarray(member.seed), INSPECTION_STREAM), number)
    over = np.zeros(len(jax.tree.leaves(first)[0]), bool)
    steps: list[_Step] = []
    ends: dict[int, _End] = {}
    for count in range(envs.limit.steps):
        said = jax.tree.map(
            np.asarray, _look(member.policy, seen, jax.random.fold_in(key, 2 * count))
        )
        result = jax.tree.map(np.asarray, envs.step(said.action))
        steps.append(_Step(said, result.reward, result.discount, result.valid))
        ended = result.over & ~over
        if ended.any():
            last = frame_stack.push(seen, result.next_observation, np)
            after = _look(member.policy, last, jax.random.fold_in(key, 2 * count + 1))
            q, log_prob = np.asarray(after.q_min), np.asarray(after.log_prob)
            for copy in np.flatnonzero(ended).tolist():
                ends[copy] = _End(count, q[copy], log_prob[copy])
        over = over | result.over
        if over.all():
            break
        seen = frame_stack.follow(seen, result.observation, result.over, np)
    else:
        raise time_limit.without_end(envs.limit)
    stacked = jax.tree.map(lambda *each: np.stack(each), *steps)
    return [_episode(stacked, copy, end) for copy, end in sorted(ends.items())]


def _episode(stacked: _Step, copy: int, end: _End) -> Episode | None:
    """The episode of one copy up to its last step, of steps (T, E, ...)."""
    said, reward, discount, valid = jax.tree.map(lambda x: x[: end.step + 1, copy], stacked)
    if not valid.all():
        return None
    return Episode(
        said.action, reward.astype(np.float64), said.log_prob.astype(np.float64),
        said.q_min.astype(np.float64), said.q_mean.astype(np.float64), bool(discount[-1] == 0),
        float(end.q), float(end.log_prob),
    )  # fmt: skip


@jax.jit
def _look(policy: Policy, observation: PyTree, key: jax.Array) -> _Said:
    """What a policy and its critics say of states."""
    seen = normalize.apply(policy.normalizer, observation)
    action, log_prob = sac.sample(policy.agent, seen, key)
    q = queries.q_values(policy.agent, seen, action)
    return _Said(action, log_prob, q.min(axis=0), q.mean(axis=0))


class _OnHost:
    """Of Gymnasium."""

    def __init__(self, envs: host.HostEnvs) -> None:
        self._envs = envs
        self.limit = envs.ask_first(time_limit.limit)

    def reset(self, seed: int, number: int) -> PyTree:
        """See `Environments`."""
        stream, count = (EVALUATION_STREAM, FRESH, number), self._envs.num_envs
        return _first(self._envs.reset(host.environment_seeds(seed, stream, count)))

    def step(self, action: np.ndarray) -> StepResult:
        """See `Environments`."""
        return _first(self._envs.step(action[None])[0])

    def close(self) -> None:
        """See `Environments`."""
        self._envs.close()


class _OnDevice:
    """In JAX."""

    def __init__(self, env: device.Environment, count: int) -> None:
        self.limit = time_limit.Limit(env.time_limit, declared=True)
        self._reset = jax.jit(lambda key: device.reset(env, key, count))
        self._step = jax.jit(lambda envs, action: device.step(env, envs, action))
        self._envs: Any = None

    def reset(self, seed: int, number: int) -> PyTree:
        """See `Environments`."""
        key = jax.random.fold_in(stream_key(jnp.asarray(seed), EVALUATION_STREAM), FRESH)
        self._envs = self._reset(jax.random.fold_in(key, number))
        return self._envs.state.observation

    def step(self, action: np.ndarray) -> StepResult:
        """See `Environments`."""
        self._envs, result, _ = self._step(self._envs, action)
        return result

    def close(self) -> None:
        """Nothing to be done."""


def _first(tree: Any) -> Any:
    return jax.tree.map(lambda x: x[0], tree)
