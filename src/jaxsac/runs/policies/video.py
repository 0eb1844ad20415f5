"""Moving pictures, written frame by frame."""

from __future__ import annotations

import ctypes.util
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxsac import packages

ENDINGS = (".mp4", ".gif")
BACKENDS = {"egl": "EGL", "osmesa": "OSMesa"}
"""Of MuJoCo, that draw without a screen, and their libraries."""


def check_ending(path: Path) -> None:
    """Refuses what cannot be written here.

    Raises:
      ValueError: an ending other than .mp4 and .gif.
      ModuleNotFoundError: it needs a package that is not installed.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path} must end in {' or '.join(ENDINGS)}.")
    modules = ["imageio"] if path.suffix == ".gif" else ["imageio", "imageio_ffmpeg"]
    packages.load(f"writing {path.suffix}", "video", *modules)


class Video:
    """A file that frames are added to; it is removed where something goes wrong meanwhile."""

    def __init__(self, path: Path, fps: float) -> None:
        """Opens it.

        Args:
          path: ends in .mp4 or .gif.
          fps: frames per second.

        Raises:
          OSError: it cannot be written.
        """
        import imageio.v2

        path.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"duration": 1000 / fps, "loop": 0}  # for ever
        if path.suffix == ".mp4":
            # Players want even numbers of pixels, and no multiples of 16.
            options = {"fps": fps, "macro_block_size": 2}
        self._path = path
        self._writer = imageio.v2.get_writer(path, mode="I", **options)

    def add(self, frame: np.ndarray) -> None:
        """Adds a picture (height, width, 3) of bytes."""
        with warnings.catch_warnings():
            # JAX warns of each fork, and this one is followed by another program at once.
            warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
            self._writer.append_data(frame)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._writer.close()
        if kind is not None:
            self._path.unlink(missing_ok=True)


def draw_without_a_screen() -> None:
    """Has MuJoCo draw through a library that needs no screen, where there is none.

    `MUJOCO_GL` counts where it is set. Process-wide, so it is called by commands and never on
    import.
    """
    has_screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if has_screen or os.environ.get("MUJOCO_GL") or not sys.platform.startswith("linux"):
        return
    for backend, library in BACKENDS.items():
        if ctypes.util.find_library(library) is not None:
            os.environ["MUJOCO_GL"] = backend
            return
