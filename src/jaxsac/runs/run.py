"""Training from Python, and what a run has come to."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from jaxsac import packages
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.display.display import Display
from jaxsac.runs.display.notebook import shown
from jaxsac.runs.display.observer import Progress
from jaxsac.runs.export.export import Exported, FormatName, export
from jaxsac.runs.metrics import learning_curve, metrics
from jaxsac.runs.policies.load import Policy, load_policy
from jaxsac.runs.policies.play import Played, play
from jaxsac.runs.process.compilation_cache import keep_compiled_programs
from jaxsac.runs.settings import labels
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.settings import default_directory, of_keywords
from jaxsac.runs.train import train_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]


class Columns(Mapping[str, np.ndarray]):
    """A tidy table: columns of equal length by name, a row for every seed and step."""

    def __init__(self, rows: list[Row]) -> None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        self._columns = {name: np.array([_cell(row.get(name)) for row in rows]) for name in names}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        rows = len(next(iter(self._columns.values()), ()))
        return f"<{rows} rows of {', '.join(self._columns)}>"

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`.

        Raises:
          ModuleNotFoundError: pandas is not installed.
        """
        try:
            import pandas as pd  # pyright: ignore[reportMissingImports, reportMissingModuleSource]
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "a data frame needs pandas: run `pip install pandas`.", name="pandas"
            ) from error
        return pd.DataFrame(self._columns)


class Returns(NamedTuple):
    """Evaluations of the deterministic policies."""

    steps: np.ndarray
    """Transitions per seed at each evaluation, (N,)."""
    values: np.ndarray
    """Mean return over the episodes, (S, N); NaN where a member has none at that step."""


class Run:
    """A run directory, and what lies in it; as a path, that directory.

    Attributes:
      directory: where it is.
      complete: whether it has reached its last step; a run that was stopped is resumed by the same
        call.
    """

    def __init__(self, directory: Path | str) -> None:
        """Finds a run.

        Raises:
          RunDirectoryError: there is none, or its manifest cannot be read.
        """
        self._run = RunDirectory(Path(directory))
        self._run.config()
        self.directory = self._run.path

    def __fspath__(self) -> str:
        return str(self.directory)

    @property
    def config(self) -> RunConfig:
        """Its settings; the steps, and what changes nothing in learning, as asked for last."""
        return self._run.config()

    @property
    def complete(self) -> bool:
        """Whether all of its seeds have reached the last step, and none in between is missing."""
        seeds = self._seeds()
        finished = all(run.is_finished(run.config()) for run in self._run.groups())
        return finished and len(seeds) == seeds[-1] - seeds[0] + 1

    @property
    def metrics(self) -> Columns:
        """All rows of the metrics, with the seed (and the values of a sweep) of each."""
        return Columns([row for rows in self._members() for row in rows])

    @property
    def returns(self) -> Returns:
        """The evaluations, seed by seed."""
        curves = [
            {row["step"]: row["eval_return"] for row in rows if row["eval_return"] is not None}
            for rows in self._members()
        ]
        steps = sorted({step for curve in curves for step in curve})
        values = [[curve.get(step, np.nan) for step in steps] for curve in curves]
        return Returns(np.array(steps, int), np.array(values, float).reshape(len(curves), -1))

    def policy(
        self,
        seed: int | None = None,
        which: int | Literal["latest", "best"] = "latest",
        point: int | None = None,
    ) -> Policy:
        """`load_policy` of one seed, by default the first."""
        seed = self.config.seed if seed is None else seed
        return load_policy(self.directory, seed, which, point)

    def export(
        self,
        format: FormatName,
        output: Path | str | None = None,
        seed: int | None = None,
        which: int | Literal["latest", "best"] = "latest",
        point: int | None = None,
    ) -> Exported:
        """`runs.export.export.export`: a policy as files that act without jaxsac."""
        return export(self.directory, format, output, seed, which, point)

    def play(
        self,
        seed: int | None = None,
        which: int | Literal["latest", "best"] = "latest",
        point: int | None = None,
        **options: Any,
    ) -> list[Played]:
        """`play`: episodes as videos; options: output, episodes, window and changes."""
        return list(play(self.directory, seed, which, point, **options))

    def plot(self, path: Path | str | None = None) -> Figure:
        """The learning curves.

        Args:
          path: where to write it too; the format is that of its ending.

        Raises:
          ValueError: there is no return yet.
        """
        figure = learning_curve.figure(self._run)
        if figure is None:
            raise ValueError(f"the metrics of {self.directory} hold no return yet.")
        if path is not None:
            figure.savefig(path, dpi=150)
        return shown(figure)

    def __repr__(self) -> str:
        config = self.config
        state = "complete" if self.complete else "not complete"
        seeds = self._seeds()
        seeds = f"seed{'s' * (len(seeds) > 1)} {labels.ranges(seeds)}"
        return f"<{config.env}, {seeds}, {config.steps:,} steps, {state}: {self.directory}>"

    def _seeds(self) -> list[int]:
        return [seed for run in self._run.groups() for seed in run.config().own_seeds]

    def _members(self) -> Iterator[list[Row]]:
        for run in self._run.groups():
            config = run.config()
            for name, own in zip(config.member_names, config.members, strict=True):
                file = metrics.path(run.metrics, name)
                rows = metrics.read(file) if file.exists() else []
                yield [own | row for row in rows]


