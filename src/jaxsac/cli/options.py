"""The settings of a run as options: the basic ones first, the rest in groups with a heading."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import json
import re
import textwrap
import typing
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxsac.runs.settings.config import RunConfig, setting_names, take
from jaxsac.runs.settings.settings import of_preset
from jaxsac.runs.settings.values import whole_number
from jaxsac.sac import presets
from jaxsac.sac.config import Config, Hyperparameters, Scalar
from jaxsac.sac.effects import without_idle

BASIC = (
    "env", "seeds", "steps", "env_kwargs", "num_envs", "learning_starts", "utd", "batch_size",
    "hidden_sizes", "actor_lr", "critic_lr", "gamma", "normalize_observations", "eval_every",
)  # fmt: skip
"""Settings that the help shows first."""
GROUPS = {
    "environment": ("wrapper", "env_timeout", "env_workers"),
    "data": ("prior_data", "prior_fraction", "offline_steps"),
    "evaluation": ("eval_episodes", "eval_envs"),
    "logging": ("log_every", "log", "record_every"),
    "saving": ("checkpoint_every", "keep_replay", "lock"),
    "networks": (
        "activation", "num_critics", "actor_hidden_sizes", "critic_hidden_sizes", "body",
        "actor_body", "critic_body", "normalization", "actor_normalization",
        "critic_normalization", "normalization_position", "normalize_inputs",
        "batch_norm_momentum", "batch_norm_epsilon", "renorm_warmup", "hidden_biases",
        "critic_dropout_rate", "head", "num_quantiles", "num_atoms", "value_bound", "initializer",
        "log_std_min", "log_std_max", "log_std_map", "encoder", "random_shift", "actor",
        "actor_kwargs", "critic", "critic_kwargs",
    ),
    "optimization": (
        "optimizer", "projection", "clip_gradients", "max_gradient_norm", "lr_schedule",
        "final_lr_scale", "schedule_updates", "weight_decay", "adam_b1", "adam_b2", "adam_eps",
        "alpha_lr", "order", "actor_every", "reset_every",
    ),
}  # fmt: skip
"""Headings, and what stands under them; all other settings stand under that of their record."""
REST = {RunConfig: "training", Config: "losses", Hyperparameters: "hyperparameters"}


def help_of(annotation: Any, text: str) -> Any:
    """An annotation with what the help says of it."""
    return Annotated[annotation, tyro.conf.arg(help=text)]


PRESET = help_of(
    presets.Name | None,
    "Settings of another library or paper instead of jaxsac's; explicit options override it.",
)


def settings_class(name: str, doc: str, own: dict[str, Any], base: type) -> type:
    """A dataclass of a command that takes all settings of a run.

    Args:
      name: of the class.
      doc: what the command does.
      own: fields of the command beside the settings: annotation and default.
      base: its methods.

    Returns:
      A class whose instances `run_config` reads.
    """
    fields = _settings()
    groups: dict[str, list[Any]] = {group: [] for group in (*GROUPS, *REST.values())}
    for setting, (kind, field) in fields.items():
        if setting not in BASIC:
            named = next((g for g, names in GROUPS.items() if setting in names), REST[kind])
            groups[named].append(field)
    nested = {
        group: dataclasses.make_dataclass(group, members, frozen=True)
        for group, members in groups.items()
    }
    basic = [fields[setting][1] for setting in BASIC]
    return dataclasses.make_dataclass(
        name,
        [
            *basic,
            *(
                (field, annotation, dataclasses.field(default=default))
                for field, (annotation, default) in own.items()
            ),
            *(
                (group, kind, dataclasses.field(default_factory=kind))
                for group, kind in nested.items()
            ),
        ],
        bases=(base,),
        frozen=True,
        namespace={"__doc__": doc},
    )


def run_config(options: Any) -> RunConfig:
    """The run that an instance of a `settings_class` asks for."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        values |= vars(value) if field.name in (*GROUPS, *REST.values()) else {field.name: value}

    preset = {} if options.preset is None else of_preset(options.preset)
    own = [name for name in values if values[name] != preset.get(name)]
    agent = Config(**take(values, Config))
    hyperparameters = Hyperparameters(**take(values, Hyperparameters))
    hyperparameters = without_idle(hyperparameters, agent, keep=own)
    return RunConfig(**take(values, RunConfig), agent=agent, hyperparameters=hyperparameters)


def _settings() -> dict[str, tuple[Any, Any]]:
    """By name: the record that a setting belongs to, and its field for a class of options."""
    found: dict[str, tuple[Any, Any]] = {}
    for kind in (RunConfig, Config, Hyperparameters):
        docs, types = docstrings(kind), typing.get_type_hints(kind)
        names = setting_names(kind)
        for field in (each for each in dataclasses.fields(kind) if each.name in names):
            annotation = help_of(types[field.name], docs[field.name])
            if field.name in ("wrapper", "log"):  # --wrapper a:b --wrapper c:d
                annotation = tyro.conf.UseAppendAction[annotation]
            new: Any = dataclasses.field()
            if field.default is not dataclasses.MISSING:
                new = dataclasses.field(default=field.default)
            elif field.default_factory is not dataclasses.MISSING:
                new = dataclasses.field(default_factory=field.default_factory)
            found[field.name] = kind, (field.name, annotation, new)
    return found


def registry() -> tyro.constructors.ConstructorRegistry:
    """How texts become values: 1e6 is a whole number, 256,256 sizes, JSON a dict, ~ a folder."""
    found = tyro.constructors.ConstructorRegistry()
    found.primitive_rule(_primitive)
    return found


def _path(text: str) -> Path:
    """With the home directory for `~`, as no shell has it after `--run-dir=`, if there is one."""
    with contextlib.suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def _primitive(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
    one = {
        int: ("INT", whole_number),
        int | None: ("INT|None", _or_none(whole_number)),
        Scalar: ("FLOAT", float),
        Scalar | None: ("FLOAT|None", _or_none(float)),
        dict[str, Any]: ("JSON", _json_object),
        dict[str, Any] | None: ("JSON|None", _or_none(_json_object)),
        Path: ("PATH", _path),
    }
    for kind, (metavar, read) in one.items():
        if info.type == kind:
            return tyro.constructors.PrimitiveConstructorSpec(
                nargs=1,
                metavar=metavar,
                instance_from_str=lambda texts, read=read: read(texts[0]),
                is_instance=lambda value: True,
                str_from_instance=lambda value: [
                    json.dumps(value) if isinstance(value, dict) else str(value)
                ],
            )
    # Tuple[int, ...] of typing is not equal to tuple[int, ...], and both are met.
    if typing.get_args(info.type) == (int, ...) or info.type == tuple[int, ...] | None:
        return tyro.constructors.PrimitiveConstructorSpec(
            nargs="*",
            metavar="INT,INT,...",
            instance_from_str=lambda texts: None if texts == ["None"] else _sizes(texts),
            is_instance=lambda value: value is None or isinstance(value, tuple),
            str_from_instance=lambda value: (
                ["None"] if value is None else [",".join(map(str, value))]
            ),
        )
    return None


def _sizes(texts: list[str]) -> tuple[int, ...]:
    """256 256, 256,256 or 256x256."""
    return tuple(whole_number(size) for text in texts for size in re.split("[,x]", text))


def _or_none(read: Any) -> Any:
    return lambda text: None if text == "None" else read(text)


def _json_object(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    raise ValueError(f'{text} is no JSON object, such as {{"name": 1, "other": true}}')


def docstrings(kind: type) -> dict[str, str]:
    """The text below each field of a dataclass."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(doc.value.value).replace("\n", " ")
        for field, doc in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }
