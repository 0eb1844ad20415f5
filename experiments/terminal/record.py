"""What a terminal of 80 columns shows of three runs: `python record.py`; it goes to docs/terminal.

Needs pyte, a terminal in memory: `pip install pyte`.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import NamedTuple

import pyte  # pyright: ignore[reportMissingImports]

RECORDS = Path(__file__).parents[2] / "docs" / "terminal"
COLUMNS, LINES = 80, 24
CTRL_C = b"\x03"
SMALL = (
    "--hidden-sizes 32 32 --learning-starts 200 --batch-size 32 --replay-capacity 5000 "
    "--eval-every 500"
)


class Moment(NamedTuple):
    """When the screen is written down, and what is typed then."""

    name: str
    shown: str
    """A pattern of what the screen shows by then."""
    typed: bytes = b""


COMPILING = Moment("The first steps are compiled", "compiling 3 s")
TRAINING = Moment("Training", "mean of")
SESSIONS = {
    "one_seed": (
        f"jaxsac train --env Pendulum-v1 --steps 5000 {SMALL}",
        [
            COMPILING,
            Moment("Random actions before the first update", "warm-up *$"),
            Moment("Evaluation", "500 of"),
            Moment("Ctrl-C is pressed in the next one", "1,000 of", CTRL_C),
            Moment("It has been heard", "Ctrl-C: "),
        ],
    ),
    "four_seeds": (
        f"jaxsac train --env jaxsac:Pendulum-v1 --seeds 4 --steps 10000 {SMALL}",
        [COMPILING, TRAINING],
    ),
    "twenty_seeds": (
        f"jaxsac train --env Pendulum-v1 --seeds 20 --steps 2000 {SMALL}",
        [COMPILING, Moment("Training", "best: seed"), Moment("Evaluating", "evaluating")],
    ),
}


def record(command: str, moments: list[Moment]) -> str:
    """Runs a command at a terminal of its own; returns the screen at each moment and at the end."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    texts, waiting = [f"$ {command}"], list(moments)
    with tempfile.TemporaryDirectory() as folder:
        process, terminal = _start(command, Path(folder))
        while data := _read(terminal):
            stream.feed(data)
            shown = "\n".join(screen.display)
            if waiting and re.search(waiting[0].shown, shown, re.MULTILINE):
                moment = waiting.pop(0)
                texts.append(_picture(moment.name, screen))
                os.write(terminal, moment.typed)
        status = process.wait()
        os.close(terminal)
    if waiting:
        raise RuntimeError(f"{command!r} has never shown {waiting[0].shown!r}: {texts[-1]}")
    return "\n\n".join([*texts, _picture(f"The end, with exit status {status}", screen)]) + "\n"


def _start(command: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The process, in an empty folder and without compiled programs, and its terminal."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = os.environ | {
        "TERM": "xterm-256color",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
    }
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command.split()],
        stdin=end, stdout=end, stderr=end, cwd=folder, env=environment,
    )  # fmt: skip
    os.close(end)
    return process, terminal


def _read(terminal: int) -> bytes:
    """The next bytes; none at the end."""
    select.select([terminal], [], [])
    try:
        return os.read(terminal, 2**16)
    except OSError:  # how Linux says that the other end is closed
        return b""


def _picture(name: str, screen: pyte.Screen) -> str:
    lines = [line.rstrip() for line in screen.display]
    text = "\n".join(lines).strip("\n")
    return f"[{name}]\n\n{text}"


def main() -> None:
    """Records all sessions, or those that are named."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or SESSIONS:
        text = record(*SESSIONS[name])
        (RECORDS / f"{name}.txt").write_text(text)
        print(text)


if __name__ == "__main__":
    main()
