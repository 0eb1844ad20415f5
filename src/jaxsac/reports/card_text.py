"""The text of a model card, as the Hugging Face hub reads it: YAML in front, Markdown after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from jaxsac.reports import sentences
from jaxsac.reports.comparable import COLUMNS
from jaxsac.reports.numbers import Result
from jaxsac.runs.export.parity import Parity
from jaxsac.runs.metrics.scores import WINDOW
from jaxsac.runs.policies.load import Policy
from jaxsac.runs.settings import labels
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.settings import file_name

LIBRARY = "library_name: jaxsac"
USE = {
    "numpy": """\
import sys

import numpy as np
from huggingface_hub import snapshot_download  # pip install huggingface_hub numpy

sys.path.append(snapshot_download("{repository}"))
from {module} import Policy

policy = Policy()
action = policy({example})
""",
    "onnx": """\
import numpy as np
import onnxruntime
from huggingface_hub import hf_hub_download  # pip install huggingface_hub onnxruntime

session = onnxruntime.InferenceSession(hf_hub_download("{repository}", "{file}"))
(action,) = session.run(["action"], {inputs})  # one leading axis
""",
    "stablehlo": """\
from pathlib import Path

import jax.export
import numpy as np
from huggingface_hub import hf_hub_download  # pip install huggingface_hub jax flatbuffers

