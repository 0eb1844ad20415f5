"""A saved policy acts where neither its environment nor Gymnasium is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import jax
import numpy as np
import pytest

import jaxsac
from jaxsac.envs.spaces import action_map
from jaxsac.inspection import member as inspection_member
from jaxsac.runs import train
from jaxsac.runs.checkpoints import bundle, checkpoint
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.policies.evaluation import evaluate_run
from run_examples import FAST, Listener, agent_of, member, small_run
from saved_policies import policy_of, save


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Runs by name: plain and in units of its own, normalized, nested, and a sweep in JAX."""
    pendulum = small_run(
        env="jaxsac:Pendulum-v1", hyperparameters=FAST.replace(actor_lr=(0.01, 0.02, 0.03))
    )
    configs = {
        "plain": small_run(env="probe_environments:DriftOnGridAsymmetric-v0", seed=3),
        "normalized": small_run(normalize_observations=True, checkpoint_every=30),
        "nested": small_run(env="probe_environments:Scripted-v0", seeds=1),
        "sweep": pendulum,
    }
    folder = tmp_path_factory.mktemp("saved")
    for name, config in configs.items():
        assert train.train(config, folder / name, Listener())
    return folder, configs


def observations_of(shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("key", [None, 7])
def test_it_acts_bit_for_bit_as_its_agent_in_the_units_of_the_environment(saved, key):
    folder, configs = saved
    acting = jaxsac.load_policy(folder / "plain", seed=4)
    assert repr(acting) == f"<policy of {configs['plain'].env}, step 60>"
    agent = member(agent_of(folder / "plain", configs["plain"]), 1)
    observations = observations_of((5, 2))
    action = jaxsac.act(agent, observations, None if key is None else jax.random.key(key))
    space = gymnasium.make(configs["plain"].env).action_space
    assert isinstance(space, gymnasium.spaces.Box)
    expected = action_map(space)(np.asarray(action))
    found = acting(observations, key)
    assert isinstance(found, np.ndarray)
    assert found.dtype == space.dtype
    np.testing.assert_array_equal(found, expected)
    assert all(space.contains(each) for each in found)
    np.testing.assert_array_equal((acting.action_low, acting.action_high), (space.low, space.high))
    if key is not None:
        np.testing.assert_array_equal(acting(observations, jax.random.key(key)), found)
        assert (acting(observations, key + 1) != found).any()


def test_observations_are_on_the_scale_that_was_learned_on(saved):
    folder, configs = saved
    acting = jaxsac.load_policy(folder / "normalized", seed=1)
    found = checkpoint.load(
        folder / "normalized" / "checkpoints", 60, "normalizer",
        (jaxsac_moments(configs["normalized"]),),
    )[0]  # fmt: skip
    observations = 3 * observations_of((5, 2))
    deviation = np.sqrt(found.squares[1] / found.count[1] + 1e-8)
    scaled = np.clip((observations - found.mean[1]) / deviation, -10, 10)
    agent = member(agent_of(folder / "normalized", configs["normalized"]), 1)
    np.testing.assert_allclose(
        acting(observations), jaxsac.act(agent, np.float32(scaled)), atol=1e-5
    )
    assert abs(acting(observations) - jaxsac.act(agent, observations)).max() > 1e-3


def test_all_members_are_of_one_checkpoint_though_the_run_goes_on(saved, monkeypatch):
    folder, _ = saved
    run = RunDirectory(folder / "normalized")
    step = iter([30])
    monkeypatch.setattr(checkpoint, "latest", lambda directory: next(step, 60))
    assert [found.step for found in evaluate_run(run.path, "latest", 1).members] == [30, 30]
    step = iter([30])
    read = inspection_member.read(run, "latest", [0, 1])
    assert [(one.step, int(one.agent.step)) for one in read] == [(30, 10), (30, 10)]


def jaxsac_moments(config):
    from jaxsac.data import normalize

    (moments,) = jax.eval_shape(normalize.init, jax.ShapeDtypeStruct((2,), np.float32))
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((config.population, *x.shape), x.dtype), moments
    )


@pytest.mark.parametrize("lead", [(), (1,), (4,), (2, 3), (0,)])
def test_leading_axes_are_kept(saved, lead):
    acting = jaxsac.load_policy(saved[0] / "plain", seed=3)
    observations = observations_of((*lead, 2))
    found = acting(observations)
    assert found.shape == (*lead, 2)
    for where in np.ndindex(lead):
        np.testing.assert_allclose(found[where], acting(observations[where]), atol=1e-6)


