"""Functions and classes of a user's own, by `module:name`: as a command line and a manifest can."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def find(name: str, what: str) -> Callable[..., Any]:
    """What a name stands for.

    Args:
      name: `module:function`, or `module:Class`.
      what: the setting that it is a value of, for a person.

    Raises:
      ValueError: no such form, or the module has nothing of this name that can be called.
      ModuleNotFoundError: there is no such module.
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise ValueError(f"{what} must be module:name, such as my_module:make, got {name!r}.")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ModuleNotFoundError(
            f"{what} {name!r}: there is no module {module_name!r}, neither in the current folder "
            "nor installed.",
            name=error.name,
        ) from error
    for part in path.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        remedy = ". " + ONLY_HERE if is_only_here(name) else "."
        raise ValueError(
            f"{what} {name!r}: the module {module_name} has no function or class {path}{remedy}"
        )
    return found


ONLY_HERE = (
    "What a script, a notebook or a function defines is found by that program alone: to load, "
    "evaluate or export the run elsewhere, define it at the top level of a module and import it."
)


def is_only_here(name: str) -> bool:
    """Whether no other program finds it: it is of a script, a notebook, `exec` or a function."""
    return name.startswith(("__main__:", "None:")) or "<" in name


def name_of(function: Callable[..., Any], what: str) -> str:
    """The name by which a function or class is written down; not all of them can be found by it.

    Raises:
      ValueError: it has none, such as a `functools.partial`.
    """
    if not hasattr(function, "__qualname__"):
        raise ValueError(
            f"{what} must be a function or a class, which has a name to be written down, got "
            f"{function!r}: wrap it in a function."
        )
    return f"{function.__module__}:{function.__qualname__}"
