import subprocess
import sys

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TransformReward

import probe_environments
from jaxsac.envs import host
from jaxsac.envs.make import make
from jaxsac.types import Transition

MODES = list(AutoresetMode)
SELF_RESETTING = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


def vector_env(make, count, mode):
    return SyncVectorEnv([make] * count, autoreset_mode=mode)


def unit_actions(envs, steps, seed=0):
    """(steps, S, E, A)."""
    shape = (steps, envs.num_seeds, envs.num_envs, envs.action_map.size)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def rows_of(arrival, index):
    return jax.tree.map(lambda x: x[index], arrival.transition)


def roll_out_alone(make, seed, actions):
    """Transitions and episodes of one environment that is reset by hand."""
    env, transitions, episodes = make(), [], []
    high = env.action_space.high
    observation, _ = env.reset(seed=seed)
    rewards = []
    for action in actions:
        arrived, reward, terminated, truncated, _ = env.step(action * high)
        transitions.append(
            Transition(observation, action, np.float32(reward), 1.0 - terminated, arrived)
        )
        rewards.append(reward)
        observation = arrived
        if terminated or truncated:
            episodes.append((sum(rewards), len(rewards)))
            observation, _ = env.reset()
            rewards = []
    return transitions, episodes


def assert_same_transitions(actual, expected):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, np.asarray(y, x.dtype)), a, b)


def pendulum():
    return gymnasium.make("Pendulum-v1", max_episode_steps=30)


def hopper():
    return gymnasium.make("Hopper-v4")


def scripted():
    return gymnasium.make("probe_environments:Scripted-v0")


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
@pytest.mark.parametrize("make", [pendulum, hopper, scripted])
@pytest.mark.filterwarnings("ignore:.*out of date")
def test_transitions_are_those_of_environments_stepped_alone(make, mode):
    seeds = [11, 7, 5, 3]
    envs = host.HostEnvs(vector_env(make, 4, mode), num_seeds=2)
    actions = unit_actions(envs, 150)
    used = np.zeros((2, 2), int)
    stored = {index: [] for index in np.ndindex(2, 2)}
    ended = {index: [] for index in np.ndindex(2, 2)}
    observation = envs.reset(seeds).observation
    for _ in range(130):
        now = np.stack([[actions[used[s, e], s, e] for e in range(2)] for s in range(2)])
        arrival, episodes = envs.step(now)
        assert arrival.transition.action.shape == now.shape
        for index in np.argwhere(arrival.valid).tolist():
            index = tuple(index)
            row = rows_of(arrival, index)
            stored[index].append(row)
            # The action was asked for where the transition begins.
            before = jax.tree.map(lambda x, i=index: x[i], observation)
            jax.tree.map(np.testing.assert_array_equal, row.observation, before)
        used += arrival.valid
        for episode in episodes:
            ended[episode[:2]].append((episode.episode_return, episode.length))
        observation = arrival.observation
    resets = sum(map(len, ended.values()))
    assert resets > 8
    if mode is AutoresetMode.NEXT_STEP:
        # Only the steps in which an environment reset itself are left out.
        assert 0 <= resets - (4 * 130 - used.sum()) <= 4
    else:
        assert (used == 130).all()
    for (s, e), seed in zip(np.ndindex(2, 2), seeds, strict=True):
        expected, episodes = roll_out_alone(make, seed, actions[: used[s, e], s, e])
        assert_same_transitions(stored[s, e], expected)
        assert [length for _, length in ended[s, e]] == [length for _, length in episodes]
        np.testing.assert_allclose(
            [value for value, _ in ended[s, e]], [value for value, _ in episodes], rtol=1e-5
        )
    assert (envs.discarded == 0).all()
    envs.close()


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
def test_a_time_limit_keeps_discount_1_and_a_termination_gives_0(mode):
    for name, discount in (("TwoStateLimit", 1), ("TwoStateEnd", 0)):
        envs = host.HostEnvs(
            vector_env(lambda n=name: gymnasium.make(f"probe_environments:{n}-v0"), 1, mode), 1
        )
        envs.reset([0])
        for _ in range(5):
            arrival, episodes = envs.step(np.zeros((1, 1, 1), np.float32))
        assert episodes == [host.Episode(0, 0, 4.0, 5)]
        assert arrival.transition.discount == discount
        # The state in which the episode ended, not the start of the next.
        np.testing.assert_array_equal(arrival.transition.next_observation[0, 0], [0, 1])


