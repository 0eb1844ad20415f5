"""Runs that learn from transitions of before: what they draw, resume and refuse."""

import contextlib
import dataclasses
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_resume import result_of

from jaxsac.data import normalize, packing
from jaxsac.data.return_scale import ReturnScale
from jaxsac.runs import train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.metrics import metrics
from jaxsac.training import driver, host_driver, memory, seed_axis
from jaxsac.training.drivers import make_driver
from jaxsac.training.prior_data import PriorData
from run_examples import LOOP, Listener, agent_of, is_identical, small_run

ROWS, SIZES = 64, {"probe_environments:Drift-v0": (2, 2), "jaxsac:Pendulum-v1": (3, 1)}


def write(path, env="probe_environments:Drift-v0", seed=0, **changes):
    """Eight episodes of eight steps, every second of which terminates."""
    width, actions = SIZES.get(env, SIZES["probe_environments:Drift-v0"])
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(8, 9, width))
    arrays = {
        "observation": states[:, :-1].reshape(ROWS, width),
        "next_observation": states[:, 1:].reshape(ROWS, width),
        "action": rng.uniform(-1, 1, (ROWS, actions)),
        "reward": rng.normal(size=ROWS),
        "terminated": np.arange(ROWS) % 16 == 15,
    }
    np.savez(path, **(arrays | changes))
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {env: write(folder / f"{len(env)}.npz", env) for env in SIZES}


def config_of(data, env="probe_environments:Drift-v0", **changes):
    usual = {"steps": 40, "log_every": 10, "checkpoint_every": 0, "offline_steps": 25}
    return small_run(env=env, prior_data=data[env], **{**usual, **changes})


