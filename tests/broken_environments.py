"""A sound small environment and others, broken in one way each, as `broken_environments:<id>`."""

import random
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import (
    ClipAction,
    NormalizeObservation,
    NormalizeReward,
)

LIMIT = 20


class Sound(gymnasium.Env):
    """A point in the plane that is pushed about at random."""

    observation_space: Any = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space: Any = spaces.Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None) -> Any:
        super().reset(seed=seed)
        self.x, self.steps = self.draw(), 0
        return self.observe(), {}

    def step(self, action) -> Any:
        self.x, self.steps = 0.9 * self.x + 0.1 * self.draw(), self.steps + 1
        return self.observe(), self.pay(action), False, False, {}

    def draw(self) -> Any:
        return self.np_random.normal(size=2)

    def observe(self) -> Any:
        return self.x.copy()

    def pay(self, action) -> Any:
        return -float(np.sum(np.square(action))) - float(self.x @ self.x)


class Featureless(Sound):
    """Observes nothing of its state."""

    def observe(self):
        return np.zeros(2)


class Clock(Sound):
    """Draws from the time."""

    def draw(self):
        return np.random.default_rng(time.perf_counter_ns()).normal(size=2)


class OwnGenerator(Sound):
    """Seeds a generator of its own where it gets a seed, and not np_random."""

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.generator = np.random.default_rng(seed)
        return super().reset()

    def draw(self):
        return self.generator.normal(size=2)


class PythonsGenerator(Sound):
    """Draws from `random`, which it seeds."""

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            random.seed(seed)
        return super().reset(seed=seed)

    def draw(self):
        return np.array([random.random() for _ in range(2)])


class NumpysGenerator(Sound):
    """Draws from `np.random`."""

    def draw(self):
        return np.random.normal(size=2)


class Tally(Sound):
    """Counts episodes, to no effect but in its infos; without a hash, as a dataclass is."""

    episodes = 0
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def reset(self, *, seed=None, options=None):
        self.episodes += 1
        return super().reset(seed=seed)[0], {"episodes": self.episodes}


class Curriculum(Tally):
    """Every episode is harder than the one before."""

    def draw(self):
        return self.episodes * super().draw()


class LateCurriculum(Tally):
    """Harder after a thousand episodes."""

    def draw(self):
        return (10 if self.episodes > 1000 else 1) * super().draw()


class Centered(gymnasium.ObservationWrapper):
    """Running statistics of a user's own."""

    count, total = 0, 0.0

    def observation(self, observation):
        self.count, self.total = self.count + 1, self.total + observation
        return observation - self.total / self.count


class Frames(Sound):
    """An image whose colours come first."""

    observation_space = spaces.Box(0, 255, (3, 32, 40), np.uint8)

    def observe(self):
        return np.full((3, 32, 40), 99 + 9 * self.x[0], np.uint8)


class Counting(Sound):
    """A counter in int64 that is beyond int32."""

    observation_space = spaces.Box(np.iinfo(np.int64).min, np.iinfo(np.int64).max, (1,), np.int64)

    def observe(self):
        return np.array([3_000_000_000 + self.steps])


class Counted(Counting):
    """The same, with bounds."""

    observation_space = spaces.Box(0, 2**40, (1,), np.int64)


class Dated(Sound):
    """Observes the seconds since 1970."""

    observation_space = spaces.Dict(
        {"x": Sound.observation_space, "t": spaces.Box(0, np.inf, (1,), np.float64)}
    )

    def observe(self):
        return {"x": self.x.copy(), "t": np.array([1.7e9 + self.steps])}


class Today(Dated):
    """The same, with the bounds of a day."""

    observation_space = spaces.Dict(
        {"x": Sound.observation_space, "t": spaces.Box(1.7e9, 1.7e9 + 86400, (1,), np.float64)}
    )


class Unbounded(Sound):
    """Any action."""

    action_space = spaces.Box(-np.inf, np.inf, (2,))


class Blind(Sound):
    """Nothing to observe."""

    observation_space = spaces.Box(-1, 1, (0,))

    def observe(self):
        return np.zeros(0, np.float32)


class Outside(Sound):
    """Narrow bounds that it does not keep."""

    observation_space = spaces.Box(-1e-3, 1e-3, (2,), np.float64)


