"""Soft Actor-Critic as pure functions in JAX."""

from jaxsac.data import replay
from jaxsac.sac.agent import act, gradient_terms, init, q_values, sample, update
from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.sac.gradients import GradientTerms
from jaxsac.sac.presets import Preset, preset
from jaxsac.sac.state import Metrics, State
from jaxsac.types import Transition

__version__ = "0.1.0"

__all__ = [
    "Config",
    "GradientTerms",
    "Hyperparameters",
    "Metrics",
    "Preset",
    "State",
    "Transition",
    "act",
    "gradient_terms",
    "init",
    "preset",
    "q_values",
    "replay",
    "sample",
    "update",
]
