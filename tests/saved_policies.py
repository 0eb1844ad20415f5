"""Policies that nothing has trained: of any settings, with parameters far from their start."""

import dataclasses

import jax
import numpy as np

import jaxsac
from jaxsac.data import normalize
from jaxsac.envs.action_map import ActionMap
from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.policies.load import Policy
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training.carry import Policy as LearnedPolicy

FLAT = jax.ShapeDtypeStruct((5,), np.float32)
NESTED = {
    "position": jax.ShapeDtypeStruct((2,), np.float32),
    "image": jax.ShapeDtypeStruct((2, 2, 1), np.uint8),
    "parts": (jax.ShapeDtypeStruct((), np.float32), jax.ShapeDtypeStruct((3,), np.int8)),
}
CONFIG = jaxsac.Config(hidden_sizes=(12, 12), batch_norm_epsilon=1e-3, encoder="flat")
ASYMMETRIC = ActionMap(
    np.array([-1.0, 0.0, -0.4]), np.array([1.0, 3.0, 0.1]), (3,), np.dtype(np.float32)
)


def policy_of(observation=FLAT, action_map=ASYMMETRIC, seed=0, normalized=False, **choices):
    config = dataclasses.replace(CONFIG, **choices)
    action = jax.ShapeDtypeStruct((action_map.size,), np.float32)
    agent = jax.eval_shape(lambda: jaxsac.init(jax.random.key(0), observation, action, config))
    rng = np.random.default_rng(seed)

    def drawn(path, struct):
        noise = rng.standard_normal(struct.shape).astype(struct.dtype)
        name = jax.tree_util.keystr(path, simple=True, separator="/").rpartition("/")[2]
        if name == "kernel":
            return noise / np.sqrt(len(noise)).astype(struct.dtype)
        return 1 + abs(noise) / 2 if name in ("scale", "var") else noise / 2

    acting = jax.tree.map_with_path(drawn, agent.acting)
    normalizer = ()
    if normalized:
        normalizer = tuple(
            normalize.Moments(
                np.int32(100), np.full(m.mean.shape, 4, np.float32),
                np.full(m.mean.shape, 60, np.float32),
            )
            for m in normalize.init(observation)
        )  # fmt: skip
    spaces = Spaces(observation, action, action_map)
    return Policy(LearnedPolicy(acting, normalizer), spaces, 300, {"actor": "mine:Actor"})


def save(directory, policies, returns, env="probe_environments:Drift-v0", **settings):
    """A run whose best policies these are, member by member, by evaluations with these returns."""
    first = policies[0]
    agent = dataclasses.replace(first.learned.agent.config, actor=None)
    own = {} if first.learned.agent.config.actor is None else {"actor": first.settings["actor"]}
    config = RunConfig(
        env, agent=agent, normalize_observations=bool(first.learned.normalizer), **own,
        **{"seeds": len(policies), **settings},
    )  # fmt: skip
    action = first.learned.agent.action_spec.tree
    run = RunDirectory(directory)
    run.create(config, Spaces(first.observation_spec, action, first.action_map))
    for name, policy, value in zip(config.member_names, policies, returns, strict=True):
        rows = jax.tree.map(lambda x: np.asarray(x)[None], policy.learned)
        parts = [("agent", rows.agent), ("normalizer", rows.normalizer)]
        facts = {"step": policy.step, "eval_return": value}
        bundle.write(run.best / name, parts[: 1 + bool(rows.normalizer)], facts)
    return directory


def observations_of(policy, count=64, size=1.0):
    rng = np.random.default_rng(1)

    def drawn(struct):
        values = size * 10 * rng.standard_normal((count, *struct.shape))
        if struct.dtype == np.float32:
            return (values / 10).astype(np.float32)
        limits = np.iinfo(struct.dtype)
        return np.clip(abs(values), limits.min, limits.max).astype(struct.dtype)

    return jax.tree.map(drawn, policy.observation_spec)
