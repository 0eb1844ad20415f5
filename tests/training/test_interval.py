"""Means of metrics between two rows, against NumPy."""

import jax.numpy as jnp
import numpy as np

from jaxsac.sac.policy import METRICS
from jaxsac.sac.state import Metrics
from jaxsac.training import interval

NAN = np.nan


def told(q_mean, of_actor, skipped=0):
    own = {name: jnp.float32(of_actor) for name in METRICS}
    return Metrics(q_mean=jnp.float32(q_mean), **own, skipped=jnp.int32(skipped))


def test_each_metric_is_a_mean_over_the_updates_that_have_it():
    found = interval.init(told(0, 0))
    for metrics, finite in (
        (told(1, 10), True),
        (told(2, NAN), True),  # the actor rests
        (told(NAN, NAN, skipped=1), False),
        (told(6, 20, skipped=1), True),
    ):
        found = interval.add(found, metrics, jnp.array(finite))
    assert (found.updates, found.actor_updates) == (3, 2)
    np.testing.assert_allclose(found.mean["q_mean"], 3)
    np.testing.assert_allclose([found.mean[name] for name in METRICS], 15)
    assert found.mean["skipped"] == 1
    begun = interval.begin(found)
    assert (begun.updates, begun.actor_updates, begun.mean["skipped"]) == (0, 0, 1)


def test_where_the_actor_only_rested_nothing_is_said_of_it():
    found = interval.add(interval.init(told(0, 0)), told(4, NAN), jnp.array(True))
    assert (found.updates, found.actor_updates) == (1, 0)
    assert found.mean["q_mean"] == 4
    assert all(found.mean[name] == 0 for name in METRICS)
