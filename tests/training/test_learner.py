import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jaxsac
from jaxsac.data import replay
from jaxsac.envs.step_result import StepResult
from jaxsac.training import learner, population
from jaxsac.training.population import RESET_STREAM, stream_key
from jaxsac.training.schedule import Schedule, Work
from run_examples import FAST, NET, Group, assert_identical, is_identical, member, small_run

COUNT = 16
VECTOR = jax.ShapeDtypeStruct((2,), jnp.float32)
init = jax.jit(functools.partial(learner.init, action=VECTOR))
learn_step = jax.jit(functools.partial(learner.learn_step, batch_size=4))


VECTORS = np.random.default_rng(0).normal(size=(3, 2, COUNT, 2)).astype(np.float32)
"""Where the environments were, the actions before tanh, and where they are then."""


def make_carry(seeds=(0, 1), agent=NET, hyperparameters=FAST, **options):
    run = small_run(agent=agent, batch_size=4, **options).to_population()
    run = run.replace(seeds=np.array(seeds), hyperparameters=hyperparameters)
    return at_start(init(run, VECTORS[0]))


def at_start(carry):
    return carry._replace(observation=VECTORS[0], action=np.tanh(VECTORS[1]))


def make_result():
    """Steps that are told apart by their reward, all valid."""
    reward = np.broadcast_to(np.arange(COUNT, dtype=np.float32), (2, COUNT))
    valid = np.ones((2, COUNT), bool)
    return StepResult(reward, np.ones_like(reward), VECTORS[2], valid, VECTORS[2], ~valid)


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
    count = 480 // num_envs
    works = [blocks.work(n * num_envs, (n + 1) * num_envs) for n in range(count)]
    assert_identical(
        Work(*map(np.stack, zip(*works, strict=True))), blocks.works(0, count, num_envs)
    )


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
    nothing, uniform = make_result()._replace(valid=np.zeros((2, COUNT), bool)), []
    schedule = Schedule(learning_starts=320, utd=Fraction(1, 100_000))
    for count in range(0, 480, COUNT):
        work = schedule.work(max(0, count - COUNT), count)
        carry = learn_step(carry, nothing, work)
        (uniform if work.uniform else []).append(carry.action)
        assert (np.asarray(carry.action) > 0.999).all() == (count >= 320)
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
    after = learn_step(carry, make_result(), Work(0, False))
    assert_identical(after.agent, carry.agent)
    assert_identical(after.metrics, carry.metrics)
    assert after.buffer.size.tolist() == [COUNT, COUNT]


def test_a_step_does_as_many_updates_as_it_is_told():
    carry = make_carry()
    for num_updates in (1, 3):
        after = learn_step(carry, make_result(), Work(num_updates, False))
        assert after.agent.step.tolist() == [num_updates] * 2
        for before_leaf, leaf in zip(
            jax.tree.leaves(carry.agent.critic.target_params),
            jax.tree.leaves(after.agent.critic.target_params),
            strict=True,
        ):
            assert (before_leaf != leaf).any()


def test_invalid_rows_stay_out_of_replay():
    result = make_result()
    result.valid[:] = False
    result.valid[0, [0, 2, 5]] = True
    after = learn_step(make_carry(), result, Work(0, True))
    assert after.buffer.size.tolist() == [3, 0]
    rewards = replay.sample(member(after.buffer, 0), jax.random.key(0), 3).reward
    assert set(np.asarray(rewards).tolist()) <= {0.0, 2.0, 5.0}


def test_returns_of_several_steps_are_inserted_when_they_are_complete_by_each_members_discount():
    gamma = np.array([0.5, 0.75], np.float32)
    carry = make_carry(hyperparameters=FAST.replace(gamma=gamma), n_step=2)
    result = make_result()
    result.over[:, 0] = True
    after = learn_step(carry, result, Work(0, False))
    assert after.buffer.size.tolist() == [1, 1], "the rest waits"
    after = learn_step(after, result, Work(0, False))
    assert after.buffer.size.tolist() == [1 + COUNT] * 2
    # In the order of the environments; the first one's episodes have one step each.
    rewards = after.buffer.rows["float32"][:, : 1 + COUNT, 4]
    reward = result.reward[0]
    expected = [np.concatenate([[0, 0], (reward * (1 + g))[1:]]) for g in gamma]
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)