def test_observations_are_taken_as_environments_return_them(saved):
    acting = jaxsac.load_policy(saved[0] / "nested")
    env = gymnasium.make("probe_environments:Scripted-v0")
    observation, _ = env.reset(seed=0)
    assert observation["position"].dtype == np.float64
    action = acting(observation)
    assert env.action_space.contains(action)
    listed = {
        "image": observation["image"].tolist(),
        "parts": [part.tolist() for part in observation["parts"]],
        "position": observation["position"].tolist(),
    }
    np.testing.assert_array_equal(acting(listed), action)
    assert acting.observation_spec == {
        "position": jax.ShapeDtypeStruct((2,), np.float32),
        "image": jax.ShapeDtypeStruct((2, 2, 1), np.uint8),
        "parts": (jax.ShapeDtypeStruct((1,), np.float32), jax.ShapeDtypeStruct((3,), np.int8)),
    }


GOOD = {
    "position": [0.0, 1.0], "image": np.zeros((2, 2, 1)), "parts": ([0.5], [0, 1, 0]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"position": [0.0] * 3}, r"\.position has shape \(3,\), expected \(\.\.\., 2\)"),
        ({"position": "north"}, r"observation\.position must be an array \(\.\.\., 2\) of float32"),
        ({"image": np.full((2, 2, 1), 0.5)}, r"observation\.image has values that do not fit"),
        ({"image": np.full((2, 2, 1), 256)}, r"observation\.image has values that do not fit"),
        ({"parts": ([0.5],)}, r"observation\.parts must be a tuple of 2, got 1 values"),
        ({"more": 1}, r"must be a dict of \['image', 'parts', 'position'\], got one of"),
        ({"position": np.zeros((3, 2))}, "leading axes disagree"),
        ({"position": [np.nan, 0.0]}, r"observation\.position has values that are not finite"),
        ({"position": [1e300, 0.0]}, r"observation\.position has values that are not finite"),
        ({"position": [1j, 0.0]}, r"observation\.position must be an array .*: it is complex128"),
        ({"position": ["1", "2"]}, r"observation\.position must be an array .*: it is <U1"),
    ],
)
def test_an_observation_of_another_kind_is_refused_with_what_is_expected(saved, change, said):
    acting = jaxsac.load_policy(saved[0] / "nested")
    acting(GOOD)
    with pytest.raises(ValueError, match=said):
        acting({**GOOD, **change})
    with pytest.raises(ValueError, match="must be a dict"):
        acting(np.zeros(2))


@pytest.mark.parametrize("key", ["seed", 1.5, np.random.default_rng(0)])
def test_a_key_that_is_none_is_refused_by_name(saved, key):
    with pytest.raises(TypeError, match="key must be one random key of JAX"):
        jaxsac.load_policy(saved[0] / "nested")(GOOD, key)


def test_of_a_sweep_the_point_is_named(saved):
    folder, configs = saved
    agents = agent_of(folder / "sweep", configs["sweep"])
    observations = observations_of((4, 3))
    for point, seed in ((0, 1), (2, 0)):
        acting = jaxsac.load_policy(folder / "sweep", seed=seed, point=point)
        agent = member(agents, 2 * point + seed)
        np.testing.assert_array_equal(acting(observations), jaxsac.act(agent, observations))
    for point in (None, 3, -1):
        with pytest.raises(ValueError, match=rf"no point {point}: give one of 0: .*'actor_lr'"):
            jaxsac.load_policy(folder / "sweep", point=point)


def test_which_checkpoint_and_what_it_belongs_to_can_be_asked(saved):
    folder, configs = saved
    latest, first = (
        jaxsac.load_policy(folder / "normalized", which=which) for which in ("latest", 30)
    )
    assert (latest.step, first.step) == (60, 30)
    observations = observations_of((4, 2))
    assert (latest(observations) != first(observations)).any()
    assert latest.settings == configs["normalized"].to_json()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"seed": 5}, ValueError, "no seed 5: its seeds are 3 to 4"),
        ({}, ValueError, "no seed 0: its seeds are 3 to 4"),
        ({"seed": 3, "point": 1}, ValueError, "no point 1"),
        ({"seed": "best"}, ValueError, "seed must be a whole number, got 'best'"),
        ({"seed": 3, "which": 12}, BundleError, "none of step 12; those kept are: 60"),
        ({"seed": 3, "which": "tallest"}, ValueError, "which must be .*'tallest'"),
        ({"seed": 3, "which": True}, ValueError, "which must be"),
    ],
)
def test_what_a_run_does_not_have_is_refused(saved, options, error, said):
    with pytest.raises(error, match=said):
        jaxsac.load_policy(saved[0] / "plain", **options)


