"""Damages the newest checkpoint of a run in many ways, and sees what the run makes of it.

Whatever is done to it, the run has to name the checkpoint and resume from the one before.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.train import train
from jaxsac.sac.config import Config

CONFIG = RunConfig(
    "Pendulum-v1", seeds=2, steps=400, learning_starts=50, batch_size=32, replay_capacity=1000,
    eval_every=0, log_every=100, checkpoint_every=100, agent=Config(hidden_sizes=(8,)),
)  # fmt: skip


class _StopError(Exception):
    """Thrown as soon as a run has said from where it resumes."""


class _Observer:
    """Keeps what a run says, and ends it when it starts to step."""

    def __init__(self, stop: bool) -> None:
        self.said: list[str] = []
        self._stop = stop

    def message(self, text: str) -> None:
        self.said.append(text)

    def phase(self, phase: object) -> None:
        pass

    def started(self, step: int, seconds: float) -> None:
        if self._stop:
            raise _StopError

    def stepped(self, step: int) -> None:
        pass

    def progress(self, progress: object) -> None:
        pass


def flip_a_bit(folder: Path, older: Path, chance: random.Random) -> None:
    file, content = _read_any(folder, chance)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def overwrite_a_block(folder: Path, older: Path, chance: random.Random) -> None:
    file, content = _read_any(folder, chance)
    start = chance.randrange(len(content))
    block = content[start : start + chance.randint(1, 4096)]
    content[start : start + len(block)] = bytes(255 - byte for byte in block)
    file.write_bytes(content)


def truncate(folder: Path, older: Path, chance: random.Random) -> None:
    file, content = _read_any(folder, chance)
    file.write_bytes(content[: chance.randrange(len(content))])


def lengthen(folder: Path, older: Path, chance: random.Random) -> None:
    file, content = _read_any(folder, chance)
    file.write_bytes(content + chance.randbytes(chance.randint(1, 100)).replace(b" ", b"x") + b"x")


def delete(folder: Path, older: Path, chance: random.Random) -> None:
    _any(folder, chance).unlink()


def put_an_older_file(folder: Path, older: Path, chance: random.Random) -> None:
    others = [f for f in folder.iterdir() if f.read_bytes() != (older / f.name).read_bytes()]
    file = chance.choice(sorted(others))
    shutil.copy(older / file.name, file)


def swap_two_files(folder: Path, older: Path, chance: random.Random) -> None:
    one, other = chance.sample(sorted(folder.iterdir()), 2)
    content = one.read_bytes()
    other.replace(one)
    other.write_bytes(content)


def another_schema(folder: Path, older: Path, chance: random.Random) -> None:
    _edit(folder, lambda manifest: manifest.update(schema=chance.choice([0, 1, 99, "2", None])))


def drop_a_fact(folder: Path, older: Path, chance: random.Random) -> None:
    _edit(folder, lambda manifest: manifest.pop(chance.choice(sorted(manifest))))


def put_a_link(folder: Path, older: Path, chance: random.Random) -> None:
    file = _any(folder, chance)
    file.unlink()
    file.symlink_to(chance.choice(["/dev/zero", "/dev/full", older / file.name, "nowhere"]))


def put_a_folder(folder: Path, older: Path, chance: random.Random) -> None:
    file = _any(folder, chance)
    file.unlink()
    file.mkdir()


def put_the_older_checkpoint(folder: Path, older: Path, chance: random.Random) -> None:
    shutil.rmtree(folder)
    shutil.copytree(older, folder)


DAMAGES: tuple[Callable[[Path, Path, random.Random], None], ...] = (
    flip_a_bit, overwrite_a_block, truncate, lengthen, delete, put_an_older_file, swap_two_files,
    another_schema, drop_a_fact, put_a_link, put_a_folder, put_the_older_checkpoint,
)  # fmt: skip


def run(cases: int, seed: int = 0) -> dict[str, Counter[str]]:
    """Damages a checkpoint `cases` times, each time another way.

    Returns:
      By kind of damage: how often the run "refused" the checkpoint, named it and resumed from the
      one before, and how often anything else happened, "accepted".
    """
    chance, seen = random.Random(seed), {damage.__name__: Counter() for damage in DAMAGES}
    with tempfile.TemporaryDirectory() as temporary:
        whole, damaged = Path(temporary) / "whole", Path(temporary) / "damaged"
        train(CONFIG, whole, _Observer(stop=False))
        manifest = whole / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"finished": true', '"finished": false'))
        before, last = checkpoint.steps(whole / "checkpoints")
        for case in range(cases):
            damage = DAMAGES[case % len(DAMAGES)]
            shutil.copytree(whole, damaged)
            folder, older = (
                checkpoint.folder(damaged / "checkpoints", step) for step in (last, before)
            )
            damage(folder, older, chance)
            observer = _Observer(stop=True)
            with contextlib.suppress(_StopError):
                train(CONFIG, damaged, observer)
            named = any(str(folder) in text and "before it" in text for text in observer.said)
            resumed = any(f"resumes at step {before}:" in text for text in observer.said)
            seen[damage.__name__]["refused" if named and resumed else "accepted"] += 1
            _remove(damaged)
    return seen


def _any(folder: Path, chance: random.Random) -> Path:
    return chance.choice(sorted(folder.iterdir()))


def _read_any(folder: Path, chance: random.Random) -> tuple[Path, bytearray]:
    file = _any(folder, chance)
    return file, bytearray(file.read_bytes())


def _edit(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def _remove(directory: Path) -> None:
    shutil.rmtree(directory)
    assert not os.path.lexists(directory)
