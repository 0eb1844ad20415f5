"""FlashSAC's update is that of its authors.

`flashsac_updates.npz` is of their code (github.com/Holiday-Robot/FlashSAC, 87edc90;
PyTorch, double precision): weights before and after three updates of a small agent, with the
batches; their noise was that which `update` draws from the keys 100, 101 and 102. Adam's ε was half
as large for their critics, whose loss is the mean of both: ours is their sum.
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac

FILE = Path(__file__).with_name("flashsac_updates.npz")


@pytest.fixture(scope="module")
def arrays():
    with np.load(FILE) as file:
        return dict(file)


def parts(state):
    """What is trained, and the running statistics."""
    return {
        "actor": {"params": state.actor.params, "collections": state.actor.collections},
        "critic": {
            "params": state.critic.params,
            "target_params": state.critic.target_params,
            "collections": state.critic.collections,
        },
        "log_alpha": state.temperature.params,
    }


def filled(tree, arrays, when):
    """The tree with what the file has in its places."""

    def found(path, leaf):
        array = arrays["/".join((when, *(part.key for part in path)))]
        assert array.shape == leaf.shape
        return jnp.asarray(array)

    return jax.tree.map_with_path(found, tree)


@pytest.mark.usefixtures("x64")
def test_three_updates_are_those_of_the_authors_code(arrays):
    preset = jaxsac.preset("flashsac")
    config = dataclasses.replace(
        preset.config, actor_hidden_sizes=(4, 4), critic_hidden_sizes=(4, 4)
    )
    observation, action = jnp.zeros(3), jnp.zeros(2)
    state = jaxsac.init(jax.random.key(0), observation, action, config, preset.hyperparameters)
    before = filled(parts(state), arrays, "before")
    state = state.replace(
        actor=state.actor.replace(**before["actor"]),
        critic=state.critic.replace(**before["critic"]),
        temperature=state.temperature.replace(params=before["log_alpha"]),
    )
    for number in range(3):
        batch = jaxsac.Transition(
            *(jnp.asarray(arrays[f"batch/{name}"][number]) for name in jaxsac.Transition._fields)
        )
        state, _ = jaxsac.update(state, batch, jax.random.key(100 + number))
    expected = filled(parts(state), arrays, "after")
    for (path, leaf), there in zip(
        jax.tree.leaves_with_path(parts(state)), jax.tree.leaves(expected), strict=True
    ):
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(leaf, there, rtol=1e-6, atol=1e-9, err_msg=name)
