"""What a run does after which of its steps."""

import pytest

from jaxsac.runs.due import NEVER, due_after
from run_examples import small_run


def do_all(config):
    """Steps as a run does; the steps after which each was done."""
    step = done = 0
    found = {"log": [], "evaluate": [], "save": [], "record": [], "learn": []}
    while step < config.steps:
        until = min(due_after(step, config))
        assert until > step
        # A driver goes at least one step of all environments, and to `until` at the most.
        step += -(-(until - step) // config.num_envs) * config.num_envs
        due, done = due_after(done, config), step
        for name, steps in found.items():
            steps += [step] if getattr(due, name) <= step else []
    return found


@pytest.mark.parametrize("num_envs", [1, 3, 8])
@pytest.mark.parametrize("every", [(7, 30, 14), (5, 0, 0), (60, 7, 1), (100, 100, 20)])
def test_each_is_done_at_its_multiples_or_at_the_first_step_past_them(every, num_envs):
    log, evaluate, save = every
    config = small_run(
        num_envs=num_envs, log_every=log, eval_every=evaluate, checkpoint_every=save,
        record_every=save,
    )  # fmt: skip

    def reached(step):
        return -(-step // num_envs) * num_envs

    def expected(every):
        multiples = [*range(every, config.steps, every), config.steps] if every else []
        return sorted(set(map(reached, multiples)))

    assert do_all(config) == {
        "log": expected(log),
        "evaluate": expected(evaluate),
        "save": expected(save),
        "record": expected(save),
        "learn": [reached(config.learning_starts)],
    }


def test_what_is_turned_off_is_never_due():
    due = due_after(21, small_run(eval_every=0, checkpoint_every=0))
    assert due == (40, NEVER, NEVER, NEVER, NEVER)
