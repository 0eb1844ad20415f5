"""The README's examples run as they stand, and what they show is so."""

import re
import types
from pathlib import Path

import gymnasium
import jax
import numpy as np
import pytest
from flax import linen as nn

import jaxsac
from jaxsac.runs import train
from run_examples import Listener, small_run

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def examples():
    names = ("three_lines", "options", "loop", "saved", "networks")
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return dict(zip(names, blocks, strict=True))


def run(example, names=None):
    names = {} if names is None else names
    exec(compile(example, "README.md", "exec"), names)
    return names


@pytest.fixture(scope="module")
def names(examples):
    return run(examples["loop"])


class MyActor(nn.Module):
    """As the README speaks of it."""

    width: int
    action_size: int | None = None

    @nn.compact
    def __call__(self, observation):
        x = nn.relu(nn.Dense(self.width)(observation))
        return nn.Dense(self.action_size)(x), -1 + 0 * nn.Dense(self.action_size)(x)


def test_three_lines_train_and_so_does_what_is_ones_own(examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = []

    def train(env, **settings):
        """With what is asked for, in small."""
        given.append(settings)
        small = {"steps": 60, "learning_starts": 20, "batch_size": 8, "replay_capacity": 200}
        small |= {"hidden_sizes": [8], "eval_every": 30, "eval_episodes": 1, "progress": False}
        return jaxsac.train(env, **{**settings, **small, "seeds": min(2, settings.get("seeds", 1))})

    def run_small(example, **names):
        patched = types.SimpleNamespace(train=train)
        return run(example.replace("import jaxsac\n", ""), {"jaxsac": patched, **names})

    action = run_small(examples["three_lines"])["action"]
    assert action.shape == (1,)
    assert given[0] == {"seeds": 4, "steps": 20_000, "learning_starts": 1_000}
    own = run_small(examples["options"], gymnasium=gymnasium, MyActor=MyActor)["run"]
    assert own.complete
    assert own.directory == Path("runs/mine")
    assert own.config.actor_kwargs == {"width": 64}


def test_the_loop_of_ones_own_learns_without_gymnasium(examples, names):
    assert "gymnasium" not in examples["loop"]
    rewards, jaxsac, state, jnp = (names[n] for n in ("rewards", "jaxsac", "state", "jnp"))
    assert rewards[-500:].mean() > -0.2 > rewards[:200].mean()
    assert jaxsac.act(state, jnp.array([2.0]))[0] < -0.8
    assert jaxsac.act(state, jnp.array([-2.0]))[0] > 0.8


def test_a_policy_that_the_trainer_saved_acts(examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_run(env="HalfCheetah-v4", steps=25, normalize_observations=True)
    train.train(config, tmp_path / "runs" / "HalfCheetah-v4", Listener())
    names = run(examples["saved"])
    env = gymnasium.make("HalfCheetah-v4")
    assert env.observation_space.contains(names["observation"])
    assert np.isfinite(names["reward"])


def test_networks_of_ones_own_are_learned_with(examples, names):
    jaxsac, state = (run(examples["networks"], dict(names))[n] for n in ("jaxsac", "state"))
    x = jax.numpy.ones((5, 1))
    batch = jaxsac.Transition(x, x, x[:, 0], x[:, 0], x)
    after, _ = jaxsac.update(state, batch, jax.random.key(0))
    assert int(after.step) == 1
    assert jaxsac.q_values(after, x, x).shape == (2, 5)


def test_the_readme_shows_the_two_commands():
    text = README.read_text()
    assert "make train ENV=HalfCheetah-v4" in text
    assert "make test" in text
