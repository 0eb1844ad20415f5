"""Flags of JAX, set for the whole process, under which a run is of no use."""

from __future__ import annotations

import jax


def check() -> None:
    """Refuses a run that is not compiled.

    Raises:
      ValueError: names the flag.
    """
    if jax.config.jax_disable_jit:  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(
            "JAX_DISABLE_JIT is set: not compiled, a step of a run takes seconds. Unset it; to "
            "look inside of an update, call jaxsac.update in a loop of your own."
        )
