"""Commands for the policies that a run has saved: `export` and `play`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, cast

import tyro

from jaxsac.runs.export.export import Exported, FormatName, export
from jaxsac.runs.policies.play import play
from jaxsac.runs.settings.values import whole_number


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a policy as files that act without jaxsac, scale and bounds inside."""

    run_dir: tyro.conf.Positional[Path]
    """Run directory of the run."""
    format: FormatName = "numpy"
    """NumPy alone (an .npz and a .py of less than 60 lines); ONNX; or StableHLO, which JAX loads
    and which alone holds networks of one's own."""
    seed: int | None = None
    """Seed of the policy; the first by default."""
    which: str = "latest"
    """Which policy: of the latest checkpoint; the best by the run's evaluations; or of a
    checkpoint, by its step."""
    point: int | None = None
    """Of a run that trains several points of a sweep, which one."""
    output: Path | None = None
    """File to write; export/seed-NNNN/policy in the run directory by default."""

    card: bool = False
    """Write a model card too, README.md in the layout of the Hugging Face hub, with the returns,
    the learning curve, and a video if there is one."""
    video: Path | None = None
    """Of the card, an .mp4 or a .gif; by default the newest of this seed that `jaxsac play` or
    --record-every has left in the run directory."""

    def run(self) -> int:
        """Prints the files and how far they are from the policy."""
        if self.video is not None and not self.card:
            raise ValueError(f"video {self.video} is one of a card's: give --card too.")
        written = self._export()
        for path in written.paths:
            print(path)
        found = written.parity
        print(
            f"largest difference from the policy over {found.observations:,} observations: "
            f"{found.largest_difference:.1e} of half an action's range, and "
            f"{found.largest_at_ordinary:.1e} at those of ordinary size; {found.at_a_bound:.0%} of "
            "the actions are saturated"
        )
        if found.rounding:
            print(
                f"counted apart: {found.rounding} actions that single precision leaves open, with "
                f"differences of up to {found.largest_rounding:.1e}"
            )
        return 0

    def _export(self) -> Exported:
        what = self.run_dir, self.format, self.output, self.seed, which_of(self.which), self.point
        if not self.card:
            return export(*what)
        from jaxsac.reports.card import export_with_card

        made = export_with_card(*what, video=self.video)
        print(f"{made.card}" + f", with {made.video}" * (made.video is not None))
        return made.exported


@dataclasses.dataclass(frozen=True)
class Play:
    """Draw episodes of the policies that a run saved, as videos or in a window."""

    run_dir: tyro.conf.Positional[Path]
    """Run directory of the run."""
    seed: int | None = None
    """Seed to play; the best, the median and the worst by their returns by default."""
    which: str = "latest"
    """Which policies, as for `export`."""
    point: int | None = None
    """Of a run that trains several points of a sweep, which one; with --seed."""
    output: Path | None = None
    """An .mp4 or a .gif, whose name gets seed and return; play/<environment>.mp4 in the run
    directory by default."""
    episodes: int = 1
    """Episodes of each seed."""
    window: bool = False
    """Show the episodes in a window and write nothing."""
    env: str | None = None
    """Another environment with the same observations and actions; that of the run by default."""
    env_kwargs: dict[str, Any] | None = None
    """Other arguments of the environment's constructor, as for `eval`."""
    wrapper: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Wrappers instead of those of the run, as for `train`."""

    def run(self) -> int:
        """Prints a line for each episode, once it is over."""
        changes = given(self, "env", "env_kwargs", "wrapper")
        played = play(
            self.run_dir, self.seed, which_of(self.which), self.point, self.output, self.episodes,
            self.window, changes,
        )  # fmt: skip
        for each in played:
            what = f"seed {each.member.seed}: return {each.episode_return:,.1f}"
            print(f"{what}, {each.length:,} steps" + f"  {each.path}" * (each.path is not None))
        return 0


def given(options: Any, *names: str) -> dict[str, Any]:
    """Those of the options that were given."""
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value not in (None, ())}


def which_of(text: str) -> int | Literal["latest", "best"]:
    """`latest`, `best`, or the step of a checkpoint.

    Raises:
      ValueError: neither of these nor a whole number.
    """
    if text in ("latest", "best"):
        return cast(Literal["latest", "best"], text)
    try:
        return whole_number(text)
    except ValueError:
        raise ValueError(
            f"which must be latest, best or the step of a checkpoint, got {text!r}."
        ) from None
