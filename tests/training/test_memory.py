import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxsac.envs.in_jax import families
from jaxsac.envs.in_jax.pendulum import Pendulum
from jaxsac.runs import train
from jaxsac.training import driver, memory, seed_axis
from run_examples import Listener, small_run

PIXELS = jax.ShapeDtypeStruct((84, 84, 3), jnp.uint8)
ACTION = jax.ShapeDtypeStruct((6,), jnp.float32)
ROW = 2 * 84 * 84 * 3 + 4 * (6 + 1 + 1)


def plan_of(num_seeds, capacity, num_devices=1):
    config = small_run(seeds=num_seeds, replay_capacity=capacity)
    mesh = Mesh(np.array(jax.devices()[:num_devices]), ("seeds",))
    axis = seed_axis.SeedAxis(num_seeds, mesh, "map")
    return memory.plan(axis, driver.learning_structs(config.to_population(), PIXELS, ACTION))


def test_the_plan_is_what_is_allocated():
    config = small_run(seeds=3, replay_capacity=50)
    axis = seed_axis.SeedAxis(3, Mesh(np.array(jax.devices()[:2]), ("seeds",)), "map")
    first = np.zeros((3, 1, *PIXELS.shape), PIXELS.dtype)
    learning = driver.init_learning(config.to_population(), first, ACTION, axis)
    learning = learning._replace(key=jax.random.key_data(learning.key))
    plan = plan_of(3, 50, num_devices=2)
    assert (plan.transition_bytes, plan.capacity, plan.members) == (ROW, 50, 4)
    allocated = sum(leaf.nbytes for leaf in jax.tree.leaves(learning))
    assert plan.members * plan.member_bytes == allocated
    # A checkpoint, and going back to it, hold one replay twice; two devices update an agent each.
    agent = sum(leaf[0].nbytes for leaf in jax.tree.leaves(learning.agent))
    assert plan.total_bytes == allocated + 50 * ROW + 2 * agent
    assert plan.describe().startswith("memory: 4 × ")
    assert plan.describe().endswith(f"replay of a member: 50 transitions of {ROW} B")


def test_a_population_that_does_not_fit_is_refused_with_one_that_does(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 10**9)
    with pytest.raises(MemoryError, match="does not fit") as refusal:
        plan_of(40, 1000)
    members = int(re.search(r"population of ([\d,]+) members", str(refusal.value))[1])
    assert plan_of(members, 1000).members == members > 1
    with pytest.raises(MemoryError):
        plan_of(members + 1, 1000)
    transitions = int(re.search(r"replay_capacity of ([\d,]+)", str(refusal.value))[1])
    assert plan_of(40, transitions).capacity == transitions > 1
    with pytest.raises(MemoryError, match=r"fit\. What would: a replay_capacity of [\d,]+\.$"):
        plan_of(1, 10**12)
    with pytest.raises(MemoryError):
        plan_of(40, transitions + 1)


def test_members_that_share_a_device_as_a_batch_are_all_updated_at_once():
    config = small_run(seeds=6, replay_capacity=50)
    structs = driver.learning_structs(config.to_population(), PIXELS, ACTION)
    mesh = Mesh(np.array(jax.devices()[:1]), ("seeds",))
    work = {
        layout: memory.plan(seed_axis.SeedAxis(6, mesh, layout), structs).work_bytes
        for layout in ("vmap", "map")
    }
    assert work["vmap"] == memory.num_bytes(structs.agent) == 6 * work["map"]


class Pictures(Pendulum):
    """Shows nothing, in many pixels."""

    @property
    def observation(self):
        return jax.ShapeDtypeStruct((16, 16, 3), jnp.uint8)

    def reset(self, key):
        return super().reset(key).replace(observation=jnp.zeros((16, 16, 3), jnp.uint8))

    def step(self, state, action):
        return super().step(state, action).replace(observation=state.observation)


def test_a_run_from_pixels_plans_what_its_encoder_holds(tmp_path, monkeypatch):
    monkeypatch.setitem(families.FAMILIES, "probe", lambda name: Pictures())
    monkeypatch.setattr(memory, "available_bytes", lambda device: 10**9)
    config = small_run(env="probe:Pictures", seeds=1, steps=1, learning_starts=64, batch_size=64)
    told = Listener()
    assert train.train(config, tmp_path / "run", told)
    (said,) = [text for text in told.messages if text.startswith("memory:")]
    work = float(re.search(r"([\d.]+) MB for updates", said)[1])
    # For its gradient, the neighbourhoods that the second and third layer see of each image.
    assert work > 64 * (4 * 4 + 2 * 2) * 9 * 32 * 4 / 1e6

    monkeypatch.setattr(memory, "available_bytes", lambda device: 4 * 10**6)
    axis = seed_axis.axis(1)
    structs = driver.learning_structs(config.to_population(), Pictures().observation, ACTION)
    assert memory.plan(axis, structs).total_bytes < 3 * 10**6  # without what the encoder holds
    with pytest.raises(MemoryError, match="for updates"):
        train.train(config, tmp_path / "refused", Listener())
    assert not (tmp_path / "refused" / "manifest.json").exists()


def test_an_accelerator_tells_its_own_free_memory():
    class Accelerator:
        platform = "gpu"

        def memory_stats(self):
            return {"bytes_limit": 1000, "bytes_in_use": 400}

    assert memory.available_bytes(Accelerator()) == 600


@pytest.mark.parametrize(("machine", "group"), [(5, 7), (7, 5)])
def test_a_cpu_has_the_memory_of_the_machine_within_its_control_group(monkeypatch, machine, group):
    free = SimpleNamespace(available=machine, total=100)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    monkeypatch.setattr(memory.control_group, "free_bytes", lambda: group)
    assert memory.available_bytes(jax.devices("cpu")[0]) == 5
