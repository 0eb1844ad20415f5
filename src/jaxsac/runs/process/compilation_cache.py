"""Where compiled programs are kept."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import jax


def keep_compiled_programs() -> None:
    """Keeps compiled programs in the user's cache, so that only a first run waits for them.

    A folder named by JAX_COMPILATION_CACHE_DIR, or set before, is respected. For a user without a
    home directory, as in a container, nothing is kept.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    with contextlib.suppress(RuntimeError):  # of `Path.home`
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(cache) / "jaxsac"))
