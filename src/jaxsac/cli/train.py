"""`jaxsac train`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jaxsac.cli.main import STOPPED
from jaxsac.cli.options import PRESET, help_of, run_config, settings_class
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.display.display import Display
from jaxsac.runs.metrics import learning_curve
from jaxsac.runs.settings.settings import default_directory
from jaxsac.runs.train import train_group


class Training:
    """What `jaxsac train` does with its options."""

    only_seed: int | None
    run_dir: Path | None

    @property
    def directory(self) -> Path:
        """Where the run, or the group of it, is written."""
        return self.run_dir or default_directory(run_config(self))

    def run(self) -> int:
        """Trains with a display and draws the learning curve, also of a run that was stopped."""
        config, directory = run_config(self), self.directory
        if self.only_seed is not None:
            config = config.only(self.only_seed)
            group = Path(os.path.abspath(directory))  # . and .. are no names
            directory = group.with_name(f"{group.name}-{config.member_names[0]}")
        run = RunDirectory(directory)
        complete = train_group(config, run.path, Display)
        plot = learning_curve.draw(run, lambda text: print(f"jaxsac: {text}", file=sys.stderr))
        shown = directory / plot.relative_to(run.path) if plot else None
        print(f"run: {directory}" + (f"\nlearning curve: {shown}" if shown else ""))
        return 0 if complete else STOPPED


Train = settings_class(
    "Train",
    "Train a group of independent seeds and leave a run directory.",
    {
        "run_dir": (
            help_of(
                Path | None, "Run directory to write; runs/<env>-<hash of the settings> by default."
            ),
            None,
        ),
        "preset": (PRESET, None),
        "only_seed": (
            help_of(
                int | None,
                "Train this seed of the group alone, beside the group: in <run-dir>-seed-NNNN.",
            ),
            None,
        ),
    },
    Training,
)
