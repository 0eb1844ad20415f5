import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jaxsac
from jaxsac.data import replay
from jaxsac.runner import loop
from jaxsac.runner.loop import Schedule, Work
from run_examples import FAST, NET, Group, assert_identical, is_identical, member

pytestmark = pytest.mark.usefixtures("shared_compilation")

COUNT = 16
VECTOR = jax.ShapeDtypeStruct((2,), jnp.float32)
learn_step = jax.jit(functools.partial(loop.learn_step, batch_size=4))


def make_carry(seeds=(0, 1), agent=NET, hyperparameters=FAST, normalize_observations=False):
    init = functools.partial(loop.init, observation=VECTOR, action=VECTOR, capacity=200,
        config=agent, hyperparameters=hyperparameters, batch_size=4,
        normalize_observations=normalize_observations)  # fmt: skip
    return jax.jit(init)(jnp.asarray(seeds))


def make_arrival():
    """Transitions that are told apart by their reward, all valid, and where to act next."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 2, COUNT, 2)).astype(np.float32)
    reward = np.broadcast_to(np.arange(COUNT, dtype=np.float32), (2, COUNT))
    transition = jaxsac.Transition(
        vectors[0], np.tanh(vectors[1]), reward, np.ones_like(reward), vectors[2]
    )
    return transition, np.ones((2, COUNT), bool), vectors[2]


# The schedule.


@pytest.mark.parametrize("num_envs", [1, 4, 16])
@pytest.mark.parametrize("utd", ["1/4", "1", "4", "1/3"])
@pytest.mark.parametrize("learning_starts", [0, 48, 50])
def test_updates_are_utd_times_the_transitions_after_learning_starts(
    num_envs, utd, learning_starts
):
    schedule = Schedule(learning_starts, Fraction(utd))
    total = 0
    for after in range(num_envs, 481, num_envs):
        total += schedule.work(after - num_envs, after).num_updates
        assert total == schedule.updates_due(after)
        assert total == int(Fraction(utd) * max(0, after - learning_starts))
    if learning_starts == 48:
        assert total == 432 * Fraction(utd)


@pytest.mark.parametrize("num_envs", [1, 4])
@pytest.mark.parametrize("utd", ["1", "1/3"])
def test_updates_in_blocks_are_those_due_at_every_multiple(num_envs, utd):
    one_by_one = Schedule(learning_starts=48, utd=Fraction(utd))
    blocks = Schedule(learning_starts=48, utd=Fraction(utd), update_every=12)
    for after in range(num_envs, 481, num_envs):
        last_block = after - after % 12  # 48 is a multiple of 12
        assert blocks.updates_due(after) == one_by_one.updates_due(last_block)
        if after != last_block:
            assert blocks.work(after - num_envs, after).num_updates == 0


@pytest.mark.parametrize("num_envs", [1, 4, 16])
def test_as_many_actions_are_uniform_as_learning_starts_says(num_envs):
    schedule = Schedule(learning_starts=48, utd=Fraction(1))
    counts = range(0, 160, num_envs)
    uniform = [schedule.work(max(0, count - num_envs), count).uniform for count in counts]
    assert sum(uniform) * num_envs == 48
    assert uniform == sorted(uniform, reverse=True)


class AlwaysFull(nn.Module):
    """A policy whose every action is nearly 1, which hardly any uniform one is."""

    @nn.compact
    def __call__(self, observation):
        mean = self.param("mean", nn.initializers.constant(10.0), (2,))
        mean = jnp.broadcast_to(mean, (len(observation), 2))
        return mean, jnp.full_like(mean, -5.0)


def test_actions_are_uniform_until_learning_starts_and_the_policys_from_then_on():
    carry = make_carry(agent=jaxsac.Config(hidden_sizes=(8,), actor=AlwaysFull()))
    transition, _, observation = make_arrival()
    nothing, uniform = np.zeros((2, COUNT), bool), []
    schedule = Schedule(learning_starts=320, utd=Fraction(1, 100_000))
    for count in range(0, 480, COUNT):
        work = schedule.work(max(0, count - COUNT), count)
        carry, action = learn_step(carry, transition, nothing, observation, work)
        (uniform if work.uniform else []).append(action)
        assert (np.asarray(action) > 0.999).all() == (count >= 320)
    uniform = np.concatenate([np.ravel(action) for action in uniform])
    assert uniform.size == 2 * 320 * 2
    assert np.abs(uniform).max() <= 1
    counts, _ = np.histogram(uniform, bins=8, range=(-1, 1))
    # Within five standard deviations of the expected count.
    assert np.abs(counts - 160).max() < 5 * np.sqrt(160)
    assert len(set(uniform.tolist())) > 1270


# What a step does.


def test_a_step_without_updates_changes_no_leaf_of_the_agent():
    carry = make_carry()
    after, _ = learn_step(carry, *make_arrival(), Work(0, False))
    assert_identical(after.agent, carry.agent)
    assert_identical(after.metrics, carry.metrics)
    assert after.buffer.size.tolist() == [COUNT, COUNT]


def test_a_step_does_as_many_updates_as_it_is_told():
    carry = make_carry()
    for num_updates in (1, 3):
        after, _ = learn_step(carry, *make_arrival(), Work(num_updates, False))
        assert after.agent.step.tolist() == [num_updates] * 2
        for before_leaf, leaf in zip(
            jax.tree.leaves(carry.agent.critic.target_params),
            jax.tree.leaves(after.agent.critic.target_params),
            strict=True,
        ):
            assert (before_leaf != leaf).any()


def test_invalid_rows_stay_out_of_replay():
    transition, valid, observation = make_arrival()
    valid[:] = False
    valid[0, [0, 2, 5]] = True
    after, _ = learn_step(make_carry(), transition, valid, observation, Work(0, True))
    assert after.buffer.size.tolist() == [3, 0]
    rewards = replay.sample(member(after.buffer, 0), jax.random.key(0), 3).reward
    assert set(np.asarray(rewards).tolist()) <= {0.0, 2.0, 5.0}


def test_every_update_of_every_seed_draws_a_batch_of_its_own():
    # With no discounting and no learning the target's mean is the batch's mean reward.
    frozen = FAST.replace(actor_lr=0.0, critic_lr=0.0, alpha_lr=0.0, tau=0.0, gamma=0.0)
    carry = make_carry(hyperparameters=frozen)
    transition, valid, observation = make_arrival()
    # Hardly any two sets of four of these have the same sum.
    arrival = transition._replace(reward=np.sqrt(transition.reward)), valid, observation
    means = []
    for num_updates in (1, 2, 3):
        after, _ = learn_step(carry, *arrival, Work(num_updates, False))
        means += after.metrics.target_mean.tolist()
    # The next step's updates follow another key.
    after, _ = learn_step(after, *arrival, Work(1, False))
    means += after.metrics.target_mean.tolist()
    assert len(set(means)) == 8, means


def test_an_update_can_draw_the_transition_that_has_just_arrived():
    frozen = FAST.replace(actor_lr=0.0, critic_lr=0.0, alpha_lr=0.0, tau=0.0, gamma=0.0)
    carry = make_carry(hyperparameters=frozen)
    transition, valid, observation = make_arrival()
    valid[:, :7], valid[:, 8:] = False, False
    after, _ = learn_step(carry, transition, valid, observation, Work(1, False))
    np.testing.assert_allclose(after.metrics.target_mean, 7)


def test_the_action_comes_from_the_parameters_after_the_update():
    # A policy that is nearly deterministic, and a step so large that it moves far.
    narrow = jaxsac.Config(hidden_sizes=(8, 8), log_std_min=-12.0, log_std_max=-11.0)
    carry = make_carry(agent=narrow, hyperparameters=FAST.replace(actor_lr=0.1))
    _, _, observation = arrival = make_arrival()
    after, action = learn_step(carry, *arrival, Work(3, False))
    before_mode, after_mode = (
        jax.vmap(jaxsac.act)(agent, observation) for agent in (carry.agent, after.agent)
    )
    assert np.abs(before_mode - after_mode).max() > 0.1
    np.testing.assert_allclose(action, after_mode, atol=1e-3)


def learn_from(carry, scale):
    """The learner and its last action when all observations are `scale` of themselves."""
    transition, valid, observation = make_arrival()
    transition = transition._replace(
        observation=scale(transition.observation),
        next_observation=scale(transition.next_observation),
    )
    for _ in range(3):
        carry, action = learn_step(carry, transition, valid, scale(observation), Work(2, False))
    return carry, action


def test_the_unit_of_observations_does_not_matter_when_they_are_normalized():
    def other(observation):
        return 8 * observation - 16

    carry = make_carry(normalize_observations=True)
    (one, one_action), (two, two_action) = (learn_from(carry, s) for s in (lambda x: x, other))
    np.testing.assert_allclose(one_action, two_action, rtol=1e-3, atol=1e-4)
    for a, b in zip(*map(jax.tree.leaves, (one.agent, two.agent)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    plain = [learn_from(make_carry(), scale)[1] for scale in (lambda x: x, other)]
    assert np.abs(plain[0] - plain[1]).max() > 0.1


def test_observations_are_counted_where_the_agent_acted_if_the_row_is_valid():
    transition, valid, observation = make_arrival()
    valid[0, 3:] = False
    carry = make_carry(normalize_observations=True)
    after, _ = learn_step(carry, transition, valid, observation, Work(0, False))
    (moments,) = after.normalizer
    assert moments.count.tolist() == [3, COUNT]
    np.testing.assert_allclose(
        moments.mean[0], transition.observation[0, :3].mean(axis=0), rtol=1e-5
    )
    assert make_carry().normalizer == ()


def test_actions_are_sampled_anew_at_every_step():
    carry, arrival = make_carry(), make_arrival()
    first, one = learn_step(carry, *arrival, Work(0, False))
    _, two = learn_step(first, *arrival, Work(0, False))
    assert np.mean(np.asarray(one) != np.asarray(two)) > 0.9
    assert np.mean(np.asarray(one[0]) != np.asarray(one[1])) > 0.9


def test_keys_derive_from_the_members_own_number():
    assert_identical(
        jax.random.key_data(make_carry(seeds=(5, 3)).key[1]),
        jax.random.key_data(make_carry(seeds=(3, 8)).key[0]),
    )
    agents = make_carry(seeds=(3, 4)).agent
    assert not is_identical(member(agents, 0).actor.params, member(agents, 1).actor.params)


def test_warm_up_and_learning_are_one_compiled_program(caplog):
    group = Group([0, 1], devices=2, learning_starts=8)
    with jax.log_compiles():
        group.learn(12)
    assert group.carry.agent.step.tolist() == [14, 14]
    compilations = [line for line in caplog.messages if "Compiling jit(compiled)" in line]
    assert len(compilations) == 1


def test_a_step_can_be_scanned_and_gives_the_same():
    carry, (transition, valid, observation) = make_carry(), make_arrival()

    def body(carry, _):
        return loop.learn_step(carry, transition, valid, observation, Work(1, False), batch_size=4)

    scanned, actions = jax.jit(lambda c: jax.lax.scan(body, c, length=3))(carry)
    for action in actions:
        carry, expected = learn_step(carry, transition, valid, observation, Work(1, False))
        np.testing.assert_allclose(action, expected, rtol=1e-4, atol=1e-5)
    assert scanned.agent.step.tolist() == carry.agent.step.tolist()
