"""Soft Actor-Critic as pure functions in JAX."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from jaxsac.data import normalize, replay, return_scale
from jaxsac.data.frame_stack import FrameStack
from jaxsac.sac import held_noise
from jaxsac.sac.agent import act, init, sample, update
from jaxsac.sac.batch_check import check_batch
from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.sac.gradients import GradientTerms
from jaxsac.sac.presets import Preset, preset
from jaxsac.sac.queries import gradient_terms, q_values, td_errors
from jaxsac.sac.state import Metrics, State
from jaxsac.types import Transition

if TYPE_CHECKING:
    from jaxsac.inspection.inspect import inspect
    from jaxsac.reports.report import report
    from jaxsac.runs.policies.load import Policy, load_policy
    from jaxsac.runs.run import Run, train

__version__ = "0.2.0.dev0"

__all__ = [
    "Config",
    "FrameStack",
    "GradientTerms",
    "Hyperparameters",
    "Metrics",
    "Policy",
    "Preset",
    "Run",
    "State",
    "Transition",
    "act",
    "check_batch",
    "gradient_terms",
    "held_noise",
    "init",
    "inspect",
    "load_policy",
    "normalize",
    "preset",
    "q_values",
    "replay",
    "report",
    "return_scale",
    "sample",
    "td_errors",
    "train",
    "update",
]

_WHEN_ASKED_FOR = {
    "Policy": "jaxsac.runs.policies.load",
    "Run": "jaxsac.runs.run",
    "inspect": "jaxsac.inspection.inspect",
    "load_policy": "jaxsac.runs.policies.load",
    "report": "jaxsac.reports.report",
    "train": "jaxsac.runs.run",
}
"""Names whose modules need more than JAX: they are imported at their first use."""


def __getattr__(name: str) -> Any:
    if name not in _WHEN_ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHEN_ASKED_FOR[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