def test_every_update_of_every_seed_draws_a_batch_of_its_own():
    # With no discounting and no learning the target's mean is the batch's mean reward.
    frozen = FAST.replace(actor_lr=0.0, critic_lr=0.0, alpha_lr=0.0, tau=0.0, gamma=0.0)
    carry = make_carry(hyperparameters=frozen)
    # Hardly any two sets of four of these have the same sum.
    result = make_result()._replace(reward=np.sqrt(make_result().reward))
    means = []
    for num_updates in (1, 2, 3):
        after = learn_step(carry, result, Work(num_updates, False))
        means += (num_updates * after.metrics.mean.target_mean).tolist()
    # The next step's updates follow another key.
    after = learn_step(after, result, Work(1, False))
    means += (4 * after.metrics.mean.target_mean).tolist()
    sums = np.reshape(means, (4, 2))
    each = np.diff(np.concatenate([np.zeros((1, 2)), sums]), axis=0).round(3)
    assert len(set(each.ravel().tolist())) == 8, each


def test_an_update_can_draw_the_transition_that_has_just_arrived():
    frozen = FAST.replace(actor_lr=0.0, critic_lr=0.0, alpha_lr=0.0, tau=0.0, gamma=0.0)
    carry = make_carry(hyperparameters=frozen)
    result = make_result()
    result.valid[:, :7], result.valid[:, 8:] = False, False
    after = learn_step(carry, result, Work(1, False))
    np.testing.assert_allclose(after.metrics.mean.target_mean, 7)


def test_the_action_comes_from_the_parameters_after_the_update():
    # A policy that is nearly deterministic, and a step so large that it moves far.
    narrow = jaxsac.Config(hidden_sizes=(8,), log_std_min=-12.0, log_std_max=-11.0)
    carry = make_carry(agent=narrow, hyperparameters=FAST.replace(actor_lr=0.1))
    after = learn_step(carry, make_result(), Work(3, False))
    before_mode, after_mode = (
        jax.vmap(jaxsac.act)(agent, VECTORS[2]) for agent in (carry.agent, after.agent)
    )
    assert np.abs(before_mode - after_mode).max() > 0.1
    np.testing.assert_allclose(after.action, after_mode, atol=1e-3)


def test_members_whose_actors_rest_compute_nothing_of_theirs():
    carry = make_carry(agent=jaxsac.Config(hidden_sizes=(8,), actor_every=3))
    step = functools.partial(learner.learn_step, batch_size=4)
    program = jax.make_jaxpr(step)(carry, make_result(), Work(1, False))
    products = [
        [str(branch).count("dot_general") for branch in equation.params["branches"]]
        for equation in equations(program.jaxpr)
        if equation.primitive.name == "cond"
    ]
    assert any(rests == 0 < steps for rests, steps in products), products


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def test_actors_stay_in_step_where_a_member_has_left_out_an_update():
    carry = make_carry(agent=jaxsac.Config(hidden_sizes=(8,), actor_every=2))
    result, moved = make_result(), []
    reward = result.reward.copy()
    reward[0] = np.nan
    carry = learn_step(carry, result._replace(reward=reward), Work(1, False))
    assert carry.agent.skipped.tolist() == [1, 0]
    carry = carry._replace(buffer=make_carry(agent=carry.agent.config).buffer)
    for _ in range(3):
        after = learn_step(carry, result, Work(1, False))
        pairs = [
            (member(carry.agent.actor.params, i), member(after.agent.actor.params, i))
            for i in (0, 1)
        ]
        moved.append([not is_identical(*pair) for pair in pairs])
        carry = after
    assert moved == [[False, False], [True, True], [False, False]]


def learn_from(carry, scale):
    """The learner and its last action when all observations are `scale` of themselves."""
    then = scale(VECTORS[2])
    result = make_result()._replace(next_observation=then, observation=then)
    for _ in range(3):
        carry = at_start(carry)._replace(observation=scale(VECTORS[0]))
        carry = learn_step(carry, result, Work(2, False))
    return carry, carry.action


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
    result = make_result()
    result.valid[0, 3:] = False
    carry = make_carry(normalize_observations=True)
    after = learn_step(carry, result, Work(0, False))
    (moments,) = after.normalizer
    assert moments.count.tolist() == [3, COUNT]
    np.testing.assert_allclose(moments.mean[0], VECTORS[0][0, :3].mean(axis=0), rtol=1e-5)
    assert make_carry().normalizer == ()


def test_rewards_are_scaled_when_they_are_drawn_by_the_returns_so_far():
    frozen = FAST.replace(actor_lr=0.0, critic_lr=0.0, alpha_lr=0.0, tau=0.0, gamma=0.0)
    carry = make_carry(hyperparameters=frozen, reward_scale="return_std")
    for number, updates in ((1, 0), (3, 1)):
        reward = np.full((2, COUNT), 2.0, np.float32)
        reward[1, 0] = number
        carry = learn_step(carry, make_result()._replace(reward=reward), Work(updates, False))
    assert set(np.unique(member(carry.buffer, 1).rows["float32"][:32, 4])) == {1, 2, 3}, "raw"
    # By γ = 0 the sums are the rewards: of the second member two of 32 differ from 2 by 1.
    deviation = np.sqrt(2 / 32)
    np.testing.assert_allclose(carry.metrics.mean.reward_divisor[1], deviation, rtol=1e-5)
    # Means of four of 1, 2 and 3.
    mean = 4 * float(carry.metrics.mean.target_mean[1]) * deviation
    np.testing.assert_allclose(mean, round(mean), rtol=1e-5)
    assert 4 < mean < 12


