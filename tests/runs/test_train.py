import functools
import json
import signal
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import probe_environments
from jaxsac.cli import commands
from jaxsac.runs import loop, train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.metrics import log, metrics
from jaxsac.runs.policies.evaluation import evaluate_run
from jaxsac.training import host_driver
from run_examples import (
    Listener,
    agent_of,
    assert_identical,
    is_identical,
    small_run,
    trained,
)

COLUMNS = (
    *metrics.RUN_COLUMNS, "alpha", "target_mean", "q_mean", "critic_loss", "critic_gradient_norm",
    "entropy", "target_entropy", "actor_loss", "actor_gradient_norm", "alpha_loss",
    "alpha_gradient_norm", "skipped",
)  # fmt: skip


def rows_of(directory, seed):
    return metrics.read(directory / "metrics" / f"seed-{seed:04d}.csv")


def columns(rows, name):
    return [row[name] for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run with evaluation: configuration, directory, and what its observer heard."""
    directory = tmp_path_factory.mktemp("runs") / "deep" / "run"
    config, listener = small_run(seed=3, eval_every=30, log_every=20), Listener()
    assert train.train(config, directory, listener)
    return config, directory, listener


# What a run leaves.


def test_a_run_leaves_manifest_metrics_and_checkpoint(finished):
    config, directory, _ = finished
    files = {str(f.relative_to(directory)) for f in directory.rglob("*") if f.is_file()}
    assert files == {
        ".lock",
        "manifest.json",
        "best/seed-0003/agent.safetensors",
        "best/seed-0003/manifest.json",
        "best/seed-0004/agent.safetensors",
        "best/seed-0004/manifest.json",
        "metrics/seed-0003.csv",
        "metrics/seed-0004.csv",
        "checkpoints/60/agent.safetensors",
        "checkpoints/60/environments.safetensors",
        "checkpoints/60/failure.safetensors",
        "checkpoints/60/learning.safetensors",
        "checkpoints/60/replay-seed-0003.safetensors",
        "checkpoints/60/replay-seed-0004.safetensors",
        "checkpoints/60/manifest.json",
    }
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["finished"] is True
    assert manifest["config"] == config.to_json()
    assert {"python", "jax", "jaxsac", "gymnasium"} <= set(manifest["versions"])
    saved = json.loads((directory / "checkpoints/60/manifest.json").read_text())
    assert saved["members"] == ["seed-0003", "seed-0004"]
    assert saved["name"] == "60"


def test_rows_come_at_every_log_point_and_evaluation(finished):
    _, directory, _ = finished
    for seed in (3, 4):
        rows = rows_of(directory, seed)
        assert tuple(rows[0]) == COLUMNS
        assert columns(rows, "step") == [20, 30, 40, 60]
        assert columns(rows, "updates") == [0, 10, 20, 40]
        assert columns(rows, "utd") == [None, 1, 1, 1]
        # Episodes last 10 steps.
        assert columns(rows, "train_episodes") == [2, 1, 1, 2]
        assert columns(rows, "train_length") == [10] * 4
        assert [value is not None for value in columns(rows, "eval_return")] == [0, 1, 0, 1]
        assert columns(rows, "eval_length")[1] == 10
        # Before the first update there is nothing to tell about one.
        assert [value is not None for value in columns(rows, "critic_loss")] == [0, 1, 1, 1]
        assert columns(rows, "alpha")[1] > 0
        assert columns(rows, "skipped") == [0] * 4
        assert columns(rows, "discarded") == [0] * 4
        assert columns(rows, "wall_time") == sorted(columns(rows, "wall_time"))
    assert rows_of(directory, 3) != rows_of(directory, 4)


def test_the_number_of_updates_applied_is_the_one_written_down(finished):
    config, directory, _ = finished
    assert agent_of(directory, config).step.tolist() == [40, 40]


def test_the_observer_hears_of_every_row(finished):
    config, directory, listener = finished
    axis, plan, start = listener.messages
    assert axis == "2 members on 2 devices (cpu)"
    assert "memory: 2 × " in plan
    assert start == "from step 0"
    assert listener.phases == [
        "making environments", "compiling", "warm-up", "training",  # learning starts at 20
        "evaluating", "training", "evaluating", "training", "saving", "training", "complete",
    ]  # fmt: skip
    assert [progress.step for progress in listener.rows] == [20, 30, 40, 60]
    assert [progress.evaluated for progress in listener.rows] == [False, True, False, True]
    last = [rows_of(directory, member)[-1] for member in config.member_seeds]
    np.testing.assert_allclose(listener.rows[-1].eval_returns, columns(last, "eval_return"), 1e-5)
    np.testing.assert_allclose(listener.rows[-1].train_returns, columns(last, "train_return"), 1e-5)


@pytest.mark.parametrize("utd", [0.25, 4.0])
def test_updates_are_counted_per_transition_with_several_environments(tmp_path, utd):
    config = small_run(num_envs=4, utd=utd, steps=96, learning_starts=32, seeds=1)
    agent = trained(config, tmp_path / "run")
    assert agent.step.tolist() == [64 * utd]
    last = rows_of(tmp_path / "run", 0)[-1]
    assert (last["updates"], last["utd"]) == (64 * utd, utd)


def test_wall_time_is_that_of_training_and_not_of_the_compiler(tmp_path, monkeypatch):
    now = 0.0

    def takes(seconds, function):
        def take(*arguments, **options):
            nonlocal now
            now += seconds()
            return function(*arguments, **options)

        return take

    advances = iter([1000.0] + [1.0] * 59)  # the first one compiles
    for name, seconds in {
        "start": lambda: 1000.0,
        "prepare_evaluation": lambda: 1000.0,
        "evaluate": lambda: 50.0,
        "advance": lambda: next(advances),
    }.items():
        method = getattr(host_driver.HostDriver, name)
        monkeypatch.setattr(host_driver.HostDriver, name, takes(seconds, method))
    monkeypatch.setattr(loop.snapshot, "save", takes(lambda: 7.0, loop.snapshot.save))
    clock = functools.partial(loop.PhaseClock, now=lambda: now)
    monkeypatch.setattr(loop, "PhaseClock", clock)
    listener = Listener()
    assert train.train(small_run(eval_every=30, checkpoint_every=40), tmp_path / "run", listener)
    expected = [19, 29 + 50, 39 + 50, 59 + 50 + 7 + 50]
    assert columns(rows_of(tmp_path / "run", 0), "wall_time") == expected
    assert now == 3 * 1000 + 59 + 2 * 50 + 2 * 7
    assert listener.messages[-1] == "checkpoints took 14.0 s, 8.1% of the time."


# What changes a run and what does not.


def test_evaluation_and_logging_leave_the_learners_as_they_are_bit_for_bit(finished, tmp_path):
    config, directory, _ = finished
    expected = agent_of(directory, config)
    changes = {"a": {"eval_every": 0}, "b": {"eval_every": 7, "eval_episodes": 3, "log_every": 9}}
    for name, change in changes.items():
        quiet = small_run(seed=3, **change)
        assert_identical(trained(quiet, tmp_path / name), expected)


def test_the_same_run_twice_is_the_same_bit_for_bit_and_another_seed_is_not(finished, tmp_path):
    config, directory, _ = finished
    again = trained(config, tmp_path / "again")
    assert_identical(again, agent_of(directory, config))
    for seed in (3, 4):
        rows = [rows_of(d, seed) for d in (directory, tmp_path / "again")]
        for row in (*rows[0], *rows[1]):
            del row["wall_time"]
        assert rows[0] == rows[1]
    assert not is_identical(
        jax.tree.map(lambda x: x[0], again), jax.tree.map(lambda x: x[1], again)
    )


@pytest.mark.parametrize(
    ("env", "rescaled"), [("Drift", "DriftTimesFour"), ("DriftOnGrid", "DriftOnGridAsymmetric")]
)
def test_the_units_of_the_actions_do_not_matter_bit_for_bit(tmp_path, env, rescaled):
    agents = [
        trained(small_run(env=f"probe_environments:{name}-v0"), tmp_path / name)
        for name in (env, rescaled)
    ]
    assert agents[0].step.tolist() == [40, 40]
    assert_identical(*agents)


# A directory that is there already.


def test_a_finished_run_is_not_done_again(finished):
    config, directory, _ = finished

    def times():
        files = (f for f in directory.rglob("*") if f.name != ".lock")
        return {f: f.stat().st_mtime_ns for f in files}

    before, listener = times(), Listener()
    assert train.train(config, directory, listener)
    assert len(listener.messages) == 1
    assert "complete" in listener.messages[0]
    assert times() == before


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"steps": 20}, True),
        ({"steps": 29, "update_every": 10}, True),
        ({"steps": 30, "update_every": 10}, False),
        ({"steps": 20, "prior_data": "data.npz", "offline_steps": 5}, False),
    ],
)
def test_a_run_without_one_update_is_told(tmp_path, changes, told):
    listener, rows = Listener(), SimpleNamespace(complete=True)
    config = small_run(seeds=1, **changes)
    log.tell_what_is_amiss(config, RunDirectory(tmp_path), rows, listener)
    assert any("nothing will be learned" in text for text in listener.messages) == told


def test_another_configuration_is_refused_with_what_differs(finished):
    _, directory, _ = finished
    other = small_run(seed=3, eval_every=30, utd=2.0, batch_size=9)
    with pytest.raises(RunDirectoryError) as refusal:
        train.train(other, directory, Listener())
    message = str(refusal.value)
    assert "utd: 1.0 there, 2.0 asked for" in message
    assert "batch_size: 8 there, 9 asked for" in message
    assert "seeds" not in message


def test_a_directory_that_is_not_a_run_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        train.train(small_run(), tmp_path, Listener())
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"env": "NoSuchRobot-v0"}, ValueError, "unknown environment id"),
        ({"env": "CartPole-v1"}, ValueError, r"Discrete\(2\)"),
        ({"env": "FrozenLake-v1"}, ValueError, r"Discrete\("),
        (
            {"hyperparameters": small_run().hyperparameters.replace(target_entropy=9.0)},
            ValueError,
            "cannot be reached",
        ),
        ({"replay_capacity": 10**15}, MemoryError, "does not fit"),
    ],
)
def test_a_refused_run_writes_nothing(tmp_path, changes, error, said):
    with pytest.raises(error, match=said):
        train.train(small_run(**changes), tmp_path / "run", Listener())
    assert list(tmp_path.iterdir()) == []


# Runs that do not reach their end.


def assert_stopped_at(directory, config, step):
    assert checkpoint.latest(directory / "checkpoints") == step
    agent = agent_of(directory, config)
    assert agent.step.tolist() == [step - 20]
    assert columns(rows_of(directory, 0), "step") == [20]
    lines = (directory / "metrics" / "seed-0000.csv").read_text().splitlines()
    assert {line.count(",") for line in lines} == {len(COLUMNS) - 1}
    assert not json.loads((directory / "manifest.json").read_text())["finished"]


def test_ctrl_c_saves_the_policies_and_stops(tmp_path):
    config = small_run(env="probe_environments:Interrupted-v0", seeds=1)
    before, listener = signal.getsignal(signal.SIGINT), Listener()
    assert not train.train(config, tmp_path / "run", listener)
    assert signal.getsignal(signal.SIGINT) is before
    assert_stopped_at(tmp_path / "run", config, step=30)
    assert listener.messages[-1] == (
        "Ctrl-C: stops after this step, with everything saved. Ctrl-C again: ends at once, without "
        "saving."
    )
    assert listener.phases[-1] == "stopped"


def test_after_another_signal_it_is_ctrl_c_that_does_not_wait(tmp_path, monkeypatch):
    monkeypatch.setenv("HAPPENED", str(tmp_path / "happened"))
    config, listener = small_run(env="probe_environments:AnnouncedOnce-v0", seeds=1), Listener()
    assert not train.train(config, tmp_path / "run", listener)
    (text,) = [text for text in listener.messages if text.startswith("SIGUSR2: stops after")]
    assert text.endswith("with everything saved. Ctrl-C: ends at once, without saving.")


def test_a_second_ctrl_c_saves_nothing_more(tmp_path, monkeypatch):
    def twice(self, *arguments, sampled):
        signal.raise_signal(signal.SIGINT)
        raise KeyboardInterrupt

    monkeypatch.setattr(host_driver.HostDriver, "evaluate", twice)
    config, listener = small_run(eval_every=30, checkpoint_every=20), Listener()
    with pytest.raises(KeyboardInterrupt):
        train.train(config, tmp_path / "run", listener)
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [20]


def test_a_keyboard_interrupt_of_the_environments_own_costs_nothing(tmp_path, monkeypatch):
    advance = host_driver.HostDriver.advance

    def close_the_window(self, until):
        if self.step == 30:
            raise KeyboardInterrupt("window closed")
        return advance(self, until)

    monkeypatch.setattr(host_driver.HostDriver, "advance", close_the_window)
    with pytest.raises(KeyboardInterrupt) as ended:
        train.train(small_run(seeds=1), tmp_path / "run", Listener())
    assert "All until then, 30 transitions per seed, is saved" in ended.value.__notes__[0]
    assert_stopped_at(tmp_path / "run", small_run(seeds=1), step=30)


def test_the_policies_of_a_stopped_run_are_those_of_a_run_that_long(tmp_path):
    stopped = small_run(env="probe_environments:Interrupted-v0", seeds=1)
    train.train(stopped, tmp_path / "stopped", Listener())
    short = trained(small_run(steps=30, seeds=1), tmp_path / "short")
    assert_identical(agent_of(tmp_path / "stopped", stopped), short)


def test_an_environment_that_breaks_costs_neither_policies_nor_metrics(tmp_path):
    config = small_run(env="probe_environments:Broken-v0", seeds=1)
    with pytest.raises(RuntimeError, match="the simulator broke"):
        train.train(config, tmp_path / "run", Listener())
    assert_stopped_at(tmp_path / "run", config, step=29)


def test_an_environment_that_raises_when_it_is_closed_costs_nothing(tmp_path, monkeypatch):
    def fail(self):
        raise OSError("the viewer is gone")

    monkeypatch.setattr(probe_environments.Drift, "close", fail)
    listener = Listener()
    assert train.train(small_run(), tmp_path / "run", listener)
    assert RunDirectory(tmp_path / "run").is_finished(small_run())
    assert "Drift-v0 raises when it is closed: OSError('the viewer is gone')" in str(
        listener.messages
    )
    with pytest.warns(UserWarning, match="Drift-v0 raises when it is closed"):
        assert evaluate_run(tmp_path / "run", episodes=1).deterministic.shape == (2, 1)


def test_infos_may_be_of_any_length_in_training_and_in_evaluation(tmp_path):
    config = small_run(env="probe_environments:Touching-v0", num_envs=2, eval_every=30)
    trained(config, tmp_path / "run")
    rows = rows_of(tmp_path / "run", 0)
    assert columns(rows, "train_length") == [6] * len(rows)
    assert [row["eval_return"] for row in rows if row["step"] in (30, 60)] == [21, 21]


# Numbers that are not finite.


def test_an_environment_without_a_finite_step_is_refused_by_name(tmp_path):
    config = small_run(env="probe_environments:AllFaulty-v0")
    why = "a NaN, an infinity or a number beyond float32 in .*probe_environments:AllFaulty-v0"
    with pytest.raises(FloatingPointError, match=why):
        train.train(config, tmp_path / "run", Listener())


def test_what_is_not_finite_never_reaches_replay_or_the_learners(tmp_path, monkeypatch):
    carries = []
    save = loop.Loop._save

    def spy(self):
        carries.append(self.driver.learning)
        save(self)

    monkeypatch.setattr(loop.Loop, "_save", spy)
    config = small_run(env="probe_environments:OftenFaulty-v0", steps=80)
    agent = trained(config, tmp_path / "run")
    # Of every three steps the third observes an infinity.
    rows = rows_of(tmp_path / "run", 0)
    assert columns(rows, "discarded") == [6, 13, 20, 26]
    assert columns(rows, "train_return") == [None] * 4
    (carry,) = carries
    assert carry.buffer.size.tolist() == [54, 54]
    for array in (*carry.buffer.rows.values(), *jax.tree.leaves(agent)):
        assert np.isfinite(array).all()
    assert agent.skipped.tolist() == [0, 0]
    assert agent.step.tolist() == [60, 60]


def test_an_evaluation_that_is_not_finite_has_no_value_and_stops_nobody(tmp_path, capsys):
    config, listener = small_run(env="probe_environments:OftenFaulty-v0", eval_every=30), Listener()
    assert train.train(config, tmp_path / "run", listener)
    values = columns(rows_of(tmp_path / "run", 1), "eval_return")
    known = [value for value in values if value is not None]
    assert len(known) == 2
    assert np.isnan(known).all()
    why = "4 of 4 episodes of this evaluation had a NaN or an infinity in an observation or"
    assert sum(text.startswith(why) for text in listener.messages) == 2
    capsys.readouterr()
    assert commands.run(["eval", str(tmp_path / "run"), "--episodes", "1"]) == 0
    assert why in capsys.readouterr().out


# One program.


def test_a_run_compiles_its_step_once(tmp_path, caplog):
    with jax.log_compiles():
        trained(small_run(batch_size=7), tmp_path / "run")  # as no run before it
    assert sum("Compiling jit(compiled)" in line for line in caplog.messages) == 1
