"""Flags of JAX, set for the whole process, under which a run is of no use, or another one."""

from __future__ import annotations

from collections.abc import Mapping

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


RANDOM = ("jax_default_prng_impl", "jax_threefry_partitionable")
"""What decides the random numbers of a seed."""


def of_randomness() -> dict[str, str]:
    """The flags that decide random numbers, as environment variables have them."""
    return {name.upper(): str(getattr(jax.config, name)).lower() for name in RANDOM}


def to_set_again(before: Mapping[str, str]) -> str:
    """Those of `of_randomness` that have changed since, as they were; "" for none."""
    now = of_randomness()
    return " ".join(f"{name}={old}" for name, old in before.items() if now.get(name) != old)


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
