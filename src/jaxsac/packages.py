"""Packages that only some commands need: imported then, or named with what installs them."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
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
    _refuse(needed_by, extra, missing)
    return found


def check(needed_by: str, extra: str, *packages: str) -> None:
    """Refuses to go on without packages, and imports none of them.

    Args:
      needed_by: what needs them, for a person.
      extra: of jaxsac, that installs them.
      packages: names of the first part alone.

    Raises:
      ModuleNotFoundError: as `load`.
    """
    _refuse(needed_by, extra, [name for name in packages if find_spec(name) is None])


def _refuse(needed_by: str, extra: str, missing: list[str]) -> None:
    if missing:
        raise ModuleNotFoundError(
            f"{needed_by} needs {', '.join(missing)}: run `pip install 'jaxsac[{extra}]'`."
        )
