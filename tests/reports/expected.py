"""Writes expected.json by rliable: `pip install rliable==1.2.0 'pandas<3'`, `python expected.py`.

rliable draws a matrix (seeds, tasks) at once; here its draws are made task by task, as jaxsac does,
so that tasks may have different numbers of seeds. With one task the two are the same.
"""

import json
from pathlib import Path

import numpy as np
from rliable import library, metrics  # pyright: ignore[reportMissingImports]

HERE = Path(__file__).parent
THRESHOLDS = np.linspace(0, 1, 11)
RESAMPLES = 500
SEED = 7

choice = np.random.choice


def task_by_task(count, shape, replace=True):
    return np.stack([choice(count, shape[0]) for _ in range(shape[1])], axis=1)


def estimates(scores, function):
    np.random.seed(SEED)
    values, intervals = library.get_interval_estimates({"it": scores}, function, reps=RESAMPLES)
    return {
        "value": np.ravel(values["it"]).tolist(),
        "low": intervals["it"][0].tolist(),
        "high": intervals["it"][1].tolist(),
    }


def main():
    np.random.choice = task_by_task
    rng = np.random.RandomState(0)
    cases = {}
    for name, seeds, others, tasks in [
        ("one_task", 6, 9, 1),
        ("three_tasks", 5, 4, 3),
        ("two_seeds", 2, 2, 1),
    ]:
        # Rounded to a digit, so that some are alike.
        x = rng.normal(0.6, 0.3, (seeds, tasks)).round(1)
        y = rng.normal(0.5, 0.2, (others, tasks)).round(1)
        cases[name] = {
            "x": x.tolist(),
            "y": y.tolist(),
            "iqm": estimates(x, lambda scores: np.array([metrics.aggregate_iqm(scores)])),
            "improvement": estimates(
                [x, y], lambda a, b: np.array([metrics.probability_of_improvement(a, b)])
            ),
            "profile": estimates(x, lambda scores: library.score_distributions(scores, THRESHOLDS)),
        }
    settings = {"seed": SEED, "resamples": RESAMPLES, "thresholds": THRESHOLDS.tolist()}
    (HERE / "expected.json").write_text(json.dumps({**settings, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
