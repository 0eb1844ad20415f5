"""Images: an encoder that the critics train, and the actor reads."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import BATCH_SIZE, FAST, assert_close, assert_identical, member, stack

import jaxsac
from jaxsac.sac import encoders

SHAPE, ACTION = (9, 8, 3), jax.ShapeDtypeStruct((2,), jnp.float32)
IMAGE = jax.ShapeDtypeStruct(SHAPE, jnp.uint8)
BOTH = {"camera": IMAGE, "joints": jax.ShapeDtypeStruct((4,), jnp.float32)}
CONFIG = jaxsac.Config(hidden_sizes=(8,))


def agent_for(observation, seed=0, **choices):
    config = dataclasses.replace(CONFIG, **choices)
    return jaxsac.init(jax.random.key(seed), observation, ACTION, config, FAST)


def batch_of(observation, seed=0):
    rng = np.random.default_rng(seed)

    def draw(struct):
        shape = (BATCH_SIZE, *struct.shape)
        if struct.dtype == jnp.uint8:
            return jnp.asarray(rng.integers(0, 256, shape), jnp.uint8)
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    return jaxsac.Transition(
        jax.tree.map(draw, observation),
        jnp.asarray(rng.uniform(-1, 1, (BATCH_SIZE, 2)), jnp.float32),
        jnp.asarray(rng.normal(size=BATCH_SIZE), jnp.float32),
        jnp.ones(BATCH_SIZE),
        jax.tree.map(draw, observation),
    )


def test_patches_and_a_dense_layer_are_a_convolution():
    rng = np.random.default_rng(0)
    for shape in ((2, 8, 8, 3), (2, 9, 7, 3)):
        x, kernel = rng.normal(size=shape), rng.normal(size=(27, 5))
        expected = jax.lax.conv_general_dilated(
            x, kernel.reshape(3, 3, 3, 5), (2, 2), ((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        np.testing.assert_allclose(encoders.patches(jnp.asarray(x)) @ kernel, expected, atol=1e-4)


@pytest.mark.parametrize("observation", [IMAGE, BOTH], ids=["image", "both"])
def test_the_critics_train_the_encoder_and_the_actor_has_it_as_they_do(observation):
    state = agent_for(observation)
    before = state.critic.params[encoders.ENCODER]
    assert_identical(state.actor.collections[encoders.ENCODER]["params"], before)
    after, metrics = jaxsac.update(state, batch_of(observation), jax.random.key(1))
    assert metrics.skipped == 0
    trained = after.critic.params[encoders.ENCODER]
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(trained), strict=True):
        assert not np.array_equal(old, new)
    assert_identical(after.actor.collections[encoders.ENCODER]["params"], trained)
    assert encoders.ENCODER not in after.actor.params
    assert encoders.ENCODER in after.critic.target_params
    # What follows the encoder is one critic for each, and the encoder itself is shared.
    assert {x.shape[0] for x in jax.tree.leaves(before)} != {2}


def test_the_actors_gradient_ends_at_the_features():
    """No step of the actor moves the encoder, however large."""
    still = FAST.replace(critic_lr=0.0, actor_lr=1.0)
    state = jaxsac.init(jax.random.key(0), IMAGE, ACTION, CONFIG, still)
    after, _ = jaxsac.update(state, batch_of(IMAGE), jax.random.key(1))
    assert_identical(after.actor.collections, state.actor.collections)
    assert not np.array_equal(*(jax.tree.leaves(s.actor.params)[-1] for s in (state, after)))


def test_vectors_beside_an_image_reach_the_networks():
    state, batch = agent_for(BOTH), batch_of(BOTH)
    mode = jaxsac.act(state, batch.observation)
    other = {**batch.observation, "joints": batch.observation["joints"] + 1}
    assert not np.array_equal(mode, jaxsac.act(state, other))
    other = {**batch.observation, "camera": 255 - batch.observation["camera"]}
    assert not np.array_equal(mode, jaxsac.act(state, other))


def test_observations_without_images_have_no_encoder():
    plain = jaxsac.init(jax.random.key(0), jnp.zeros(3), ACTION, CONFIG)
    flat = jaxsac.init(
        jax.random.key(0), jnp.zeros(3), ACTION, dataclasses.replace(CONFIG, encoder="flat")
    )
    assert plain.actor.collections == {}
    assert_identical(jax.tree.leaves(plain), jax.tree.leaves(flat))
    assert agent_for(IMAGE, encoder="flat").actor.collections == {}


def test_a_seed_in_a_group_learns_what_it_learns_alone():
    agents = [agent_for(IMAGE, seed) for seed in range(2)]
    batches = [batch_of(IMAGE, seed) for seed in range(2)]
    keys = jax.random.split(jax.random.key(3), 2)
    group, _ = jax.vmap(jaxsac.update)(stack(agents), stack(batches), keys)
    alone, _ = jaxsac.update(agents[1], batches[1], keys[1])
    assert_close(member(group, 1).critic.params, alone.critic.params, 1e-3, 1e-4)


@pytest.mark.parametrize("choices", [{"value_network": True}, {"forward": "joint"}])
def test_other_choices_go_with_images(choices):
    state = agent_for(IMAGE, **choices)
    after, metrics = jaxsac.update(state, batch_of(IMAGE), jax.random.key(1))
    assert metrics.skipped == 0
    lent = after.actor.collections[encoders.ENCODER]["params"]
    assert_identical(lent, after.critic.params[encoders.ENCODER])


def test_a_random_shift_moves_whole_images_and_repeats_their_edges():
    batch, key = batch_of(BOTH).observation, jax.random.key(0)
    moved = encoders.random_shift(key, batch, 2)
    offsets = np.asarray(jax.random.randint(key, (BATCH_SIZE, 2), 0, 5)) - 2
    assert len({tuple(offset) for offset in offsets}) > 2
    for before, after, (down, right) in zip(batch["camera"], moved["camera"], offsets, strict=True):
        rows = np.clip(np.arange(SHAPE[0]) + down, 0, SHAPE[0] - 1)
        columns = np.clip(np.arange(SHAPE[1]) + right, 0, SHAPE[1] - 1)
        np.testing.assert_array_equal(after, np.asarray(before)[rows][:, columns])
    assert_identical(moved["joints"], batch["joints"])
    assert_identical(encoders.random_shift(key, batch, 0), batch)


def test_an_update_with_a_random_shift_sees_the_images_elsewhere():
    state, batch, key = agent_for(IMAGE), batch_of(IMAGE), jax.random.key(1)
    shifted = state.replace(config=dataclasses.replace(CONFIG, random_shift=2))
    keys = (jax.random.fold_in(key, number) for number in (2, 3))
    by_hand = batch._replace(
        observation=encoders.random_shift(next(keys), batch.observation, 2),
        next_observation=encoders.random_shift(next(keys), batch.next_observation, 2),
    )
    expected, _ = jaxsac.update(state, by_hand, key)
    found, _ = jaxsac.update(shifted, batch, key)
    assert_close(found.critic.params, expected.critic.params, 1e-4, 1e-5)
    plain, _ = jaxsac.update(state, batch, key)
    assert not np.array_equal(*(jax.tree.leaves(s.critic.params)[0] for s in (plain, found)))
    terms, by_hand_terms = (
        jaxsac.gradient_terms(agent, seen, key)
        for agent, seen in ((shifted, batch), (state, by_hand))
    )
    assert_close(terms.total, by_hand_terms.total, 1e-4, 1e-6)


def test_settings_for_images_without_use_are_refused():
    config = dataclasses.replace(CONFIG, random_shift=4)
    with pytest.raises(ValueError, match="random_shift 4 moves images"):
        jaxsac.init(jax.random.key(0), jnp.zeros(3), ACTION, config)
    with pytest.raises(ValueError, match="random_shift must be at least 0"):
        jaxsac.Config(random_shift=-1)

    own = agent_for(BOTH["joints"]).config
    with pytest.raises(ValueError, match="give an actor too"):
        jaxsac.init(jax.random.key(0), IMAGE, ACTION, dataclasses.replace(own, critic=_Own()))


class _Own(encoders.nn.Module):
    @encoders.nn.compact
    def __call__(self, observation, action):
        return jnp.zeros((2, len(action)))