class NaN(Sound):
    """A NaN at times."""

    def pay(self, action):
        return np.nan if self.steps % 7 == 3 else 0.5


class Rich(Sound):
    """Rewards of millions."""

    def pay(self, action):
        return 1e7 * super().pay(action)


class Tiny(Sound):
    """Numbers that are 0 in float32."""

    observation_space = spaces.Box(-1, 1, (2,))

    def observe(self):
        return 1e-50 * self.x

    def pay(self, action):
        return 1e-200 * super().pay(action)


class FarReward(Sound):
    """Rewards that differ in digits that float32 lacks."""

    def pay(self, action):
        return 1e8 + super().pay(action)


class HugeReward(Sound):
    """Rewards beyond float32."""

    def pay(self, action):
        return 1e40


class Wide(Sound):
    """Actions as good as unbounded."""

    action_space = spaces.Box(-3e38, 3e38, (2,))

    def pay(self, action):
        return 0.5


class TimedOut(Sound):
    """Calls its time limit a termination."""

    def step(self, action):
        observation, reward, *_ = super().step(action)
        return observation, reward, self.steps == LIMIT, False, {}


class ResetsItself(Sound):
    """Returns the first observation of the next episode in place of the last one."""

    def step(self, action):
        self.steps += 1
        self.x = self.x + 0.1 * action
        over = self.steps == LIMIT
        observation = self.reset()[0] if over else self.observe()
        return observation, 0.5, False, over, {}


class Unclosable(Sound):
    """Cannot be closed."""

    def close(self):
        raise OSError("the viewer is gone")


class OldApi(Sound):
    """Gym before 0.26."""

    def reset(self):  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().reset()[0]

    def step(self, action):
        observation, reward, *_ = super().step(action)
        return observation, reward, self.steps == LIMIT, {}


class Named(Sound):
    """A dict of five where five values are expected."""

    def step(self, action):
        return dict(enumerate(super().step(action)))


class NoInfo(Sound):
    """None where an info is expected."""

    def step(self, action):
        return *super().step(action)[:4], None


class Lists(Sound):
    """A list for an array, and an int for a bool."""

    def observe(self):
        return super().observe().tolist()

    def step(self, action):
        observation, reward, _, _, info = super().step(action)
        return observation, reward, 0, False, info


class OpensOnReset(Sound):
    """One can be opened at a time, which is done at its first reset."""

    opened: Any = None

    def reset(self, *, seed=None, options=None):
        if OpensOnReset.opened not in (None, self):
            raise OSError(98, "Address already in use")
        OpensOnReset.opened = self
        return super().reset(seed=seed)

    def close(self):
        if OpensOnReset.opened is self:
            OpensOnReset.opened = None


class Only(Sound):
    """One can live at a time."""

    alive = False

    def __init__(self):
        if Only.alive:
            raise OSError(98, "Address already in use")
        Only.alive = True

    def close(self):
        Only.alive = False


class OnlyByClock(Only, Clock):
    """And another each time."""


def register(name, make, limit=LIMIT):
    gymnasium.register(
        f"{name}-v0", make, max_episode_steps=limit, disable_env_checker=True, order_enforce=False
    )


for kind in (
    Sound, Featureless, Clock, OwnGenerator, PythonsGenerator, NumpysGenerator, Curriculum,
    LateCurriculum, Tally, Tiny, Frames, Named,
    Counting, Counted, Dated, Today, Unbounded, Blind, Outside, NaN, Rich, FarReward, HugeReward,
    Wide, Unclosable, NoInfo, Lists, OpensOnReset, Only, OnlyByClock,
):  # fmt: skip
    register(kind.__name__, kind)
for kind in (TimedOut, ResetsItself, OldApi):
    register(kind.__name__, kind, None)
register("NoEnd", Sound, None)
register("Normalized", lambda: NormalizeObservation(Sound()))
register("NormalizedReward", lambda: NormalizeReward(Sound()))
register("Clipped", lambda: ClipAction(Sound()))
register("Centered", lambda: Centered(Sound()))


def frozen():
    env = NormalizeObservation(Sound())
    env.update_running_mean = False
    return env


register("Frozen", frozen)
