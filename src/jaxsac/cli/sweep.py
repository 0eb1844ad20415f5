"""`jaxsac sweep`."""

from __future__ import annotations

from pathlib import Path

import tyro

from jaxsac.cli.console import Console
from jaxsac.cli.main import STOPPED
from jaxsac.cli.options import PRESET, help_of, run_config, settings_class
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.settings import file_name
from jaxsac.sweeps import plan, report, results, sweep_file
from jaxsac.sweeps.placement import Placement
from jaxsac.sweeps.plan import Group


class Sweeping:
    """What `jaxsac sweep` does with its options."""

    set: tuple[str, ...]
    samples: int | None
    run_dir: Path | None
    placement: Placement

    @property
    def directory(self) -> Path:
        """Where the sweep is written."""
        return self.run_dir or Path("runs") / f"sweep-{file_name(run_config(self).env)}"

    def run(self) -> int:
        """Trains all members and leaves sweep.csv and sweep.png."""
        # Absolute: an environment may change the working folder.
        config, directory = run_config(self), self.directory.absolute()
        groups = plan.groups(config, self.set, self.samples)
        sweep_file.claim(directory, config, self.set, self.samples)
        trained = self.placement.train(groups, directory, Console())
        if not trained.complete:
            print(f"sweep: {directory}")
            return STOPPED
        if trained.leader:
            self._report(config, groups, trained.parts, directory)
        return 0

    def _report(
        self, config: RunConfig, groups: list[Group], parts: list[Group], directory: Path
    ) -> None:
        column = "eval_return" if config.eval_every else "train_return"
        rows = results.rows(directory, parts)
        scores = results.scores(rows, column)
        results.write_table(directory / "sweep.csv", rows)
        if not scores:
            print(f"table: {directory / 'sweep.csv'}")
            print(f"no {column} in the last fifth of the steps: there is nothing to compare.")
            return
        report.plot(directory / "sweep.png", groups, rows, scores, column)
        Console().print(report.table(groups, scores))
        print(f"table: {directory / 'sweep.csv'}\nplot: {directory / 'sweep.png'}")


Sweep = settings_class(
    "Sweep",
    "Train every seed at every point of a grid or a random search, and compare them.",
    {
        "set": (
            tyro.conf.UseAppendAction[
                help_of(
                    tuple[str, ...],
                    "A setting to sweep over, once for each: name=value,value for a grid, with "
                    "network sizes as hidden_sizes=64x64,256x256; or name=low:high to draw from. "
                    "Hyperparameters train together in one program, values of anything else one "
                    "after the other. None: the seeds alone.",
                )
            ],
            (),
        ),
        "samples": (
            help_of(int | None, "Points to draw at random; the whole grid by default."),
            None,
        ),
        "run_dir": (
            help_of(
                Path | None,
                "Directory to write; runs/sweep-<env> by default. Each part of the sweep is a run "
                "within.",
            ),
            None,
        ),
        "preset": (PRESET, None),
        "placement": (Placement, Placement()),
    },
    Sweeping,
)
