"""Runs that were written down, not trained."""

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics.metrics import RUN_COLUMNS, MetricsWriter
from run_examples import small_run

STEPS = (10, 20, 30, 40, 50)


def written(directory, tops, column="eval_return", steps=STEPS, finished=True, **settings):
    """A run whose seeds rise to `tops`, point after point of a sweep."""
    own = {"eval_every": 10, "steps": 50} if column == "eval_return" else {"steps": 50}
    config = small_run(**{**own, "seeds": len(tops), **settings})
    run = RunDirectory(directory)
    run.create(config)
    with MetricsWriter(run.metrics, config.member_names, RUN_COLUMNS) as writer:
        for index, top in enumerate(tops):
            for step in steps:
                writer.write(index, {"step": step, column: float(top) * step / 50})
    if finished:
        run.finish()
    return directory