def test_a_folder_within_a_run_is_told_from_a_run(saved):
    with pytest.raises(RunDirectoryError, match=r"not a run directory.* is of a checkpoint"):
        jaxsac.load_policy(saved[0] / "plain" / "checkpoints" / "60")


def test_a_step_may_be_of_numpy_and_a_key_is_no_bool(saved):
    acting = jaxsac.load_policy(saved[0] / "normalized", which=np.int64(30))
    assert acting.step == 30
    with pytest.raises(TypeError, match="key must be one random key"):
        acting(np.zeros(2), True)
    with pytest.raises(ValueError, match=f"key is {2**70}, expected a number of 64 bits"):
        acting(np.zeros(2), 2**70)


def test_a_policy_that_is_traced_names_what_jax_can_compile(saved):
    acting = jaxsac.load_policy(saved[0] / "plain", seed=3)
    with pytest.raises(TypeError, match="jaxsac export RUN --format stablehlo"):
        jax.vmap(acting)(np.zeros((2, 2), np.float32))


def test_settings_of_a_newer_version_are_named(saved, tmp_path):
    for name in ("checkpoints", "manifest.json"):
        (tmp_path / name).symlink_to(saved[0] / "plain" / name)
    content = json.loads((tmp_path / "manifest.json").read_text())
    content["config"]["warp"] = 9
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match=r"does not know and leaves out of account: warp\."):
        acting = jaxsac.load_policy(tmp_path, seed=3)
    expected = jaxsac.load_policy(saved[0] / "plain", seed=3)(np.zeros(2))
    np.testing.assert_array_equal(acting(np.zeros(2)), expected)
    with pytest.warns(UserWarning, match="warp"):
        evaluate_run(tmp_path, "latest", 1)


def test_functions_of_an_agent_say_that_a_policy_is_called_itself(saved):
    policy = jaxsac.load_policy(saved[0] / "plain", seed=3)
    key = jax.random.key(0)
    for use in (
        lambda: jaxsac.act(policy, np.zeros(2)),
        lambda: jaxsac.sample(policy, np.zeros(2), key),
        lambda: jaxsac.q_values(policy, np.zeros(2), np.zeros(2)),
    ):
        with pytest.raises(TypeError, match=r"got Policy\. A loaded policy is called itself"):
            use()


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        jaxsac.load_policy(tmp_path)


def test_the_critics_stay_on_the_disk_and_so_do_the_other_seeds(saved, monkeypatch):
    read = []

    def spy(path, file, name, struct, row):
        read.append((path.name, name, row))
        return tensor(path, file, name, struct, row)

    tensor = bundle._read
    monkeypatch.setattr(bundle, "_read", spy)
    jaxsac.load_policy(saved[0] / "normalized", seed=1)
    assert {row for _, _, row in read} == {1}
    agent = {name for part, name, _ in read if part == "agent"}
    assert {name.split("/")[0] for name in agent} == {"actor"}
    assert len(agent) == 4, "weights and biases of two layers"
    assert {part for part, _, _ in read} == {"agent", "normalizer"}