file = Path(hf_hub_download("{repository}", "{file}"))
policy = jax.jit(jax.export.deserialize(bytearray(file.read_bytes())).call)
action = policy({batch})  # one leading axis
""",
}


class OwnReturn(NamedTuple):
    """Of the policy itself, over its deterministic episodes."""

    mean: float
    deviation: float
    episodes: int


class Facts(NamedTuple):
    """What a card tells."""

    env: str
    seed: int
    step: int
    """Transitions of training after which the policy was saved."""
    best: bool
    """Whether it was chosen by its evaluation."""
    settings: dict[str, Any]
    versions: dict[str, str]
    policy: Policy
    format: str
    files: list[str]
    parity: Parity
    own: OwnReturn | None
    seeds: Result | None
    """Of all seeds that were trained alike."""


def markdown(facts: Facts, shown: list[str]) -> str:
    """The whole card.

    Args:
      facts: what it tells.
      shown: files beside it: a video, if there is one, and the learning curve.
    """
    parts = [
        f"---\n{yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True)}---",
        f"# Soft Actor-Critic in {facts.env}",
        _introduction(facts),
        *map(_picture, shown),
        "## Returns",
        _returns(facts),
        "## Use",
        _use(facts),
        "## Settings",
        _settings(facts),
        "## Upload",
        f"In the folder of this card, with `pip install huggingface_hub` and `hf auth login`:\n\n"
        f"```bash\nhf upload {_repository(facts)} . .\n```",
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(facts: Facts) -> dict[str, Any]:
    """What the hub reads: the library, tags, and the returns as a `model-index`."""
    found: dict[str, Any] = {
        "library_name": "jaxsac",
        "pipeline_tag": "reinforcement-learning",
        "tags": [
            facts.env, "reinforcement-learning", "deep-reinforcement-learning",
            "soft-actor-critic", "jax",
        ],
    }  # fmt: skip
    if metrics := _metrics(facts):
        result = {
            "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
            "dataset": {"name": facts.env, "type": facts.env},
            "metrics": metrics,
        }
        found["model-index"] = [{"name": "SAC", "results": [result]}]
    return found


def _metrics(facts: Facts) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if (own := facts.own) is not None:
        digits = _decimals(own.mean, own.deviation)
        found.append(
            {
                "type": "mean_reward",
                "value": f"{own.mean:.{digits}f} +/- {own.deviation:.{digits}f}",
                "name": f"return of this policy, mean and deviation over {_episodes(own)}",
                "verified": False,
            }
        )
    if (seeds := facts.seeds) is not None:
        _, interval = sentences.parts(seeds.final)
        found.append(
            {
                "type": "iqm_return",
                "value": round(seeds.final.value, _decimals(seeds.final.value)),
                "name": f"interquartile mean over {sentences.seeds(len(seeds.finals))}, {interval}",
                "verified": False,
            }
        )
    return found


def _decimals(*values: float) -> int:
    """What the hub is given: two, or more of small returns."""
    return max(2, labels.decimals(max(map(abs, values))))


def _episodes(own: OwnReturn) -> str:
    return f"{own.episodes} episode{'s' * (own.episodes > 1)}"


def _introduction(facts: Facts) -> str:
    chosen = ", the best by its evaluations" if facts.best else ""
    return (
        "A deterministic policy of Soft Actor-Critic, trained with jaxsac "
        f"{facts.versions.get('jaxsac', '')}: seed {facts.seed} after {facts.step:,} steps{chosen}."
    )


def _picture(name: str) -> str:
    if name.endswith(".mp4"):
        return f'<video src="{name}" controls autoplay loop muted></video>'
    return f"![{name.partition('.')[0].replace('_', ' ')}]({name})"


def _returns(facts: Facts) -> str:
    rows = []
    if (own := facts.own) is not None:
        chosen = "; it was chosen by this number, which therefore flatters it" if facts.best else ""
        value = labels.number(own.mean, own.deviation)
        value += f" ± {labels.number(own.deviation, own.mean)}"
        rows.append((f"this policy, {_episodes(own)}{chosen}", value))
    if (seeds := facts.seeds) is not None:
        column = COLUMNS[seeds.population.column]
        what = f"{sentences.seeds(len(seeds.finals))}, last {WINDOW:.0%} of the steps: {column}"
        rows.append((f"interquartile mean over {what}", sentences.estimate(seeds.final)))
        rows += [(f"seed {seed}, likewise", labels.number(v)) for seed, v in seeds.finals.items()]
    return _table(("", "return"), rows) if rows else "None has been measured."


def _use(facts: Facts) -> str:
    bounds = zip(facts.policy.action_low.flat, facts.policy.action_high.flat, strict=True)
    spec = facts.policy.observation_spec
    inputs = ", ".join(f'"{name}": {_zeros(part, 1)}' for name, part in _arrays(spec))
    code = USE[facts.format].format(
        repository=_repository(facts),
        file=facts.files[0],
        module=facts.files[0].rpartition(".")[0],
        example=_zeros(spec),
        batch=_zeros(spec, 1),
        inputs=f"{{{inputs}}}",
    )
    ranges = ", ".join(f"{low:g} to {high:g}" for low, high in bounds)
    parity = facts.parity
    aside = f", {parity.rounding} aside that single precision leaves open" * (parity.rounding > 0)
    stacked = ""
    if (size := facts.policy.frame_stack) > 1:
        stacked = (
            f", the latest {size} joined along the last axis of each array, the oldest first (the "
            "first of an episode is repeated)"
        )
    return (
        f"```python\n{code}```\n\n"
        f"Observations go in as the environment returns them{stacked}, and actions come out in its "
        f"own units ({ranges}): scale and bounds are inside. Over "
        f"{parity.observations:,} observations actions differ from those of jaxsac by at most "
        f"{parity.largest_difference:.1e} of half their range{aside}."
    )


def _zeros(spec: Any, *lead: int) -> str:
    """An observation of zeros, as Python writes it."""
    if isinstance(spec, dict):
        return f"{{{', '.join(f'{key!r}: {_zeros(part, *lead)}' for key, part in spec.items())}}}"
    if isinstance(spec, tuple):
        return f"({''.join(f'{_zeros(part, *lead)}, ' for part in spec)})"
    return f'np.zeros({(*lead, *spec.shape)}, "{spec.dtype}")'


def _arrays(spec: Any, name: str = "observation") -> Iterator[tuple[str, Any]]:
    """The arrays of an observation by the names that they have as inputs of ONNX."""
    if not isinstance(spec, dict | tuple):
        yield name, spec
        return
    for key, part in spec.items() if isinstance(spec, dict) else enumerate(spec):
        yield from _arrays(part, f"{name}.{key}")


def _settings(facts: Facts) -> str:
    default = RunConfig(facts.env).to_json()
    changed = {n: v for n, v in facts.settings.items() if n in default and v != default[n]}
    rows = [(f"`{name}`", f"`{json.dumps(value)}`") for name, value in changed.items()]
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return (
        "Other than the defaults of jaxsac:\n\n"
        + (_table(("setting", "value"), rows) if rows else "none.")
        + f"\n\n<details><summary>All settings</summary>\n\n```json\n"
        f"{json.dumps(facts.settings, indent=1)}\n```\n\n</details>\n\n"
        f"Versions: {versions}."
    )


def _repository(facts: Facts) -> str:
    return f"your-name/sac-{file_name(facts.env)}"


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *rows]
    return "\n".join(f"| {first} | {second} |" for first, second in lines)
