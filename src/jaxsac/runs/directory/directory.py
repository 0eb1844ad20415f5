"""A run's directory: its manifest, and what may be done with one that exists."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jaxsac.runs import upgrade
from jaxsac.runs.directory import lock, manifest, releases
from jaxsac.runs.directory.lock import RunDirectoryError as RunDirectoryError
from jaxsac.runs.directory.same import is_same
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.settings import labels
from jaxsac.runs.settings.config import WITHOUT_EFFECT, RunConfig, unknown_settings
from jaxsac.runs.settings.values import whole

AS_ITS_SOURCE = frozenset((
    "env", "env_kwargs", "wrapper", "seeds", "frame_stack", "normalize_observations",
    "reward_scale", "reward_scale_bound", "actor", "actor_kwargs", "critic", "critic_kwargs",
    "hidden_sizes", "actor_hidden_sizes", "critic_hidden_sizes", "num_critics", "body",
    "actor_body", "critic_body", "normalization", "actor_normalization", "critic_normalization",
    "normalize_inputs", "hidden_biases", "head", "num_quantiles", "num_atoms", "forward",
    "value_network", "encoder", "optimizer", "clip_gradients", "lr_schedule",
))  # fmt: skip
"""Settings in which a run is like the one that it begins with (`--init-from`)."""
MORE_SEEDS = "more-seeds"
"""Folder of the seeds that were added to a run."""


class RunDirectory:
    """`manifest.json`, `metrics/`, `checkpoints/`, `best/`, `failures/` and `report/` of one run.

    `more-seeds/` holds seeds that were added to it later, each group of them as a run like this.
    """

    def __init__(self, path: Path) -> None:
        # Absolute: an environment, or a notebook, may change the working folder.
        self.path = path = path.expanduser().absolute()
        self.manifest = path / manifest.NAME
        self.metrics = path / "metrics"
        self.checkpoints = path / "checkpoints"
        self.best = path / "best"
        self.failures = path / "failures"
        self.report = path / "report"

    def locked(self) -> AbstractContextManager[None]:
        """`lock.locked` of this directory: comes before anything else is read or written here."""
        return lock.locked(self.path)

    @property
    def root(self) -> Path:
        """Of the run that these seeds belong to; not `path` where they were added to it."""
        return self.path.parents[1] if self.path.parent.name == MORE_SEEDS else self.path

    def groups(self) -> list[RunDirectory]:
        """This run and those of the seeds that were added to it, in the order of the seeds."""
        found = self.path.glob(f"{MORE_SEEDS}/*/manifest.json")
        found = sorted(found, key=lambda file: (len(file.parent.name), file))
        return [self, *(RunDirectory(file.parent) for file in found)]

    def of_seed(self, seed: int) -> RunDirectory:
        """The one of `groups` that trains a seed.

        Raises:
          ValueError: there is none.
          RunDirectoryError: as `config`.
        """
        seed, there = whole("seed", seed), []
        for run in self.groups():
            if seed in (own := run.config().own_seeds):
                return run
            there += own
        raise ValueError(f"{self.path} has no seed {seed}: its seeds are {labels.ranges(there)}.")

    def parts(self, config: RunConfig) -> list[tuple[RunConfig, Path]]:
        """The runs to train, each in its directory, for the seeds that are asked for here.

        One, unless there is a run of fewer seeds: then that one, and those that are added to it,
        also where a group that had been added has been lost.
        """
        begun, last = self.config() if self.manifest.exists() else None, config.seed + config.seeds
        if begun is None or begun.seed != config.seed or last <= begun.seed + begun.seeds:
            return [(config, self.path)]
        parts, after = [], config.seed
        for run in self.groups():
            there = run.config()
            parts += self._added(config, after, min(there.seed, last))
            parts.append(
                (dataclasses.replace(config, seed=there.seed, seeds=there.seeds), run.path)
            )
            after = there.seed + there.seeds
        return parts + self._added(config, after, last)

    def _added(self, config: RunConfig, first: int, end: int) -> list[tuple[RunConfig, Path]]:
        """A group of the seeds from `first` on, which none has; or nothing."""
        if first >= end:
            return []
        group = dataclasses.replace(config, seed=first, seeds=end - first)
        return [(group, self.path / MORE_SEEDS / f"{first:04d}-{end - 1:04d}")]

    def create(
        self,
        config: RunConfig,
        spaces: Spaces | None = None,
        prior: dict[str, Any] | None = None,
    ) -> bool:
        """Makes the directory for a new run, or finds that this run lies there already.

        A run that lies there may have been begun with fewer steps.

        Args:
          config: the run.
          spaces: of its environment.
          prior: facts of its prior data.

        Returns:
          Whether the run is new.

        Raises:
          RunDirectoryError: it holds something else, or was begun with other prior data. The
            message lists what differs.
        """
        if self.root != self.path:  # one population with those that are there
            RunDirectory(self.root)._check_prior(prior)
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.manifest.exists():
            if any(not _is_ours(path.name) for path in self.path.iterdir()):
                raise RunDirectoryError(
                    f"{self.path} exists, is not empty and is not a run directory."
                )
            content = {
                "format": upgrade.FORMAT,
                "config": config.to_json(),
                "spaces": None if spaces is None else spaces.to_json(),
                "prior_data": prior,
                "versions": releases.versions(),
                "finished": False,
            }
            with contextlib.suppress(FileExistsError):  # another process was first
                manifest.write(self.manifest, content, new=True)
                return True
        self._check_same(config)
        self._check_prior(prior)
        return False

    def extend(self, config: RunConfig, spaces: Spaces | None = None) -> None:
        """Writes down what is asked for now: more steps, and other values of `WITHOUT_EFFECT`.

        The manifest of an older version becomes one of this version; settings that this version
        does not know stay in it.
        """
        content, wanted = self._read(), config.to_json()
        before = self.config()
        kept = upgrade.settings(content["config"], manifest.written_format(content))
        unknown = {name: kept[name] for name in self.unknown_settings()}
        more = config.steps > before.steps
        asked = {name: wanted[name] for name in WITHOUT_EFFECT + ("steps",) * more}
        content["config"] = before.to_json() | asked | unknown
        content["format"] = max(manifest.written_format(content), upgrade.FORMAT)
        if spaces is not None:
            content["spaces"] = spaces.to_json()
        content["finished"] = content.get("finished") is True and not more
        manifest.write(self.manifest, content)

    def _check_same(self, config: RunConfig) -> None:
        before, different = self.config(), self._differences(config)
        if config.steps > before.steps:
            different.pop("steps", None)
        if not different:
            return
        if set(different) == {"steps"}:
            raise RunDirectoryError(
                f"{self.path} holds this run with {before.steps:,} steps, which is more than the "
                f"{config.steps:,} asked for: it can be given more, not fewer."
            )
        remedy = "Give another run directory, or move that one away."
        # Agents of a sweep begin at the same points alone.
        if not AS_ITS_SOURCE & set(different) and not before.swept:
            remedy += (
                " A new run that begins with the agent of that one, under these settings: "
                f"--init-from {shlex.quote(str(self.path))}."
            )
        said = "; ".join(f"{name}: {values}" for name, values in different.items())
        raise RunDirectoryError(
            f"{self.path} holds a run with another configuration ({said}). {remedy}"
        )

    def _check_prior(self, prior: dict[str, Any] | None) -> None:
        there = self._read().get("prior_data")
        was = there if isinstance(there, dict) else {}
        if prior is None or was.get("sha256") == prior["sha256"]:  # wherever it lies by now
            return
        raise RunDirectoryError(
            f"the prior data {prior['source']} has changed since {self.path} was begun with it: it "
            f"had {was.get('rows')} rows with the SHA-256 {was.get('sha256')}, and has "
            f"{prior['rows']} with {prior['sha256']}. Bring back what it was, or give another run "
            "directory."
        )

    def _differences(self, config: RunConfig) -> dict[str, str]:
        """The settings that decide what is learned and are others here, by name, in words."""
        existing, wanted = self.config().to_json(), config.to_json()
        begun = any(self.checkpoints.glob("[0-9]*"))
        return {
            name: f"{existing[name]!r} there, {value!r} asked for"
            for name, value in wanted.items()
            if name not in WITHOUT_EFFECT and not is_same(name, existing[name], value, begun)
        }

    def finish(self) -> None:
        """Marks the run as complete."""
        manifest.write(self.manifest, {**self._read(), "finished": True})

    def is_finished(self, config: RunConfig) -> bool:
        """Whether exactly this run is complete here."""
        return self.holds(config) and self._read().get("finished") is True

    def holds(self, config: RunConfig) -> bool:
        """Whether exactly this run is here, as far as it has come."""
        return self.manifest.exists() and not self._differences(config)

    def config(self) -> RunConfig:
        """The configuration of the run that lies here.

        Raises:
          RunDirectoryError: there is no run here, or its manifest cannot be read.
        """
        content = self._read()
        with self._refusals():
            return RunConfig.from_json(content["config"], manifest.written_format(content))

    def package_versions(self) -> dict[str, str]:
        """The versions of Python and packages that began the run; as far as they are known.

        Raises:
          RunDirectoryError: as `config`.
        """
        found = self._read().get("versions")
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def unknown_settings(self) -> list[str]:
        """Settings in the manifest that this version does not have, and leaves out of account.

        Raises:
          RunDirectoryError: as `config`.
        """
        content = self._read()
        with self._refusals():
            return unknown_settings(content["config"], manifest.written_format(content))

    def describe_unknown_settings(self) -> str | None:
        """A sentence that names them; None where there are none, or no run.

        Raises:
          RunDirectoryError: as `config`.
        """
        unknown = self.unknown_settings() if self.manifest.exists() else []
        if not unknown:
            return None
        return (
            f"{self.manifest} has settings that this version of jaxsac does not know and leaves "
            f"out of account: {', '.join(unknown)}."
        )

    def spaces(self) -> Spaces | None:
        """What the run's policies see and do; None where its version did not write that down.

        Raises:
          RunDirectoryError: as `config`.
        """
        found = self._read().get("spaces")
        with self._refusals():
            return None if found is None else Spaces.from_json(found)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise RunDirectoryError(f"{self.manifest} cannot be read: {error}.") from error

    def _read(self) -> dict[str, Any]:
        try:
            return manifest.read(self.manifest)
        except (OSError, ValueError, RecursionError) as error:
            why = f"is not a run directory: no readable manifest.json ({error})."
            if isinstance(error, FileNotFoundError):
                why = manifest.beside(self.path) or why
            raise RunDirectoryError(f"{self.path} {why}") from error


def _is_ours(name: str) -> bool:
    """Whether a file may lie in a directory before its manifest does."""
    return name == lock.NAME or (name.startswith(".manifest.json.") and name.endswith(".tmp"))
