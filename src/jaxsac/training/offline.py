"""Updates on prior data alone, before a population acts; no environment has a part in them."""

from __future__ import annotations

import jax

from jaxsac.data.replay import Buffer
from jaxsac.training import learner
from jaxsac.training.carry import Carry
from jaxsac.training.population import Population
from jaxsac.training.seed_axis import SeedAxis


class Updates:
    """The compiled programs of a population."""

    def __init__(self, population: Population, axis: SeedAxis) -> None:
        self._learn = axis.program(
            learner.learn_offline,
            num_shared=2,
            donate=(0,),
            batch_size=population.batch_size,
            over_seeds=axis.over_members,
        )
        self._begin_acting = axis.program(learner.begin_acting, donate=(0,))

    def __call__(self, learning: Carry, count: int, prior: Buffer) -> Carry:
        """Makes `count` updates of all members, and waits for them."""
        return jax.block_until_ready(self._learn(learning, count, prior))

    def begin_acting(self, learning: Carry) -> Carry:
        """`learner.begin_acting` of all members."""
        return self._begin_acting(learning)
