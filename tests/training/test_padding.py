"""Populations that do not divide the devices: places are left over, and nobody notices."""

from typing import cast

import jax
import numpy as np
import pytest

from jaxsac.envs.in_jax import families
from jaxsac.runs import train
from jaxsac.runs.metrics import metrics
from jaxsac.runs.policies import evaluation
from jaxsac.training import seed_axis
from jaxsac.training.drivers import make_driver
from run_examples import (
    FAST,
    Listener,
    Short,
    StopAt,
    assert_identical,
    result_of,
    small_run,
)


@pytest.fixture(
    params=[pytest.param("probe_environments:Drift-v0", marks=pytest.mark.slow), "probe:Short"]
)
def config(request, monkeypatch):
    """Nine members: on eight devices five are used, with two members on each."""
    monkeypatch.setitem(families.FAMILIES, "probe", lambda _: Short())
    return small_run(
        env=request.param, seeds=3, steps=60, log_every=15, eval_every=30, checkpoint_every=15,
        hyperparameters=FAST.replace(gamma=(0.9, 0.95, 0.99)), seed_layout="map",
    )  # fmt: skip


def on_one_device(monkeypatch):
    first = jax.devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: first)


def test_members_learn_what_they_learn_without_places_left_over(config, tmp_path, monkeypatch):
    listener = Listener()
    assert train.train(config, tmp_path / "padded", listener)
    assert listener.messages[0].endswith("1 place left over")
    assert max(progress.skipped for progress in listener.rows) == 0
    assert not train.train(config, tmp_path / "moved", StopAt(30))
    found = evaluation.evaluate_run(tmp_path / "padded", "latest", 2)
    on_one_device(monkeypatch)
    assert train.train(config, tmp_path / "one", Listener())
    assert result_of(tmp_path / "one") == result_of(tmp_path / "padded")
    # A checkpoint holds members alone, so another number of devices can take it up.
    assert train.train(config, tmp_path / "moved", Listener())
    assert result_of(tmp_path / "moved") == result_of(tmp_path / "one")
    again = evaluation.evaluate_run(tmp_path / "one", "latest", 2)
    assert_identical((found.deterministic, found.sampled), (again.deterministic, again.sampled))


def test_the_places_left_over_are_not_counted(config, tmp_path, monkeypatch):
    """The last member fails, and with it the place that repeats it."""
    broken = config.hyperparameters.replace(actor_lr=(0.01, 0.01, 1e38))
    config = small_run(**{**vars(config), "hyperparameters": broken})
    listener = Listener()
    assert train.train(config, tmp_path / "run", listener)
    last = [
        metrics.read(metrics.path(tmp_path / "run" / "metrics", name))[-1]
        for name in config.member_names
    ]
    skipped = [row["skipped"] for row in last]
    assert min(skipped[6:]) > 0
    assert listener.rows[-1].skipped == sum(skipped)


def test_rows_that_are_added_are_taken_away_again():
    axis = seed_axis.axis(9)
    tree = {"a": np.arange(18.0).reshape(9, 2), "b": jax.random.split(jax.random.key(0), 9)}
    padded = axis.pad({**tree, "c": 0.5})
    assert (padded["a"].shape, padded["b"].shape, padded["c"]) == ((10, 2), (10,), 0.5)
    np.testing.assert_array_equal(padded["a"][9], tree["a"][8])
    taken = axis.take({name: padded[name] for name in tree})
    assert_identical(taken["a"], tree["a"])
    assert_identical(*map(jax.random.key_data, (taken["b"], tree["b"])))
    placed = axis.place(tree["a"])
    assert len(placed.sharding.device_set) == 5
    np.testing.assert_array_equal(axis.take(placed), tree["a"])


def test_no_device_waits_for_another(config, monkeypatch):
    programs = []

    def compile_and_keep(axis, function, **options):
        compiled = cast(jax.stages.Wrapped, compile_(axis, function, **options))

        def call(*args):
            programs.append(compiled.lower(*args).compile().as_text())
            return compiled(*args)

        return call

    compile_ = seed_axis.SeedAxis.program
    monkeypatch.setattr(seed_axis.SeedAxis, "program", compile_and_keep)
    driver = make_driver(config.to_population(), seed_axis.axis(config.population))
    driver.start()
    driver.advance(config.steps)
    driver.evaluate(driver.learning.policy, 0, 1, sampled=False)
    driver.close()
    assert len(programs) >= 2
    for program in programs:
        assert "num_partitions=5" in program
        for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute"):
            assert collective not in program