def train(
    env: str | Callable[..., Any],
    *,
    directory: Path | str | None = None,
    preset: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    wrapper: Any = (),
    actor: Any = None,
    critic: Any = None,
    on_row: Callable[[Row], Any] | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Trains a group of seeds, or resumes a run that was stopped: `jaxsac train` from Python.

    Example:
      run = jaxsac.train("Pendulum-v1", seeds=4, steps=20_000, learning_starts=1_000)
      action = run.policy(seed=0, which="best")(observation)

    Args:
      env: id of an environment; or a function or class that makes one, whose module and name are
        written down: a run is resumed with the same.
      directory: run directory; runs/<env>-<hash of the settings> by default, so that the same call
        resumes and another setting is another run. To be given with lambdas and what functions
        define, whose names do not tell them apart.
      preset: settings of another library or paper, which those given here override.
      env_kwargs: arguments of the environment's constructor; what JSON can hold.
      wrapper: function or class that is called with an environment and returns one; or
        `module:function`, or a sequence of them, the innermost first.
      actor: network of your own: a Linen module, its class, or `module:Class`.
      critic: likewise.
      on_row: called with every row of the metrics of every seed; the run stops, with everything
        saved, when it returns True.
      progress: whether to show how it goes.
      **settings: the options of `jaxsac train --help`, by name.

    Returns:
      The run; `complete` says whether it reached its last step.

    Raises:
      TypeError: a setting that there is not, or an `on_row` that cannot be called.
      ValueError: a value that cannot be trained with, or an environment that cannot.
      RunDirectoryError: the directory is another run's, another process trains there, or it went.
      ModuleNotFoundError: a package is not installed; names the command that installs it.
    """
    packages.check("training", "cli", "psutil", "safetensors")
    if on_row is not None and not callable(on_row):
        raise TypeError(f"on_row must be a function of a row of the metrics, got {on_row!r}.")
    config = of_keywords(
        env, preset=preset, env_kwargs=env_kwargs or {}, wrapper=wrapper, actor=actor,
        critic=critic, **settings,
    )  # fmt: skip
    run = RunDirectory(default_directory(config) if directory is None else Path(directory))
    keep_compiled_programs()

    @contextlib.contextmanager
    def observe(part: RunConfig) -> Iterator[_Caller]:
        with Display(part) if progress else contextlib.nullcontext() as display:
            yield _Caller(display, on_row)

    train_group(config, run.path, observe)
    _draw(run)
    return Run(run.path)


def _draw(run: RunDirectory) -> None:
    try:
        packages.check("drawing the learning curve", "report", "matplotlib")
    except ModuleNotFoundError as error:
        warnings.warn(str(error), stacklevel=3)
    else:
        learning_curve.draw(run, functools.partial(warnings.warn, stacklevel=4))


class _Caller:
    """An observer that passes on what it is told, and calls `on_row`."""

    def __init__(self, display: Display | None, on_row: Callable[[Row], Any] | None) -> None:
        self._display, self._on_row = display, on_row

    def message(self, text: str) -> None:
        if self._display is not None:
            self._display.message(text)

    def progress(self, progress: Progress) -> bool:
        if self._display is not None:
            self._display.progress(progress)
        stops = [self._on_row(dict(row)) for row in progress.rows] if self._on_row else []
        return any(_is_true(stop) for stop in stops)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._display, name) if self._display is not None else _nothing


def _is_true(value: Any) -> bool:
    """Whether it is True, or an array of one; what a callback returns by the way is not."""
    is_bool = isinstance(value, bool) or getattr(value, "dtype", None) == np.dtype(bool)
    return is_bool and np.size(value) == 1 and bool(value)


def _nothing(*args: Any) -> None:
    """What a display would have shown."""


def _cell(value: Any) -> Any:
    return np.nan if value is None else value
