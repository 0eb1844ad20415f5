"""How an environment is made, beside its id."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jaxsac import named


@dataclasses.dataclass(frozen=True)
class EnvOptions:
    """What is asked for when copies of an environment are made."""

    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    """Arguments of its constructor."""
    wrappers: tuple[str | Callable[..., Any], ...] = ()
    """Each wrapper, or its module:function, the innermost first: called with an environment, it
    returns one."""
    function: Callable[..., Any] | None = None
    """Makes one, in place of an id; a class that is no `gymnasium.Env` makes one in JAX."""

    def by_name(self, env_id: str) -> EnvOptions:
        """The same for another process, which imports what functions and classes stand in.

        Args:
          env_id: the name of `function`, where there is one.

        Raises:
          ValueError: one that is not found by its name.
        """
        if self.function is not None:
            _check_found(self.function, env_id)
        wrappers = []
        for wrapper in self.wrappers:
            name = wrapper if isinstance(wrapper, str) else named.name_of(wrapper, "wrapper")
            if wrapper is not name:
                _check_found(wrapper, name)
            wrappers.append(name)
        return EnvOptions(self.kwargs, tuple(wrappers))

    def layers(self, env: Any, kind: type | None = None) -> Iterator[Any]:
        """An environment in its first wrapper, then in the second, and so on.

        Args:
          env: without them.
          kind: what each has to return; None: anything.

        Raises:
          ValueError, ModuleNotFoundError: a wrapper that there is not, or that returns no
            environment.
        """
        for wrapper in self.wrappers:
            wrap = named.find(wrapper, "wrapper") if isinstance(wrapper, str) else wrapper
            env = wrap(env)
            if env is None or (kind is not None and not isinstance(env, kind)):
                raise ValueError(f"wrapper {wrapper!r} returns {env!r}, expected an environment.")
            yield env


def _check_found(function: Any, name: str) -> None:
    with contextlib.suppress(ValueError, ModuleNotFoundError):
        if named.find(name, "function") is function:
            return
    raise ValueError(
        f"{name} is not found by its name, as a worker process has to: define it at the top level "
        "of a module, or leave out the workers (--env-workers 0)."
    )
