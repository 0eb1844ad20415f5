"""What a run saved of one member: its agent whole, and its replay."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsac.data import packing
from jaxsac.data.return_scale import ReturnScale
from jaxsac.runs.checkpoints import checkpoint, rings
from jaxsac.runs.checkpoints.saved_frames import SavedFrames
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.policies import acting
from jaxsac.runs.policies.load import spaces_of
from jaxsac.runs.settings.config import RunConfig
from jaxsac.sac.state import State
from jaxsac.training import learner
from jaxsac.training.carry import Carry, Policy
from jaxsac.training.driver import learning_structs
from jaxsac.types import PyTree, Transition

NO_CRITICS = (
    'the best policy is kept without its critics and optimizers: "latest" (or a step) has them.'
)


class Kept(NamedTuple):
    """What a checkpoint has kept of a member's replay."""

    rows: Transition | None = None
    """All that it holds, in the order of its rows, (N, ...); None where it was not kept."""
    missing: str = ""
    """Why there is none."""
    frames: SavedFrames | None = None
    """What its observations are numbers of; None where it holds them themselves."""


class Member(NamedTuple):
    """One seed at one point of a sweep, as a checkpoint has it."""

    config: RunConfig
    label: str
    name: str
    """Of its files."""
    seed: int
    point: dict[str, float]
    """Its values of what is swept over."""
    step: int
    """Transitions of training after which its policy was saved."""
    policy: Policy
    """What acts; of an agent without critics its leaves are None."""
    whole: bool
    """Whether the agent has its critics."""
    scale: ReturnScale | tuple[()]
    """What the critics' rewards are divided by."""
    kept: Kept

    @property
    def agent(self) -> State:
        """The agent."""
        return self.policy.agent

    @property
    def replay(self) -> Transition | None:
        """The rows of replay."""
        return self.kept.rows

    @property
    def no_replay(self) -> str:
        """Why there is none."""
        return self.kept.missing

    @property
    def observations(self) -> PyTree:
        """Those of replay as environments returned them, (N, ...)."""
        assert self.replay is not None
        frames = self.kept.frames
        return (frames.latest(self.replay) if frames else self.replay).observation

    def drawn(self, count: int, seed: int = 0) -> Transition:
        """Transitions of replay as the agent sees them, drawn with replacement, (count, ...)."""
        assert self.replay is not None
        rows = np.random.default_rng(seed).integers(len(self.replay.reward), size=count)
        batch = jax.tree.map(lambda x: x[rows], self.replay)
        batch = self.kept.frames.stacked(batch) if self.kept.frames else batch
        return _as_seen(batch, self.policy.normalizer, self.scale)


_as_seen = jax.jit(learner.scaled)


def read(run: RunDirectory, which: int | str, indices: Sequence[int]) -> Iterator[Member]:
    """Members of a run, of which none is held here: a replay may fill half of the memory.

    Args:
      run: the run.
      which: "latest", the step of a checkpoint, or "best".
      indices: of the members.

    Raises:
      BundleError, RunDirectoryError: there is no such checkpoint, or it is damaged.
      ValueError: `which` is none of these.
    """
    config, spaces = run.config(), spaces_of(run)
    structs = learning_structs(config.to_population(), spaces.observation, spaces.action)
    saved, policies = acting.read(run, spaces, which, indices)
    # The best policy lies beside the checkpoints; the replay is then that of the latest.
    step = checkpoint.latest(run.checkpoints) if which == "best" else saved[0]
    facts: dict[str, Any] | None = None
    for row, index in enumerate(indices):
        policy = Policy(*jax.tree.map(lambda x, row=row: x[row], policies))
        facts = facts or checkpoint.verify(run.checkpoints, step)
        part = functools.partial(checkpoint.load, run.checkpoints, step, row=index)
        if whole := which != "best":
            policy = policy._replace(agent=part("agent", structs.agent))
        scale: Any = ()
        if structs.return_scale:
            there = {"return_scale": structs.return_scale}
            scale = part("learning", there, partial=True)["return_scale"]
        name = config.member_names[index]
        yield Member(
            config, config.member_labels[index], name, config.member_seeds[index],
            config.points[index // config.seeds], saved[row], jax.device_put(policy), whole, scale,
            _kept(run, step, name, facts, structs),  # in no variable, which would hold it
        )  # fmt: skip


def _kept(run: RunDirectory, step: int, name: str, facts: dict[str, Any], carry: Carry) -> Kept:
    if not facts.get("replay", True):
        folder = checkpoint.folder(run.checkpoints, step)
        return Kept(missing=f"{folder} was saved without its replay.")
    size = int(facts["replay_sizes"][facts["members"].index(name)])
    if not size:
        return Kept(missing="replay holds nothing yet.")
    structs, part = rings.filled(carry.buffer.rows, size), rings.replay_part(name)
    rows = checkpoint.load(run.checkpoints, step, part, structs)
    replay = packing.unpack(carry.buffer.spec, rows, np)
    if not carry.frames:
        return Kept(replay)
    frames = SavedFrames(run.checkpoints, step, facts["members"], name, carry.frames)
    if frames.whole < size:  # the oldest have lost frames
        index = facts["members"].index(name)
        there = {"position": carry.buffer.position}
        found = checkpoint.load(run.checkpoints, step, "learning", there, row=index, partial=True)
        rows = np.arange(found["position"] - frames.whole, found["position"]) % size
        replay = jax.tree.map(lambda x: x[rows], replay)
    return Kept(replay, frames=frames)
