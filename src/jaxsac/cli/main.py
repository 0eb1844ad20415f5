"""The entry point `jaxsac`: says what is missing before anything heavy is imported."""

from __future__ import annotations

import _thread
import io
import os
import sys
import threading
from typing import Any

from jaxsac import packages

NEEDED = ("gymnasium", "matplotlib", "psutil", "rich", "safetensors", "tyro")

STOPPED = 130
"""Exit status of what was stopped before its end, as a shell's after Ctrl-C."""


def main() -> int:
    """Runs the command line of this process.

    Returns:
      The exit status: 0 done, 1 refused with a message, 2 unusable options, 130 stopped before
      the end, 141 nobody reads the output.
    """
    try:
        _take_any_output()
        _hear_every_interrupt()
        return _run()
    except KeyboardInterrupt:
        # An exit as usual would wait for what the compiler is at.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(STOPPED)


def _run() -> int:
    try:
        packages.check("the command line", "cli", *NEEDED)
    except ModuleNotFoundError as error:
        print(f"jaxsac: {error}", file=sys.stderr)
        return 1
    # As for `python -m`: modules that register environments are found in the current folder.
    sys.path.append("")
    from jaxsac.cli import commands

    return commands.run(sys.argv[1:])


def _hear_every_interrupt() -> None:
    """Lets no Ctrl-C be lost that comes where Python drops exceptions, as while it collects.

    JAX has a callback there.
    """
    usual = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            # Again, and not before this is over: what is raised here is dropped as well.
            threading.Timer(0.1, _thread.interrupt_main).start()
        else:
            usual(unraisable)

    sys.unraisablehook = hook


def _take_any_output() -> None:
    """Lets text that an output's encoding lacks, or an output that is closed, end nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the number of a closed one would go to a file of the run
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