def test_a_damaged_file_is_refused(saved, tmp_path):
    folder = saved[0] / "plain"
    for name in ("manifest.json", "checkpoints"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    (tmp_path / "checkpoints").unlink()
    (tmp_path / "checkpoints" / "60").mkdir(parents=True)
    for file in (folder / "checkpoints" / "60").iterdir():
        content = bytearray(file.read_bytes())
        if file.name == "agent.safetensors":
            content[-1] ^= 1  # of a critic, or of anything else
        (tmp_path / "checkpoints" / "60" / file.name).write_bytes(content)
    with pytest.raises(BundleError, match=r"agent\.safetensors is damaged"):
        jaxsac.load_policy(tmp_path, seed=3)


ELSEWHERE = """
import sys

class Nowhere:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {"gymnasium", "mujoco", "probe_environments", "psutil"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nowhere())
import json
import jaxsac
policy = jaxsac.load_policy(sys.argv[1], seed=int(sys.argv[2]))
print(json.dumps(policy(json.loads(sys.argv[3])).tolist()))
"""


@pytest.mark.parametrize(("name", "seed"), [("plain", 3), ("normalized", 0)])
def test_neither_gymnasium_nor_the_environment_is_needed(saved, name, seed):
    observations = observations_of((2, 2)).tolist()
    arguments = [saved[0] / name, str(seed), json.dumps(observations)]
    paths = os.environ | {"PYTHONPATH": str(Path(jaxsac.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *arguments], capture_output=True, text=True, env=paths
    )
    assert result.returncode == 0, result.stderr
    # Compiled here with fewer optimizations.
    expected = jaxsac.load_policy(saved[0] / name, seed=seed)(observations)
    np.testing.assert_allclose(json.loads(result.stdout), expected, atol=1e-5)


def test_observations_that_json_cannot_name_are_left_to_the_environment(saved):
    struct = jax.ShapeDtypeStruct((2,), np.float32)
    spaces = RunDirectory(saved[0] / "plain").spaces()
    assert Spaces.from_json(json.loads(json.dumps(spaces.to_json())))[:2] == spaces[:2]
    for observation in ([struct], {1: struct}, {"x": [struct]}):
        assert spaces._replace(observation=observation).to_json() is None


@pytest.mark.parametrize(
    "change",
    [
        {"low": [-1]}, {"shape": [3]}, {"dtype": "real"}, {"low": "x"}, {"precision": None},
        {"shape": 2}, {"dtype": "object"}, {"low": [1, 2, 3]}, {"high": [9, float("inf")]},
        {"low": [9, 0]},
    ],
)  # fmt: skip
def test_spaces_that_cannot_be_are_refused_by_name(saved, tmp_path, change):
    content = json.loads((saved[0] / "plain" / "manifest.json").read_text())
    content["spaces"]["action"] |= change
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match=r"manifest\.json cannot be read"):
        RunDirectory(tmp_path).spaces()


class Bytes(gymnasium.Env):
    """Whole numbers for observations, and an action without dimensions."""

    observation_space = gymnasium.spaces.Box(0, 255, (6,), np.uint8)
    action_space = gymnasium.spaces.Box(-2, 5, (), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.np_random.integers(0, 255, 6, np.uint8), {}

    def step(self, action):
        self.steps += 1
        seen = self.np_random.integers(0, 255, 6, np.uint8)
        return seen, -(float(action) ** 2), False, self.steps == 5, {}


def test_whole_numbers_are_not_scaled_and_an_action_may_have_no_dimension(tmp_path):
    run = jaxsac.train(
        Bytes, directory=tmp_path / "run", steps=40, learning_starts=20, batch_size=8,
        hidden_sizes=(8,), normalize_observations=True, eval_every=20, eval_episodes=2,
        replay_capacity=100, progress=False,
    )  # fmt: skip
    observation = np.arange(6, dtype=np.uint8)
    for which in ("latest", "best"):
        policy = run.policy(which=which)
        alone, several = policy(observation), policy(observation[None])
        assert (alone.shape, several.shape) == ((), (1,))
        np.testing.assert_allclose(alone, several[0], rtol=1e-6)


def test_critics_of_ones_own_are_not_asked_for(tmp_path, monkeypatch):
    (tmp_path / "own_critics.py").write_text(
        "import jax.numpy as jnp\n"
        "from flax import linen as nn\n\n"
        "class Linear(nn.Module):\n"
        "    @nn.compact\n"
        "    def __call__(self, observation, action):\n"
        "        return nn.Dense(3)(jnp.concatenate([observation, action], -1)).T\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    choice = {"target_pessimism": "random_subset", "subset_size": 3}
    config = small_run(
        critic="own_critics:Linear", agent=jaxsac.Config((8,), num_critics=3, **choice)
    )
    assert train.train(config, tmp_path / "run", Listener())
    expected = jaxsac.load_policy(tmp_path / "run")(np.ones(2))
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "own_critics")
    np.testing.assert_array_equal(jaxsac.load_policy(tmp_path / "run")(np.ones(2)), expected)


@pytest.mark.parametrize("moment", ["_check", "load", "between its renames"])
def test_a_best_policy_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path, monkeypatch, moment
):
    before, after = (policy_of(seed=seed, normalized=True) for seed in (0, 1))
    after.step += 100
    run = RunDirectory(save(tmp_path / "run", [before], [1.0]))
    better = save(tmp_path / "better", [after], [2.0]) / "best" / "seed-0000"
    place, aside = run.best / "seed-0000", run.best / ".seed-0000.old"

    def replace(*_):
        if better.exists():
            if not aside.exists():
                place.rename(aside)
            better.rename(place)

    if moment == "between its renames":
        place.rename(aside)
        monkeypatch.setattr(bundle.time, "sleep", replace)
    else:
        step = getattr(bundle, moment)

        def step_late(folder, part, *arguments, **options):
            if part.startswith("agent"):
                replace()
            return step(folder, part, *arguments, **options)

        monkeypatch.setattr(bundle, moment, step_late)
    read = jaxsac.load_policy(run.path, 0, "best")
    assert read.step == after.step
    for found, wanted in zip(*map(jax.tree.leaves, (read.learned, after.learned)), strict=True):
        np.testing.assert_array_equal(found, wanted)
