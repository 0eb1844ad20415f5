import jax
import jax.numpy as jnp
import pytest

from jaxsac.cli import commands, doctor
from jaxsac.data import replay
from jaxsac.runs.directory import releases
from jaxsac.runs.settings.config import RunConfig
from jaxsac.sac import agent as sac


def planned(**changes):
    return RunConfig("probe_environments:Drift-v0", **changes)


@pytest.fixture
def measured_once(monkeypatch):
    """Inserts are timed once, where it does not matter how long they take or they take ages."""
    monkeypatch.setattr(doctor, "MEASURING_SECONDS", 0)


def test_nothing_is_found_on_a_sound_machine(tmp_path, capsys):
    findings = doctor.examine(planned(replay_capacity=20_000), tmp_path / "not" / "yet")
    assert [(f.what, f.verdict) for f in findings] == [
        (what, "good")
        for what in (
            "versions", "devices", "replay in place", "determinism", "guard against NaN",
            "memory", "disk",
        )
    ]  # fmt: skip
    assert commands.run(["doctor"]) == 0
    assert f"jax {jax.__version__}" in " ".join(capsys.readouterr().out.split())


def test_a_known_bad_release_is_named(monkeypatch, capsys):
    monkeypatch.setattr(releases, "versions", lambda: {"jaxlib": "0.11.1"})
    monkeypatch.setattr(doctor, "_slowdown", lambda small, large, inserts: 1.0)
    assert doctor.check_versions().verdict == "bad"
    assert commands.run(["doctor"]) == 1
    assert "issues/40101" in "".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("measured_once")
def test_a_replay_that_is_copied_is_noticed(monkeypatch):
    add = replay.add

    def copying(buffer, transitions):
        rows = {dtype: jnp.flip(array, 0) for dtype, array in buffer.rows.items()}
        return add(buffer.replace(rows=rows), transitions)

    monkeypatch.setattr(doctor.replay, "add", copying)
    assert doctor.check_inserts().verdict == "bad"


def spoiled(agent, change):
    temperature = agent.temperature
    return agent.replace(temperature=temperature.replace(params=change(temperature.params)))


@pytest.mark.parametrize(("slowdown", "verdict"), [(1.4, "good"), (1.6, "bad")])
def test_the_longer_loop_decides_where_the_short_one_shows_nothing(slowdown, verdict, monkeypatch):
    ratios = {doctor.FEW_INSERTS: 1.0, doctor.MANY_INSERTS: slowdown}
    monkeypatch.setattr(doctor, "_slowdown", lambda small, large, inserts: ratios[inserts])
    assert doctor.check_inserts().verdict == verdict


def test_a_learner_that_a_nan_changes_is_noticed(monkeypatch):
    update = sac.update

    def unguarded(state, batch, key):
        after, metrics = update(state, batch, key)
        return spoiled(after, lambda x: x * jnp.nan), metrics

    monkeypatch.setattr(doctor.sac, "update", unguarded)
    assert doctor.check_guard().verdict == "bad"


def test_updates_that_do_not_repeat_are_noticed(monkeypatch):
    update, calls = sac.update, iter(range(99))

    def drifting(state, batch, key):
        after, metrics = update(state, batch, key)
        return spoiled(after, lambda x: x + next(calls) * 1e-7), metrics

    monkeypatch.setattr(doctor.sac, "update", drifting)
    assert doctor.check_repeats().verdict == "bad"


@pytest.mark.usefixtures("measured_once")
def test_a_run_that_does_not_fit_is_told_what_to_change(tmp_path):
    findings = {f.what: f for f in doctor.examine(planned(replay_capacity=10**13), tmp_path)}
    for check, remedy in (("memory", "would"), ("disk", "lower")):
        assert findings[check].verdict == "bad"
        assert remedy in findings[check].detail


def test_a_planned_environment_that_does_not_exist_is_refused(capsys):
    assert commands.run(["doctor", "--env", "NoSuchRobot-v0"]) == 1
    assert "NoSuchRobot-v0" in capsys.readouterr().err


def test_a_planned_run_without_its_environment_is_refused(capsys):
    assert commands.run(["doctor", "--seeds", "64"]) == 1
    assert "give its --env too" in capsys.readouterr().err
