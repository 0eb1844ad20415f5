"""MuJoCo's warnings, as Python's."""

from __future__ import annotations

import sys
import warnings


def redirect() -> None:
    """Sends MuJoCo's warnings to Python's `warnings`.

    Left alone, MuJoCo writes them to a MUJOCO_LOG.TXT in the current folder.

    Process-wide, so it is called by runs and never on import. Without MuJoCo it does nothing.
    """
    try:
        import mujoco
    except ModuleNotFoundError:
        return

    def warn(message: str) -> None:
        # Said by mujoco 4 of Gymnasium's own half_cheetah.xml, once a copy; no user can act on it.
        if "settotalmass" in message:
            return
        try:
            warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)
        except BaseException as error:  # of `python -W error`: native code ends the process by it
            print(f"MuJoCo: {message} ({error!r})", file=sys.__stderr__)

    mujoco.set_mju_user_warning(warn)  # pyright: ignore[reportAttributeAccessIssue]
