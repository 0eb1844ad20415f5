"""Whether a run is asked for that is there, though its paths may be written in another way."""

from __future__ import annotations

import os
from typing import Any


def is_same(name: str, there: Any, wanted: Any, begun: bool) -> bool:
    """Whether a setting of a run means what it meant: what a path leads to may have moved.

    What prior data is, its checksum says (`RunDirectory.create`). A run that has begun needs what
    it began with no more: another source is refused where that can be told, and both are there.

    Args:
      name: of the setting.
      there: its value in the manifest.
      wanted: its value now.
      begun: whether the run has a checkpoint.
    """
    if there is None or wanted is None or name not in ("prior_data", "init_from"):
        return there == wanted
    if name == "prior_data" or (begun and not (os.path.isdir(there) and os.path.isdir(wanted))):
        return True
    return os.path.realpath(there) == os.path.realpath(wanted)
