"""Steps between updates, which only act: nothing of a run shows that what they saw came later."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from assertions import assert_identical
from jaxsac.envs.host import result_structs
from jaxsac.training import seed_axis, waiting
from jaxsac.training.host_driver import HostDriver
from jaxsac.training.schedule import Schedule
from jaxsac.types import Spec
from run_examples import small_run

EVERYTHING = {
    "num_envs": 2, "n_step": 3, "noise_hold": 4, "normalize_observations": True,
    "reward_scale": "return_bound", "reset_every": 40, "replay_capacity": 60,
}  # fmt: skip


def driver_of(room=None, **settings):
    config = small_run(**settings)
    driver = HostDriver(config.to_population(), seed_axis.axis(config.population))
    if room is not None:
        driver._waiting._room = room
    driver.start()
    return driver


@pytest.mark.parametrize(
    "settings",
    [{"update_every": 10}, {"update_every": 16, **EVERYTHING}, {"seeds": 1, "utd": 1 / 8}],
    ids=["blocks", "everything", "few updates"],
)
def test_all_is_as_if_each_step_had_been_inserted_at_once(settings):
    waits, inserts = driver_of(**settings), driver_of(room=0, **settings)
    assert waits._waiting._room >= 4
    for number in range(75):
        for driver in (waits, inserts):
            driver.advance(10**9)
        if number in (3, 46, 74):  # in the warm-up, within a block, and at the end
            assert_identical(waits.learning, inserts.learning)


def test_acting_beside_an_accelerator_changes_nothing(monkeypatch):
    """As another processor stands for the host, both compute in the same way."""
    seeds = len(jax.devices()) + 1
    beside = seed_axis.SeedAxis(seeds, Mesh(np.array(jax.devices()[-1:]), ("seeds",)), "vmap")
    settings = {"seeds": seeds, "update_every": 16, "num_envs": 2, "noise_hold": 4}
    settings["normalize_observations"] = True
    here = driver_of(**settings)
    monkeypatch.setattr(seed_axis.SeedAxis, "on_host", lambda self: beside)
    monkeypatch.setattr(waiting, "MOST", 5)
    there = driver_of(**settings)
    assert there._axis.num_rows > seeds, "places of learning are not those of acting"
    act, acted = there._waiting._act_step, []
    counted = lambda *args: acted.append(there.step) or act(*args)  # noqa: E731
    monkeypatch.setattr(there._waiting, "_act_step", counted)
    schedule = there._population.schedule
    rests = []
    for number in range(75):
        if schedule.work(there.step, there.step + 2).num_updates == 0:
            rests.append(there.step + 2)
        for driver in (here, there):
            driver.advance(10**9)
        if number % 7 == 0:
            assert there.learning.key.shape
    # Neither room for fewer steps nor who looks at the learners decides where it acts.
    assert acted == rests
    acting = there._waiting._acting
    assert acting.action.sharding.device_set == set(beside.mesh.devices.flat)
    members = [driver._axis.take(jax.device_get(driver.learning)) for driver in (here, there)]
    assert_identical(*members)


def test_a_processor_acts_beside_an_accelerator_and_for_itself():
    axis = seed_axis.axis(3)
    assert axis.on_host() is axis
    assert axis.move(tree := {"x": np.ones(3)}, axis) is tree


def test_images_are_acted_on_where_they_are_learned_from(monkeypatch):
    monkeypatch.setattr(seed_axis.SeedAxis, "on_host", lambda self: beside)
    axis = seed_axis.axis(1)
    beside = seed_axis.SeedAxis(1, Mesh(np.array(jax.devices()[-1:]), ("seeds",)), "vmap")
    schedule = Schedule(10, Fraction(1), update_every=10)
    for observation, where in (((32, 32, 3), np.uint8), axis), (((3,), np.float32), beside):
        results = Spec.of(result_structs(jax.ShapeDtypeStruct(*observation)))
        assert waiting.Waiting(axis, results, schedule, 1)._host is where


def test_an_accelerator_has_a_processor_beside_it_where_jax_has_one(monkeypatch):
    card: Any = SimpleNamespace(devices=np.array([SimpleNamespace(platform="gpu")]))
    axis = seed_axis.SeedAxis(3, card, "vmap")
    (processor,) = axis.on_host().mesh.devices.flat
    assert processor.platform == "cpu"
    assert axis.on_host().num_members == 3

    def none(backend):
        raise RuntimeError(f"Unknown backend {backend}")

    monkeypatch.setattr(jax, "local_devices", none)
    assert axis.on_host() is axis


def test_steps_wait_until_the_update_that_draws_from_them():
    driver = driver_of(update_every=10, learning_starts=20)
    held = []
    for _ in range(40):
        driver.advance(10**9)
        held.append(int(np.max(jax.device_get(driver._learning.buffer.size))))
    # Room for 9 steps: the tenth takes their place where no update is due, as after 30 steps.
    assert held == [*(9 * (step // 9) for step in range(29)), *[30] * 10, 40]
    assert int(driver.learning.buffer.size[0]) == 40


def test_no_step_waits_where_each_one_updates():
    driver = driver_of()
    for step in range(1, 25):
        driver.advance(10**9)
        assert int(driver._learning.buffer.size[0]) == step
