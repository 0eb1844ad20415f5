"""Trains plain SAC with the jaxsac on PYTHONPATH, and writes digests of all that it learned.

Knows the layouts of every revision since 0a08c19, so that `compare.py` can hold two against each
other. What is digested is a bag of arrays: names may change between revisions, bits may not.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

import jaxsac

UPDATES, STEPS = 200, 600
NOT_LEARNED = ("wall_time",)


def digest(array):
    array = np.asarray(array)
    return f"{array.dtype}{list(array.shape)} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"


def metrics_of(metrics):
    """Digests by name; a revision may leave out what another one has as None."""
    values = metrics._asdict() if hasattr(metrics, "_asdict") else dict(metrics)
    return {name: digest(x) for name, x in values.items() if x is not None}


def updates(config):
    """200 updates on batches of HalfCheetah's shapes."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return jnp.asarray(rng.normal(size=(256, *shape)), jnp.float32)

    state = jaxsac.init(jax.random.key(0), jnp.zeros(17), jnp.zeros(6), config)
    keys = jax.random.split(jax.random.key(1), UPDATES)
    metrics = None
    for key in keys:
        batch = jaxsac.Transition(
            draw(17), jnp.tanh(draw(6)), draw(), jnp.asarray(draw() > -1, jnp.float32), draw(17)
        )
        state, metrics = jaxsac.update(state, batch, key)
    return {"agent": sorted(map(digest, jax.tree.leaves(state))), "metrics": metrics_of(metrics)}


def command_line():
    for name in ("jaxsac.cli.main", "jaxsac.tools.cli"):
        try:
            return importlib.import_module(name).main
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError("no command line in this revision")


def training(directory, env, seeds, scaled):
    """600 steps of the trainer, all of what it saved."""
    sys.argv = [
        "jaxsac", "train", "--env", env, "--seeds", str(seeds), "--steps", str(STEPS),
        "--run-dir", str(directory), "--learning-starts", "100", "--batch-size", "32",
        "--hidden-sizes", "32", "32", "--replay-capacity", "500", "--eval-every", "200",
        "--eval-episodes", "2", "--log-every", "100",
        *(["--normalize-observations"] if scaled else []),
    ]  # fmt: skip
    assert command_line()() == 0
    checkpoint = directory / "checkpoints" / str(STEPS)
    parts = {file.stem: load_file(file) for file in sorted(checkpoint.glob("*.safetensors"))}
    kept = {
        name: sorted(map(digest, tensors.values()))
        for name, tensors in parts.items()
        if name == "agent" or name == "normalizer" or name.startswith("replay-")
    }
    for file in sorted((directory / "metrics").glob("*.csv")):
        with file.open() as lines:
            rows = list(csv.DictReader(lines))
        kept[file.stem] = {
            name: [row[name] for row in rows]
            for name in rows[0]
            if name not in NOT_LEARNED and any(row[name] for row in rows)
        }
    return kept


def main():
    folder = Path(sys.argv[1])
    found = {
        "updates": updates(jaxsac.Config()),
        "updates with a value network": updates(jaxsac.Config(value_network=True)),
    }
    for env in ("jaxsac:Pendulum-v1", "Pendulum-v1"):
        for seeds in (1, 3):
            for scaled in (False, True):
                name = f"{env}, {seeds} seed(s)" + (", observations scaled" if scaled else "")
                run = folder / str(len(found))
                found[name] = training(run, env, seeds, scaled)
    (folder / "digests.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
