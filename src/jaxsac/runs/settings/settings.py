"""The settings of a run by name, as a call from Python, a preset and a default directory do."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from jaxsac import named
from jaxsac.runs.settings import own_networks
from jaxsac.runs.settings.config import WITHOUT_EFFECT, RunConfig, setting_names, take
from jaxsac.sac import presets
from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.sac.effects import without_idle

NOT_IN_NAME = (*WITHOUT_EFFECT, "env", "seeds", "steps")
"""Settings that a default directory does not depend on: a run is given more of the last two."""
ELSEWHERE = {
    "run_dir": "it is 'directory' from Python.",
    "only_seed": "from Python give 'seed' and seeds=1.",
    "total_timesteps": "it is 'steps' here.",
    "num_steps": "it is 'steps' here.",
    "buffer_size": "it is 'replay_capacity' here.",
    "learning_rate": "here they are 'actor_lr', 'critic_lr' and 'alpha_lr'.",
    "lr": "here they are 'actor_lr', 'critic_lr' and 'alpha_lr'.",
    "ent_coef": "here it is learned, from 'initial_alpha' on with 'alpha_lr'.",
    "train_freq": "it is 'update_every' here.",
    "gradient_steps": "here 'utd' is the updates per transition.",
    "n_envs": "it is 'num_envs' here.",
    "policy_kwargs": "here 'hidden_sizes' and 'activation' are settings of their own.",
}
"""What other libraries, and our command line, call some settings."""


def of_keywords(
    env: str | Callable[..., Any], preset: str | None = None, **settings: Any
) -> RunConfig:
    """The run of a call with any of the fields of `RunConfig`, `Config` and `Hyperparameters`.

    Args:
      env: id, or what makes the environment.
      preset: name of a preset, which the settings override.
      **settings: by name; wrapper, actor and critic may be objects, and lists stand for tuples.

    Raises:
      TypeError: a setting that there is not; names one that is like it.
      ValueError: a value that a run cannot have.
    """
    _check_names(settings)
    values = {} if preset is None else of_preset(preset)
    values |= {name: _plain(value) for name, value in settings.items()}
    values |= {name: () for name in ("log", "wrapper") if values.get(name, ()) is None}
    _check_kinds(values)
    objects: dict[str | int, Any] = {}

    def name_of(function: Any, what: str, place: str | int) -> str:
        if isinstance(function, str):
            return function
        objects[place] = function
        return named.name_of(function, what)

    wrappers = values.get("wrapper", ())
    wrappers = wrappers if isinstance(wrappers, tuple) else (wrappers,)
    values["wrapper"] = tuple(
        name_of(wrapper, "wrapper", number) for number, wrapper in enumerate(wrappers)
    )
    modules = {}
    for what in ("actor", "critic"):
        network = values.get(what)
        if network is not None and not isinstance(network, str):
            values[what], kwargs, modules[what] = own_networks.describe(network, what)
            values[f"{what}_kwargs"] = kwargs
    agent = Config(**take(values, Config), **modules)
    hyperparameters = Hyperparameters(**take(values, Hyperparameters))
    return RunConfig(
        name_of(env, "env", "env"),
        agent=agent,
        # What is left of the preset: its schedule's end, say, where the schedule is another.
        hyperparameters=without_idle(hyperparameters, agent, keep=settings),
        objects=objects,
        **take(values, RunConfig),
    )


def of_preset(name: str) -> dict[str, Any]:
    """Every setting in which a preset differs from the defaults.

    Raises:
      ValueError: there is no preset of this name.
    """
    default, chosen = presets.Preset(), presets.preset(cast(presets.Name, name))
    records = [
        (vars(default.config), vars(chosen.config)),
        (vars(default.hyperparameters), vars(chosen.hyperparameters)),
        (default._asdict(), chosen._asdict()),
    ]
    return {
        field: value
        for before, after in records
        for field, value in after.items()
        if field not in ("config", "hyperparameters") and value != before[field]
    }


def default_directory(config: RunConfig) -> Path:
    """runs/<env>-<hash>, where the hash is of all that changes what a seed learns.

    The same settings find their run again, also with more seeds or steps; others are another run.

    Raises:
      ValueError: a lambda, or what a function has defined: another one may have the same name.
    """
    names = (config.env, *config.wrapper, config.actor, config.critic)
    if shared := [name for name in names if name and _may_be_shared(name)]:
        raise ValueError(
            f"{shared[0]} is a name that another one may have too, whose run would be found by it: "
            "give a directory for each, or define them at the top level of a module."
        )
    settings, default = config.to_json(), RunConfig(config.env).to_json()
    # Only what differs from the defaults, so that a new option leaves the names as they are.
    changed = {
        # As from a command line, where 20 updates for a step are 20.0.
        name: float(value) if type(value) is int and type(default[name]) is float else value
        for name, value in settings.items()
        if name not in NOT_IN_NAME and value != default[name]
    }
    digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
    return Path("runs") / f"{file_name(config.env)}-{digest[:6]}"


def _may_be_shared(name: str) -> bool:
    """Whether different objects have this name: lambdas, and what a function or `exec` makes."""
    return "<" in name or name.startswith("None:")


def file_name(env: str) -> str:
    """An environment's id as part of a path."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in env)


def _check_names(settings: dict[str, Any]) -> None:
    known = {n for kind in (RunConfig, Config, Hyperparameters) for n in setting_names(kind)}
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), 1)
            here = ELSEWHERE.get(name, f"is it {close[0]!r}?" if close else "")
            raise TypeError(f"there is no setting {name!r}" + (f": {here}" if here else "."))


def _plain(value: Any) -> Any:
    """With Python's numbers for those of NumPy and JAX, and tuples for lists and arrays."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, list) else value


def _check_kinds(values: dict[str, Any]) -> None:
    """Refuses what is no number or no bool where one is wanted, such as a text."""
    for kind in (RunConfig, Config, Hyperparameters):
        for field in dataclasses.fields(kind):
            value = values.get(field.name, field.default)
            wanted, _, or_none = str(field.type).partition(" | ")
            if value is None and or_none:
                continue
            if wanted == "bool" and not isinstance(value, bool):
                raise ValueError(f"{field.name} must be True or False, got {value!r}.")
            # Of a hyperparameter several values are a sweep.
            each = value if isinstance(value, tuple) and wanted == "Scalar" else (value,)
            if wanted in ("float", "Scalar") and not all(map(_is_number, each)):
                raise ValueError(f"{field.name} must be a number, got {value!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
