"""The entry point `jaxsac`: says what is missing before anything heavy is imported."""

from __future__ import annotations

import os
import sys

from jaxsac import packages

NEEDED = ("gymnasium", "matplotlib", "psutil", "rich", "safetensors", "tyro")


def main() -> int:
    """Runs the command line of this process.

    Returns:
      The exit status: 0 done, 1 refused with a message, 2 unusable options, 130 stopped before
      the end.
    """
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


if __name__ == "__main__":
    sys.exit(main())
