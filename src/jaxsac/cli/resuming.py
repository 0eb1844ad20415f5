"""The command line that goes on where one was stopped, to be pasted as it is."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from pathlib import Path

from rich.console import Console


def say_what_resumes(arguments: list[str], directory: Path | None) -> None:
    """Prints it.

    Args:
      arguments: of the command that was stopped.
      directory: that it wrote to, where they do not name it.
    """
    given = [] if directory is None else ["--run-dir", str(directory)]
    words = [*program(), *arguments, *given]
    # Lines end before options alone, never within quotes, where a backslash continues nothing.
    text = "".join(
        (" " if word.startswith("--") else "\0") + shlex.quote(word).replace(" ", "\0")
        for word in words
    )
    lines = textwrap.wrap(
        text.lstrip("\0"),
        width=Console(stderr=True).width - len(" \\"),
        initial_indent="  ", subsequent_indent="    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    resumes = " \\\n".join(lines).replace("\0", " ")
    print(f"to resume:\n{resumes}", file=sys.stderr)


def program() -> list[str]:
    """How this program was called: by its name where that is found, by its path otherwise."""
    path = Path(sys.argv[0])
    if path.stem != "jaxsac":
        return [sys.executable, "-m", "jaxsac"]
    return ["jaxsac"] if shutil.which("jaxsac") == str(path) else [str(path)]
