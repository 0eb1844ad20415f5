"""The entry point `jaxsac`: says what is missing before anything heavy is imported."""

from __future__ import annotations

import io
import os
import sys

from jaxsac import packages

NEEDED = ("gymnasium", "matplotlib", "psutil", "rich", "safetensors", "tyro")


def main() -> int:
    """Runs the command line of this process.

    Returns:
      The exit status: 0 done, 1 refused with a message, 2 unusable options, 130 stopped before
      the end, 141 nobody reads the output.
    """
    _take_any_output()
    try:
        packages.check("the command line", "cli", *NEEDED)
    except ModuleNotFoundError as error:
        print(f"jaxsac: {error}", file=sys.stderr)
        return 1
    # As for `python -m`: modules that register environments are found in the current folder.
    sys.path.append("")
    from jaxsac.cli import commands

    try:
        return commands.run(sys.argv[1:])
    except KeyboardInterrupt:
        # An exit as usual would wait for what the compiler is at.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(commands.STOPPED)


def _take_any_output() -> None:
    """Lets text that an output's encoding lacks, or an output that is closed, end nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the number of a closed one would go to a file of the run
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