class StopAfter(Listener):
    """Presses Ctrl-C at rows of the metrics, by their number."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def progress(self, progress):
        super().progress(progress)
        if len(self.rows) == self.row:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("env", "changes"),
    [
        ("probe_environments:Drift-v0", {"normalize_observations": True, **LOOP}),
        ("jaxsac:Pendulum-v1", {}),
    ],
)
def test_a_run_stopped_before_and_after_its_first_action_ends_as_one_that_was_not(
    data, tmp_path, env, changes
):
    config = config_of(data, env, **changes)
    assert train.train(config, tmp_path / "straight", Listener())
    # Rows at 10, 20 and 25 updates, then at every tenth step.
    checkpoints, saved = tmp_path / "run" / "checkpoints", []
    for row in (1, 1, 2):
        assert not train.train(config, tmp_path / "run", StopAfter(row))
        step = checkpoint.latest(checkpoints)
        saved.append((step, checkpoint.verify(checkpoints, step)["offline_updates"]))
    assert saved == [(0, 10), (0, 20), (10, 25)]
    assert train.train(config, tmp_path / "run", Listener())
    assert result_of(tmp_path / "run") == result_of(tmp_path / "straight")


def test_offline_updates_come_before_the_first_action_which_is_the_policys(data, tmp_path):
    config = config_of(data, eval_every=20)
    listener = Listener()
    assert train.train(config, tmp_path, listener)
    rows = metrics.read(metrics.path(tmp_path / "metrics", "seed-0000"))
    assert [(row["step"], row["updates"], row["utd"]) for row in rows] == [
        (0, 10, None), (0, 20, None), (0, 25, None), (10, 25, None), (20, 25, None),
        (30, 35, 1), (40, 45, 1),
    ]  # fmt: skip
    evaluated = [row["step"] for row in rows if row["eval_return"] is not None]
    assert evaluated == [0, 20, 40]
    assert listener.phases.index("learning offline") < listener.phases.index("warm-up")
    agent = agent_of(tmp_path, config)
    np.testing.assert_array_equal(agent.step, 45)
    # Without offline updates the first action is one of chance, by the same key.
    others = dataclasses.replace(config, offline_steps=0, steps=21)
    assert train.train(others, tmp_path / "others", Listener())
    first, uniform = (first_action(folder) for folder in (tmp_path, tmp_path / "others"))
    assert np.abs(first - uniform).min() > 1e-3


def test_an_evaluation_that_fails_before_the_first_action_is_made_up_for(
    data, tmp_path, monkeypatch
):
    config = config_of(data, eval_every=20)

    def broken(*args, **kwargs):
        raise RuntimeError("the server is down")

    with monkeypatch.context() as patch:
        patch.setattr(host_driver.HostDriver, "evaluate", broken)
        with pytest.raises(RuntimeError, match="the server is down"):
            train.train(config, tmp_path, Listener())
    assert train.train(config, tmp_path, Listener())
    rows = metrics.read(metrics.path(tmp_path / "metrics", "seed-0000"))
    assert [row["updates"] for row in rows if row["step"] == 0] == [10, 20, 25]
    assert [row["step"] for row in rows if row["eval_return"] is not None] == [0, 20, 40]


def first_action(directory):
    """Of the first seed."""
    folder = directory / "checkpoints"
    step = checkpoint.latest(folder)
    size = checkpoint.verify(folder, step)["replay_sizes"][0]
    structs = {"float32": jax.ShapeDtypeStruct((size, 8), np.float32)}
    rows = checkpoint.load(folder, step, "replay-seed-0000", structs)["float32"]
    return rows[0, 2:4]


def parts_of(config):
    population, axis = config.to_population(), seed_axis.axis(config.population)
    return population, make_driver(population, axis), axis


def test_one_copy_of_the_data_serves_all_seeds_and_counts_in_the_memory(data):
    config = config_of(data, seeds=4)
    population, made, _ = parts_of(config)
    prior = PriorData(population, made)
    buffer = prior.buffer()
    held = sum(rows.nbytes for rows in buffer.rows.values())
    assert held == prior.num_bytes == ROWS * 4 * (2 + 2 + 2 + 1 + 1)
    structs = driver.learning_structs(population, made.observation, made.action)
    one = seed_axis.SeedAxis(4, jax.sharding.Mesh(np.array(jax.devices()[:1]), ("seeds",)), "vmap")
    without, with_data = memory.plan(one, structs), memory.plan(one, structs, prior.num_bytes)
    assert with_data.total_bytes == without.total_bytes + held
    assert "prior data" in with_data.describe()
    # Nothing of it is in what a checkpoint holds.
    own = [x.shape for x in jax.tree.leaves(structs) if hasattr(x, "shape")]
    assert not any(ROWS in shape for shape in own)


def test_actions_are_in_the_units_of_the_agent(data, tmp_path):
    env = "probe_environments:DriftTimesFour-v0"
    actions = np.random.default_rng(3).uniform(-4, 4, (ROWS, 2))
    actions[0] = (-4, 4)
    config = config_of(data).__class__(
        **{
            **vars(config_of(data)),
            "env": env,
            "prior_data": write(tmp_path / "x.npz", action=actions),
        }
    )
    population, made, _ = parts_of(config)
    steps = PriorData(population, made).steps
    np.testing.assert_allclose(steps.action, actions / 4, rtol=1e-7)
    assert steps.action[0].tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"action": np.full((ROWS, 2), 1.5)}, r"64 of 64 rows outside the bounds of probe.*1.5 in"),
        ({"action": np.zeros((ROWS, 3))}, r"rows of shape \[3\], those of probe_.*\[2\]"),
        ({"observation": np.zeros((ROWS, 3))}, r"rows of shape \[3\], the env.*\[2\]"),
        ({"reward": np.full(ROWS, np.nan)}, "a NaN or an infinity in 64 of 64 rows"),
    ],
)  # fmt: skip
def test_data_of_another_environment_is_refused_before_anything_is_written(tmp_path, changes, said):
    path = write(tmp_path / "data.npz", **changes)
    with pytest.raises(ValueError, match=said):
        train.train(small_run(prior_data=path), tmp_path / "run", Listener())
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_fewer_rows_than_a_batch_are_refused(tmp_path):
    path = write(tmp_path / "data.npz")
    config = small_run(prior_data=path, batch_size=65, learning_starts=70)
    with pytest.raises(ValueError, match="64 rows are fewer than a batch of 65"):
        train.train(config, tmp_path / "run", Listener())


def test_data_that_has_changed_is_refused_by_name(tmp_path):
    path = tmp_path / "data.npz"
    config = config_of({"probe_environments:Drift-v0": write(path)})
    assert not train.train(config, tmp_path / "run", StopAfter(4))
    facts = json.loads((tmp_path / "run" / "manifest.json").read_text())["prior_data"]
    assert (facts["source"], facts["rows"]) == (str(path), ROWS)
    before = path.read_bytes()
    write(path, seed=1)
    with pytest.raises(RunDirectoryError, match=rf"{path} has changed.*64 rows.*{facts['sha256']}"):
        train.train(config, tmp_path / "run", Listener())
    path.write_bytes(before)
    assert train.train(config, tmp_path / "run", Listener())


def test_seeds_are_not_added_with_data_that_has_changed(tmp_path):
    path = tmp_path / "data.npz"
    few = {"seeds": 1, "steps": 21, "offline_steps": 0}
    config = config_of({"probe_environments:Drift-v0": write(path)}, **few)

    def train_seeds(count):
        more = dataclasses.replace(config, seeds=count)
        return train.train_group(
            more, tmp_path / "run", lambda part: contextlib.nullcontext(Listener())
        )

    assert train_seeds(1)
    write(path, seed=1)
    with pytest.raises(RunDirectoryError, match=r"data.npz has changed since .*run was begun"):
        train_seeds(2)
    write(path)
    assert train_seeds(2)


def test_another_fraction_is_another_run(data, tmp_path):
    config = config_of(data, offline_steps=0)
    RunDirectory(tmp_path).create(config)
    with pytest.raises(RunDirectoryError, match=r"prior_fraction: 0.5 there, 0.25 asked for"):
        RunDirectory(tmp_path).create(dataclasses.replace(config, prior_fraction=0.25))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"offline_steps": 5}, "offline_steps is of the data that prior_data names"),
        ({"prior_fraction": 0.1}, "prior_fraction is of the data"),
        ({"prior_data": "x.npz", "prior_fraction": 1.5}, "from 0 to 1, got 1.5"),
        ({"prior_data": "x.npz", "prior_fraction": 0.01}, "nothing would be drawn"),
        ({"prior_data": "x.npz", "offline_steps": -1}, "offline_steps must be at least 0"),
        (
            {
                "prior_data": "x.npz",
                "n_step": 3,
                "hyperparameters": small_run().hyperparameters.replace(gamma=(0.9, 0.99)),
            },
            "gamma cannot be swept",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        small_run(**changes)


def test_observations_and_rewards_of_the_data_count_in_the_scales_of_the_run(data):
    config = config_of(data, normalize_observations=True, reward_scale="return_std")
    population, made, axis = parts_of(config)
    prior = PriorData(population, made)
    made.start()
    learning = prior.begin(made.learning, axis)
    expected = normalize.of_data(prior.steps.observation)
    for member in range(config.population):
        mine = jax.tree.map(lambda x, k=member: x[k], learning.normalizer)
        assert is_identical(mine, expected)
    assert isinstance(learning.return_scale, ReturnScale)
    np.testing.assert_array_equal(learning.return_scale.moments.count, ROWS)
    made.close()


def test_rows_of_several_steps_are_made_within_the_episodes_of_the_data(data):
    config = config_of(data, n_step=3)
    population, made, _ = parts_of(config)
    prior = PriorData(population, made)
    buffer = prior.buffer()
    rows = packing.unpack(buffer.spec, buffer.rows)
    steps, gamma = prior.steps, config.hyperparameters.gamma
    total = steps.reward[0] + gamma * steps.reward[1] + gamma**2 * steps.reward[2]
    np.testing.assert_allclose(rows.reward[0], total, rtol=1e-6)
    np.testing.assert_array_equal(rows.next_observation[0], steps.next_observation[2])
    np.testing.assert_array_equal(rows.reward[7], steps.reward[7], "the last step of its episode")
    np.testing.assert_array_equal(rows.next_observation[7], steps.next_observation[7])
    np.testing.assert_array_equal(jnp.asarray(rows.discount[15]), 0)