def test_actions_are_sampled_anew_at_every_step():
    first = learn_step(make_carry(), make_result(), Work(0, False))
    one, two = first.action, learn_step(first, make_result(), Work(0, False)).action
    assert np.mean(np.asarray(one) != np.asarray(two)) > 0.9
    assert np.mean(np.asarray(one[0]) != np.asarray(one[1])) > 0.9


def test_what_is_drawn_in_a_step_has_a_key_of_its_own():
    carry = make_carry()
    after = learn_step(carry, make_result(), Work(1, False))
    for k in (0, 1):
        key, batch_key, noise_key = jax.random.split(carry.key[k], 3)
        batch = replay.sample(member(after.buffer, k), batch_key, 4)
        agent, metrics = jaxsac.update(member(carry.agent, k), batch, noise_key)
        found = member(after.agent, k), member(after.metrics.mean, k)
        for a, b in zip(*map(jax.tree.leaves, (found, (agent, metrics))), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        key, action_key = jax.random.split(key)
        expected = jaxsac.act(agent, VECTORS[2][k], action_key)
        np.testing.assert_allclose(after.action[k], expected, rtol=1e-4, atol=1e-5)
        assert_identical(*map(jax.random.key_data, (after.key[k], key)))


def test_no_key_of_a_member_is_another_one_of_it():
    """`split` makes of a key what `fold_in` makes of it with 0, 1, and so on."""
    for seed in (0, 7):
        keys = [*jax.random.split(jax.random.key(seed)), jax.random.key(seed)]
        keys += [stream_key(seed, stream) for stream in population.FOLDED_IN]
        numbers = {tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in keys}
        assert len(numbers) == len(keys) == 2 + 1 + 4


def test_agents_start_anew_before_the_update_after_every_so_many_and_replay_is_kept():
    carry = make_carry(seeds=(5, 9), reset_every=3)
    three = learn_step(carry, make_result(), Work(3, False))
    plain = learn_step(make_carry(seeds=(5, 9)), make_result(), Work(3, False))
    assert_identical(three.agent, plain.agent)
    four = learn_step(three, make_result(), Work(1, False))
    assert four.agent.step.tolist() == [4, 4]
    assert four.buffer.size.tolist() == [2 * COUNT] * 2
    for k, seed in enumerate((5, 9)):
        key = jax.random.fold_in(stream_key(seed, RESET_STREAM), 3)
        fresh = jaxsac.init(key, VECTORS[0, 0, 0], VECTOR, NET, FAST)
        _, batch_key, noise_key = jax.random.split(three.key[k], 3)
        batch = replay.sample(member(four.buffer, k), batch_key, 4)
        expected, _ = jaxsac.update(fresh.replace(step=jnp.int32(3)), batch, noise_key)
        for a, b in zip(*map(jax.tree.leaves, (member(four.agent, k), expected)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    five = learn_step(four, make_result(), Work(1, False))
    before, after = (each.agent.actor.params for each in (four, five))
    # Adam's steps are as long as its rate: a start anew would be further away.
    for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True):
        assert np.abs(a - b).max() < 1.5 * FAST.actor_lr


def test_the_first_action_is_uniform_and_taken_where_the_environments_start():
    run = small_run(agent=jaxsac.Config(hidden_sizes=(8,), actor=AlwaysFull())).to_population()
    carry = init(run, VECTORS[0])
    assert_identical(carry.observation, VECTORS[0])
    assert carry.action.shape == (2, COUNT, 2)
    assert np.abs(carry.action).mean() < 0.7
    assert len(np.unique(carry.action)) == carry.action.size


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
        group.learn(11)
    assert group.carry.agent.step.tolist() == [14, 14]
    compilations = [line for line in caplog.messages if "Compiling jit(compiled)" in line]
    assert len(compilations) == 1


def test_a_step_can_be_scanned_and_gives_the_same():
    carry, result = make_carry(), make_result()

    def body(carry, _):
        carry = learner.learn_step(carry, result, Work(1, False), batch_size=4)
        return carry, carry.action

    scanned, actions = jax.jit(lambda c: jax.lax.scan(body, c, length=3))(carry)
    for action in actions:
        carry = learn_step(carry, result, Work(1, False))
        np.testing.assert_allclose(action, carry.action, rtol=1e-4, atol=1e-5)
    assert scanned.agent.step.tolist() == carry.agent.step.tolist()
