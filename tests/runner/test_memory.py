import re

import jax
import jax.numpy as jnp
import pytest

from jaxsac.data import replay
from jaxsac.runner import memory
from jaxsac.types import Transition
from run_examples import small_run

PIXELS = jax.ShapeDtypeStruct((84, 84, 3), jnp.uint8)
SCALAR = jax.ShapeDtypeStruct((), jnp.float32)
TRANSITION = Transition(PIXELS, jax.ShapeDtypeStruct((6,), jnp.float32), SCALAR, SCALAR, PIXELS)
ROW = 2 * 84 * 84 * 3 + 4 * (6 + 1 + 1)


def test_the_plan_is_what_is_allocated():
    plan = memory.plan_replay(small_run(seeds=3, replay_capacity=50), TRANSITION)
    assert plan.member.bytes_per_transition == ROW
    assert plan.member.total_bytes == 50 * ROW
    buffer = replay.init(50, TRANSITION)
    assert sum(rows.nbytes for rows in buffer.rows.values()) == plan.member.total_bytes
    assert plan.describe().startswith(f"replay: 3 × 50 transitions × {ROW:} B = 6.36 MB, ")


def test_a_replay_that_does_not_fit_is_refused_with_a_capacity_that_does(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 10**9)
    config = small_run(seeds=4, replay_capacity=1_000_000)
    with pytest.raises(MemoryError, match="does not fit") as refusal:
        memory.plan_replay(config, TRANSITION)
    fits = int(re.search(r"replay_capacity of ([\d,]+)", str(refusal.value))[1].replace(",", ""))
    assert memory.plan_replay(small_run(seeds=4, replay_capacity=fits), TRANSITION)
    assert 4 * fits * ROW <= 0.9 * 10**9 < 4 * (fits + 1) * ROW
    with pytest.raises(MemoryError):
        memory.plan_replay(small_run(seeds=4, replay_capacity=fits + 1), TRANSITION)


def test_an_accelerator_tells_its_own_free_memory():
    class Accelerator:
        platform = "gpu"

        def memory_stats(self):
            return {"bytes_limit": 1000, "bytes_in_use": 400}

    assert memory.available_bytes(Accelerator()) == 600


def test_a_cpu_has_the_memory_of_the_machine():
    free = memory.available_bytes(jax.devices("cpu")[0])
    assert 0 < free < 10**14