def test_an_undeclared_autoreset_mode_is_refused():
    for metadata in ({}, {"autoreset_mode": None}, {"autoreset_mode": "next"}, None):
        envs = vector_env(pendulum, 1, AutoresetMode.DISABLED)
        envs.metadata = metadata
        with pytest.raises(ValueError, match="declares the autoreset mode"):
            host.HostEnvs(envs, 1)


@pytest.mark.parametrize("num_seeds", [0, 2, 4])
def test_seeds_that_do_not_divide_the_environments_are_refused(num_seeds):
    with pytest.raises(ValueError, match=f"3 environments do not divide over {num_seeds} seeds"):
        host.HostEnvs(vector_env(pendulum, 3, AutoresetMode.DISABLED), num_seeds)


def test_environment_seeds_depend_on_member_and_stream_alone():
    assert host.environment_seeds(3, (0,), 4)[:2] == host.environment_seeds(3, (0,), 2)
    streams = [(3, (0,)), (4, (0,)), (3, (1, 0)), (3, (1, 5)), (0, (3,))]
    assert len({tuple(host.environment_seeds(s, stream, 2)) for s, stream in streams}) == 5
    assert all(type(seed) is int for seed in host.environment_seeds(3, (0,), 4))


# Making environments.


def test_made_environments_leave_the_resets_to_the_driver():
    envs = make("Pendulum-v1", 3)
    assert envs.num_envs == 3
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED


