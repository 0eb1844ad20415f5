"""Packages that only some commands need: imported then, or named with what installs them."""

from __future__ import annotations

import importlib
from types import ModuleType


def load(needed_by: str, extra: str, *modules: str) -> list[ModuleType]:
    """Imports modules of packages that may not be installed.

    Args:
      needed_by: what needs them, for a person.
      extra: of jaxsac, that installs them.
      modules: dotted names.

    Returns:
      The modules.

    Raises:
      ModuleNotFoundError: names all that are missing, and the command that installs them.
    """
    found, missing = [], []
    for module in modules:
        try:
            found.append(importlib.import_module(module))
        except ModuleNotFoundError as error:
            missing.append(error.name or module)
    if missing:
        raise ModuleNotFoundError(
            f"{needed_by} needs {', '.join(missing)}: run `pip install 'jaxsac[{extra}]'`."
        )
    return found
