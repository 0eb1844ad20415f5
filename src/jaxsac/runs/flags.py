"""Flags of JAX, set for the whole process, under which a run is of no use."""

from __future__ import annotations

import jax

UNUSABLE = {
    "jax_disable_jit": (
        True,
        "not compiled, a step of a run takes seconds. Unset it; to look inside of an update, call "
        "jaxsac.update in a loop of your own",
    ),
    "jax_numpy_rank_promotion": ("raise", "runs add vectors to matrices. Unset it"),
    "jax_numpy_dtype_promotion": ("strict", "runs add whole numbers to others. Unset it"),
    "jax_transfer_guard_host_to_device": ("disallow", "runs move data. Unset it"),
    "jax_transfer_guard_device_to_host": ("disallow", "runs move data. Unset it"),
}
"""Values that are refused, and why."""


def check() -> None:
    """Refuses a run under flags that it cannot do with.

    Raises:
      ValueError: names the flag.
    """
    for name, (value, why) in UNUSABLE.items():
        found = getattr(jax.config, name)
        if found == value or (isinstance(found, str) and found.startswith(f"{value}_")):
            set_to = "" if found is True else f" to {found!r}"
            raise ValueError(f"{name.upper()} is set{set_to}: {why}.")