def test_an_environment_of_the_users_own_module(tmp_path, monkeypatch):
    (tmp_path / "users_robot.py").write_text(
        "import gymnasium\n"
        "from probe_environments import Drift\n"
        "gymnasium.register('UsersRobot-v3', Drift, max_episode_steps=10)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    envs = host.HostEnvs(make("users_robot:UsersRobot-v3", 2), 1)
    assert envs.reset([0, 1]).observation.shape == (1, 2, 2)


@pytest.mark.parametrize(
    "env_id", ["NoSuchRobot-v0", "Pendulum-v77", "probe_environments:No-v0", ""]
)
def test_an_unknown_id_is_refused_by_name(env_id):
    with pytest.raises(ValueError, match=f"unknown environment id '{env_id}'"):
        make(env_id, 1)


def test_an_environment_that_wraps_itself_by_a_function_of_its_own_has_copies(monkeypatch):
    def halved(**options):
        return TransformReward(gymnasium.make("Pendulum-v1", **options), lambda r: r / 2)

    spec = gymnasium.envs.registration.EnvSpec("Halved-v0", halved)
    monkeypatch.setitem(gymnasium.registry, "Halved-v0", spec)
    assert make("Halved-v0", 3).num_envs == 3


def test_a_missing_module_is_named():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        make("no_such_module:Robot-v0", 1)


def test_a_missing_dependency_names_the_command_that_installs_it(monkeypatch):
    def fail(*args, **kwargs):
        raise gymnasium.error.DependencyNotInstalled("No module named 'mujoco'")

    monkeypatch.setattr(gymnasium, "make", fail)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxsac\[envs\]'") as refusal:
        make("HalfCheetah-v4", 1)
    assert "HalfCheetah-v4" in str(refusal.value)


def test_mujoco_writes_no_log_into_the_working_folder(tmp_path):
    code = """
from jaxsac.envs import host
from jaxsac.envs.make import make, redirect_mujoco_warnings
redirect_mujoco_warnings()
for version in (4, 5):
    envs = host.HostEnvs(make(f"HalfCheetah-v{version}", 2), 2)
    assert envs.reset([0, 1]).observation.shape == (2, 1, 17)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []
    assert "settotalmass" not in result.stderr
    assert result.stderr.count("HalfCheetah-v4 is out of date") == 1


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
def test_a_vector_environment_may_write_every_observation_into_one_array(mode):
    envs = host.HostEnvs(SyncVectorEnv([pendulum], copy=False, autoreset_mode=mode), 1)
    envs.reset([0])
    for _ in range(3):
        (transition, _, _), _ = envs.step(np.ones((1, 1, 1), np.float32))
        assert (transition.observation != transition.next_observation).any()


# What is not finite.


def faulty_envs(mode, where, count=2, **arguments):
    # The first environment is faulty, the others are not.
    makers = [lambda: probe_environments.Faulty(where, **arguments)]
    makers += [lambda: probe_environments.Faulty("nowhere")] * (count - 1)
    return host.HostEnvs(SyncVectorEnv(makers, autoreset_mode=mode), count)


def run(envs, steps, faulty_action_at=None):
    """(episode, step) at the start of each valid transition by seed, and all episodes."""
    arrival = envs.reset(range(envs.num_seeds))
    kept, ended = [[] for _ in range(envs.num_seeds)], []
    for i in range(steps):
        action = np.zeros((envs.num_seeds, 1, 1), np.float32)
        if i == faulty_action_at:
            action[0] = np.nan
        arrival, episodes = envs.step(action)
        ended += episodes
        for row in jax.tree.leaves(arrival.transition):
            assert np.isfinite(row[arrival.valid]).all()
        for seed, _ in np.argwhere(arrival.valid):
            kept[seed].append(tuple(arrival.transition.observation[seed, 0].astype(int).tolist()))
    return kept, ended


def steps_of(episode, first=0, last=5):
    return [(episode, step) for step in range(first, last + 1)]


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
@pytest.mark.parametrize("where", ["reward", "observation"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_episode_is_cut_at_what_is_not_finite(mode, where, value):
    envs = faulty_envs(mode, where, value=value)
    kept, ended = run(envs, 24 + 3 * (mode is AutoresetMode.NEXT_STEP))
    # Episode 1 breaks in its third step: what comes before it stays.
    assert kept[0][:14] == steps_of(0) + steps_of(1, last=1) + steps_of(2)
    assert kept[1][:18] == steps_of(0) + steps_of(1) + steps_of(2)
    # One step is lost where the driver resets; elsewhere the rest of the episode as well.
    assert envs.discarded.tolist() == [1 if mode is AutoresetMode.DISABLED else 4, 0]
    # Its return has no value and is not reported: 0 and 2 (and 3), of 21 each.
    broken = [e for e in ended if e.seed_index == 0]
    assert len(broken) == 3
    assert len(ended) == 7
    assert all(e[2:] == (21.0, 6) for e in ended)


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
def test_an_action_that_is_not_finite_never_reaches_the_environment(mode):
    envs = faulty_envs(mode, "nowhere")
    kept, ended = run(envs, 12 + (mode is AutoresetMode.NEXT_STEP), faulty_action_at=2)
    next_episode = steps_of(1) if mode is not AutoresetMode.DISABLED else [*steps_of(1), (2, 0)]
    assert kept[0][: 2 + len(next_episode)] == steps_of(0, last=1) + next_episode
    assert envs.discarded.tolist() == [1 if mode is AutoresetMode.DISABLED else 4, 0]
    assert [e for e in ended if e.seed_index == 0] == [host.Episode(0, 0, 21.0, 6)]


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
def test_an_episode_that_starts_with_a_nan_is_left_out(mode):
    envs = faulty_envs(mode, "observation", step=0)
    kept, ended = run(envs, 18 + 2 * (mode is AutoresetMode.NEXT_STEP))
    assert kept[0][:11] == steps_of(0) + steps_of(2, last=4)
    assert kept[1] == steps_of(0) + steps_of(1) + steps_of(2)
    assert envs.discarded.tolist() == [1 if mode is AutoresetMode.DISABLED else 6, 0]
    assert len([e for e in ended if e.seed_index == 0]) == 2


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
def test_the_very_first_observation_can_be_a_nan(mode):
    envs = faulty_envs(mode, "observation", episode=0, step=0)
    kept, _ = run(envs, 13)
    assert kept[0][:6] == steps_of(1)
    assert envs.discarded[0] == (1 if mode is AutoresetMode.DISABLED else 6)


def test_faults_are_counted_over_all_the_environments_of_a_seed():
    makers = [
        lambda: probe_environments.Faulty("reward", episode=None, step=1),
        lambda: probe_environments.Faulty("nowhere"),
        lambda: probe_environments.Faulty("observation", episode=None, step=2),
        lambda: probe_environments.Faulty("reward", episode=None, step=1),
    ]
    envs = host.HostEnvs(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED), 2)
    envs.reset(range(4))
    for _ in range(6):
        envs.step(np.zeros((2, 2, 1), np.float32))
    assert envs.discarded.tolist() == [6, 9]


@pytest.mark.parametrize("mode", SELF_RESETTING, ids=[mode.name for mode in SELF_RESETTING])
def test_the_rest_of_a_cut_episode_is_never_valid_and_the_next_one_is(mode):
    envs = faulty_envs(mode, "reward", episode=0, step=1)
    kept, _ = run(envs, 6 + 1 + 1)
    assert kept[0] == ([(1, 0)] if mode is AutoresetMode.NEXT_STEP else [(1, 0), (1, 1)])


def test_closing_closes_the_environments():
    vector = vector_env(pendulum, 1, AutoresetMode.DISABLED)
    host.HostEnvs(vector, 1).close()
    assert vector.closed
