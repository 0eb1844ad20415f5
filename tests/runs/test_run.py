"""Training from Python, and what a run is then asked."""

import json
import math
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import flax.linen as nn
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac
from jaxsac import named
from jaxsac.runs import loop, record, train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.export import export
from jaxsac.runs.export.numpy_policy import Policy as NumpyPolicy
from jaxsac.runs.metrics import learning_curve, metrics
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.settings import default_directory, of_keywords
from jaxsac.training import memory
from probe_environments import Drift
from run_examples import Listener
from written_runs import written

SMALL = {
    "steps": 60, "learning_starts": 20, "batch_size": 8, "replay_capacity": 200,
    "eval_every": 30, "eval_episodes": 2, "log_every": 20, "hidden_sizes": [8], "progress": False,
}  # fmt: skip


SMALL_SETTINGS = {name: value for name, value in SMALL.items() if name != "progress"}


def drift(length=10):
    return gymnasium.wrappers.TimeLimit(Drift(), length)


def doubled(env):
    return gymnasium.wrappers.TransformReward(env, lambda reward: 2 * float(reward))


def hundredfold(env):
    return gymnasium.wrappers.TransformReward(env, lambda reward: 100 * float(reward))


class OwnActor(nn.Module):
    width: int = 4
    action_size: int | None = None

    @nn.compact
    def __call__(self, observation):
        x = nn.relu(nn.Dense(self.width)(observation))
        return nn.Dense(self.action_size)(x), jnp.clip(nn.Dense(self.action_size)(x), -5, 2)


class OwnCritic(nn.Module):
    sizes: tuple[int, ...] = (4,)

    @nn.compact
    def __call__(self, observation, action):
        x = jnp.concatenate([observation, action], axis=-1)
        for size in self.sizes:
            x = nn.relu(nn.Dense(size)(x))
        return nn.Dense(2)(x).T


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("python") / "run"
    heard = []
    run = jaxsac.train(
        drift, directory=str(directory), seeds=2, env_kwargs={"length": 5}, wrapper=doubled,
        on_row=heard.append, **SMALL,
    )  # fmt: skip
    return run, heard


def test_a_run_from_python_is_what_the_command_line_leaves(run):
    run, heard = run
    assert run.complete
    assert (run.config.env, run.config.wrapper) == ("test_run:drift", ("test_run:doubled",))
    assert run.config.env_kwargs == {"length": 5}
    files = [metrics.path(run.directory / "metrics", f"seed-{n:04d}") for n in (0, 1)]
    rows = [row for file in files for row in metrics.read(file)]
    table = run.metrics
    assert table["seed"].tolist() == [0] * 4 + [1] * 4
    assert table["step"].tolist() == [20, 30, 40, 60] * 2
    for name in ("train_return", "critic_loss", "eval_return"):
        np.testing.assert_array_equal(
            table[name], [math.nan if row[name] is None else row[name] for row in rows]
        )
    # Episodes of five steps, in training and in evaluation.
    assert set(table["train_length"].tolist()) == {5}
    assert set(table["eval_length"][[1, 3, 5, 7]].tolist()) == {5}
    by_step = sorted(heard, key=lambda row: (row["seed"], row["step"]))
    assert [row["train_return"] for row in by_step] == pytest.approx(table["train_return"], 1e-5)
    assert run.returns.steps.tolist() == [30, 60]
    np.testing.assert_array_equal(run.returns.values.ravel(), table["eval_return"][[1, 3, 5, 7]])
    assert (run.directory / "report" / "learning_curve.png").exists()


def test_a_wrapper_is_part_of_training_and_evaluation(run, tmp_path):
    plain = jaxsac.train(
        drift, directory=tmp_path / "plain", seeds=2, env_kwargs={"length": 5}, **SMALL
    )
    wrapped = run[0].metrics
    # The warm-up is the same in both, and nothing has been learned in it.
    np.testing.assert_allclose(
        wrapped["train_return"][[0, 4]], 2 * plain.metrics["train_return"][[0, 4]], rtol=1e-5
    )


def wandering(length=10):
    env = drift(length)
    os.chdir(tempfile.mkdtemp(dir="."))
    return env


def test_a_run_stays_in_one_place_whoever_changes_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = jaxsac.train(wandering, directory="run", seeds=2, env_kwargs={"length": 5}, **SMALL)
    assert Path.cwd() != tmp_path
    assert run.complete
    assert run.policy(1)([0, 0]).shape == (2,)
    names = {"manifest.json", "metrics", "checkpoints", "best", "report", ".lock"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names


def test_the_policies_of_a_run(run):
    run, _ = run
    latest, best = run.policy(1), run.policy(1, which="best")
    assert latest.step == 60
    returns = run.returns
    assert best.step == returns.steps[np.argmax(returns.values[1])]
    assert latest(np.zeros(2)).shape == (2,)
    assert run.policy().step == 60
    with pytest.raises(ValueError, match="no seed 2: its seeds are 0 to 1"):
        run.policy(2)
    assert "drift, seeds 0 to 1, 60 steps, complete" in repr(run)


def test_the_table_as_a_data_frame(run, monkeypatch):
    class Pandas:
        @staticmethod
        def DataFrame(columns):  # noqa: N802
            return {name: list(column) for name, column in columns.items()}

    monkeypatch.setitem(sys.modules, "pandas", Pandas)
    frame = run[0].metrics.to_pandas()
    assert frame["seed"] == [0] * 4 + [1] * 4
    assert list(frame)[:2] == ["seed", "step"]


def test_the_plot_of_a_run(run, tmp_path):
    figure = run[0].plot(tmp_path / "curve.svg")
    assert figure._repr_png_().startswith(b"\x89PNG"), "a notebook shows it"
    assert "2 seeds" in figure.axes[0].get_title()
    assert "<svg" in (tmp_path / "curve.svg").read_text()


def test_a_figure_that_cannot_be_drawn_is_a_warning_and_the_run_is_there(run, monkeypatch):
    def full(run):
        raise OSError("No space left on device")

    monkeypatch.setattr(learning_curve, "write", full)
    options = {"directory": run[0].directory, "env_kwargs": {"length": 5}, "wrapper": doubled}
    with pytest.warns(UserWarning, match="could not be drawn .No space left") as warned:
        assert jaxsac.train(drift, seeds=2, **options, **SMALL).complete
    assert warned[0].filename == __file__


def test_seeds_added_later_are_one_population_with_those_before(run, tmp_path):
    options = {"env_kwargs": {"length": 5}, "wrapper": [doubled], **SMALL}
    few = jaxsac.train(drift, directory=tmp_path / "run", seeds=1, **options)
    before = few.metrics["train_return"].tolist()
    more = jaxsac.train(drift, directory=tmp_path / "run", seeds=2, **options)
    assert more.complete
    assert more.metrics["seed"].tolist() == [0] * 4 + [1] * 4
    assert more.metrics["train_return"].tolist()[:4] == before
    together = run[0]
    np.testing.assert_allclose(
        more.metrics["train_return"], together.metrics["train_return"], rtol=1e-4
    )
    assert more.returns.values.shape == (2, 2)
    assert "2 seeds" in more.plot().axes[0].get_title()
    np.testing.assert_allclose(
        more.policy(1)(np.ones(2)), together.policy(1)(np.ones(2)), rtol=1e-3, atol=1e-4
    )
    # Again the same: nothing to do; and more steps are for all.
    assert jaxsac.train(drift, directory=tmp_path / "run", seeds=2, **options).complete
    longer = jaxsac.train(drift, directory=tmp_path / "run", seeds=2, **{**options, "steps": 80})
    assert longer.metrics["step"].tolist() == [20, 30, 40, 60, 80] * 2


def test_a_run_is_stopped_by_what_on_row_returns_and_resumed_by_the_same_call(tmp_path):
    call = {"directory": tmp_path / "run", **SMALL}
    for number, array in enumerate((np.float64, jnp.asarray), start=2):
        last = [20, 30, 40][:number]

        def reached(row, array=array, end=last[-1]):
            return array(row["step"]) >= end

        stopped = jaxsac.train(drift, on_row=reached, **call)
        assert not stopped.complete
        assert stopped.metrics["step"].tolist() == last
    resumed = jaxsac.train(drift, **call)
    assert resumed.complete
    straight = jaxsac.train(drift, directory=tmp_path / "straight", **SMALL)
    np.testing.assert_array_equal(resumed.metrics["critic_loss"], straight.metrics["critic_loss"])

    def other():
        return drift()

    with pytest.raises(RunDirectoryError, match=r"env: 'test_run:drift' there, 'test_run:"):
        jaxsac.train(other, **call)


def test_what_on_row_raises_leaves_each_row_once(tmp_path):
    call = {"directory": tmp_path / "run", **SMALL}

    def broken(row):
        if row["step"] == 40:
            raise RuntimeError("no such plot")

    with pytest.raises(RuntimeError, match="no such plot"):
        jaxsac.train(drift, on_row=broken, **call)
    resumed = jaxsac.train(drift, **call)
    assert resumed.metrics["step"].tolist() == [20, 30, 40, 60]
    assert "drift, seed 0, 60 steps, complete" in repr(resumed)


def test_functions_of_one_name_are_told_apart_by_their_place(tmp_path):
    halved, moved = (
        lambda env, k=k: gymnasium.wrappers.TransformReward(env, lambda r: float(r) * k[0] + k[1])
        for k in ((0.5, 0), (1, 100))
    )
    options = {"wrapper": [halved, moved], **SMALL_SETTINGS}
    made = of_keywords(lambda: drift(), **options).to_population().env_options
    assert made.wrappers == (halved, moved)
    assert made.function is not None
    assert isinstance(made.function(), gymnasium.Env)


def test_what_has_no_name_of_its_own_has_no_default_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for own in ({"env": lambda: drift()}, {"env": drift, "wrapper": lambda env: env}):
        with pytest.raises(ValueError, match=r"lambda> is a name that another one may have too"):
            jaxsac.train(**own, **SMALL)
    assert list(tmp_path.iterdir()) == []
    by_name = of_keywords(drift, wrapper=doubled, **SMALL_SETTINGS)
    assert default_directory(by_name).name.startswith("test_run-drift-")


def test_missing_packages_are_named_before_the_first_step(tmp_path, monkeypatch):
    call = {"directory": tmp_path / "run", **SMALL}
    for package in ("safetensors", "psutil"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, package, None)
            with pytest.raises(ModuleNotFoundError, match=f"needs {package}: run `pip install"):
                jaxsac.train(drift, **call)
    assert not (tmp_path / "run").exists()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.warns(UserWarning, match="drawing the learning curve needs matplotlib: run"):
        assert jaxsac.train(drift, **call).complete
    assert not (tmp_path / "run" / "report").exists()


def test_a_tilde_is_the_home_directory_of_all_that_is_made_of_a_run(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").symlink_to(run[0].directory)
    assert export.export("~/run", "numpy", "~/policy").paths[0].parent == tmp_path
    made = record.record("~/run", "~/data.npz")
    assert (made.source, Path(made.source).exists()) == (str(tmp_path / "data.npz"), True)


def test_an_exported_policy_has_actions_without_an_axis(tmp_path):
    part = {"path": [], "shape": [2], "dtype": "float32", "divisor": 1, "scale": None}
    facts = {"inputs": [part], "layers": [], "dtype": "float32", "shape": [], "precision": "f4"}
    arrays = {"low": [-2.0], "high": [4.0], "kernel": np.zeros((2, 1))}
    facts["layers"] = [["dense", "kernel"]]
    np.savez(tmp_path / "policy.npz", metadata=json.dumps(facts), **arrays)
    policy = NumpyPolicy(tmp_path / "policy.npz")
    assert policy(np.zeros(2)).shape == ()
    assert policy(np.zeros((3, 2))).tolist() == [1, 1, 1]


def test_training_in_a_thread(tmp_path):
    found = []

    def train():
        found.append(jaxsac.train(drift, directory=tmp_path / "run", **SMALL))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found[0].complete


def test_networks_of_ones_own(tmp_path):
    call = {"directory": tmp_path / "run", **SMALL}
    run = jaxsac.train(drift, actor=OwnActor(width=3), critic=OwnCritic((5, 5)), **call)
    assert (run.config.actor, run.config.actor_kwargs) == ("test_run:OwnActor", {"width": 3})
    assert run.config.critic_kwargs == {"sizes": [5, 5]}
    # As a command line, and a policy elsewhere, find them.
    by_name = jaxsac.train(
        drift, directory=tmp_path / "named", actor="test_run:OwnActor", actor_kwargs={"width": 3},
        critic="test_run:OwnCritic", critic_kwargs={"sizes": [5, 5]}, **SMALL,
    )  # fmt: skip
    np.testing.assert_array_equal(run.policy()(np.ones(2)), by_name.policy()(np.ones(2)))
    assert run.metrics["actor_loss"].tolist()[1:] == by_name.metrics["actor_loss"].tolist()[1:]
    for wrong, message in (
        ({"actor": "test_run:drift"}, "expected a module of flax"),
        ({"actor": "no_module_here:A"}, "no module 'no_module_here'"),
        ({"actor": "test_run:OwnActor", "actor_kwargs": {"height": 3}}, "does not take"),
        ({"critic": OwnCritic(sizes=(object(),))}, "cannot hold its field sizes"),
        ({"actor": 3}, "actor must be a module of flax.linen"),
    ):
        with pytest.raises((ValueError, ModuleNotFoundError), match=message):
            jaxsac.train(drift, directory=tmp_path / "wrong", **{**SMALL, **wrong})
    assert not (tmp_path / "wrong").exists()


def test_what_no_other_program_finds_is_said_before_the_first_step(tmp_path):
    def inner():
        return drift()

    executed: dict[str, Any] = {"inner": inner}
    exec("def from_text(): return inner()", executed)
    for env, said in ((drift, 0), (inner, 1), (executed["from_text"], 1)):
        listener = Listener()
        config = of_keywords(env, **{**SMALL_SETTINGS, "steps": 25})
        assert train.train(config, tmp_path / env.__name__, listener)
        assert sum("by that program alone" in text for text in listener.messages) == said
    with pytest.raises(ValueError, match=r"no function or class Own\. What a script"):
        named.find("__main__:Own", "actor")
    for name in ("nowhere:F", "gymnasium.nowhere:F", "gymnasium.nowhere.x:F"):
        with pytest.raises(ModuleNotFoundError, match=f"wrapper '{name}': there is no module"):
            named.find(name, "wrapper")


def test_what_a_call_cannot_mean_is_refused(tmp_path):
    for wrong, kind, message in (
        ({"learning_start": 20}, TypeError, "no setting 'learning_start': is it 'learning_starts'"),
        ({"run_dir": "x"}, TypeError, "no setting 'run_dir': it is 'directory' from Python"),
        ({"total_timesteps": 20}, TypeError, "no setting 'total_timesteps': it is 'steps' here"),
        ({"env_kwargs": {"length": object()}}, ValueError, "env_kwargs must be a dict"),
        ({"env_kwargs": "length"}, ValueError, "env_kwargs must be a dict"),
        ({"env_kwargs": {"size": 3}}, ValueError, r"does not take the env_kwargs \{'size': 3\}"),
        ({"wrapper": "test_run:nothing"}, ValueError, "no function or class nothing"),
        ({"wrapper": lambda env: None}, ValueError, "returns None, expected an environment"),
        ({"preset": "sb2"}, ValueError, "no preset 'sb2'"),
        ({"steps": 1.5}, ValueError, "steps must be a whole number, got 1.5"),
        ({"actor_lr": "3e-4"}, ValueError, "actor_lr must be a number, got '3e-4'"),
        ({"target_entropy": "auto"}, ValueError, "target_entropy must be a number, got 'auto'"),
        ({"tau": None}, ValueError, "tau must be a number, got None"),
        ({"utd": [1]}, ValueError, r"utd must be a number, got \(1,\)"),
        ({"keep_replay": "no"}, ValueError, "keep_replay must be True or False, got 'no'"),
        ({"on_row": 3}, TypeError, "on_row must be a function of a row of the metrics, got 3"),
        ({"init_from": str(tmp_path / "none")}, Exception, "none does not exist"),
        ({"hidden_sizes": 8}, ValueError, r"hidden_sizes must be .* as \(256, 256\), got 8"),
    ):
        with pytest.raises(kind, match=message):
            jaxsac.train(drift, directory=tmp_path / "run", **{**SMALL, **wrong})
    with pytest.raises(ValueError, match=r"module:name|no function or class nothing"):
        jaxsac.train("test_run:nothing", directory=tmp_path / "run", **SMALL)
    assert list(tmp_path.iterdir()) == []
    assert jaxsac.train(drift, directory=tmp_path / "run", **{**SMALL, "steps": 6e1}).complete


def test_none_is_no_wrapper_and_numbers_of_numpy_are_numbers_also_within_a_dict():
    config = of_keywords("Pendulum-v1", wrapper=None, log=None, env_kwargs={"g": np.float32(9)})
    assert (config.wrapper, config.log, config.env_kwargs) == ((), (), {"g": 9.0})


def test_a_whole_number_names_the_run_that_its_fraction_names():
    names = {default_directory(of_keywords("Pendulum-v1", utd=n, gamma=1)) for n in (20, 20.0)}
    names.add(default_directory(of_keywords("Pendulum-v1", utd=20.0, gamma=1.0)))
    assert len(names) == 1


def test_a_run_with_a_gap_between_its_seeds_is_not_complete(tmp_path):
    written(tmp_path, [1.0])
    written(tmp_path / "more-seeds" / "0002-0002", [2.0], seed=2)
    assert not jaxsac.Run(tmp_path).complete
    written(tmp_path / "more-seeds" / "0001-0001", [3.0], seed=1)
    assert jaxsac.Run(tmp_path).complete


def test_where_a_seed_has_no_evaluation_its_return_is_nan(tmp_path):
    written(tmp_path, [50.0], steps=(10, 50))
    written(tmp_path / "more-seeds" / "0001-0001", [100.0], seed=1, steps=(20, 50))
    steps, values = jaxsac.Run(tmp_path).returns
    np.testing.assert_array_equal(steps, [10, 20, 50])
    np.testing.assert_array_equal(values, [[10, np.nan, 50], [np.nan, 40, 100]])


def test_what_a_run_without_returns_or_pandas_cannot_give_is_said(tmp_path, monkeypatch):
    run = jaxsac.Run(written(tmp_path, [1.0], steps=()))
    with pytest.raises(ValueError, match="hold no return yet"):
        run.plot()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        run.metrics.to_pandas()


def test_the_package_has_the_names_that_it_lists_and_no_others():
    assert set(dir(jaxsac)) >= set(jaxsac.__all__)
    with pytest.raises(AttributeError, match="no attribute 'sample_actions'"):
        jaxsac.sample_actions  # noqa: B018


def test_numbers_of_numpy_and_jax_are_numbers():
    given = {
        "steps": np.int32(60), "batch_size": np.float32(8), "actor_lr": np.float32(0.5),
        "gamma": jnp.float32(0.5), "hidden_sizes": np.array([8, 8]), "lock": np.bool_(False),
        "critic_lr": np.array([0.5, 0.25]),
    }  # fmt: skip
    config = of_keywords(drift, **{**SMALL_SETTINGS, **given})
    assert config == RunConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert (config.steps, config.hyperparameters.critic_lr) == (60, (0.5, 0.25))


def replay_of(directory, member):
    """The rows of a member's ring that are filled."""
    folder = directory / "checkpoints"
    step = checkpoint.latest(folder)
    facts = checkpoint.verify(folder, step)
    size = facts["replay_sizes"][facts["members"].index(member)]
    structs = {"float32": jax.ShapeDtypeStruct((size, 8), np.float32)}
    return checkpoint.load(folder, step, f"replay-{member}", structs)["float32"]


def test_a_run_that_begins_with_what_another_has_learned(tmp_path):
    source = jaxsac.train(drift, directory=tmp_path / "source", seeds=2, **SMALL)
    frozen = {"actor_lr": 0.0, "critic_lr": 0.0, "alpha_lr": 0.0, "tau": 0.0}
    begun = jaxsac.train(
        drift, directory=tmp_path / "begun", seeds=2, init_from=source,
        init_replay=True, **{**SMALL, **frozen, "replay_capacity": 50, "steps": 40},
    )  # fmt: skip
    for seed in (0, 1):
        np.testing.assert_array_equal(
            begun.policy(seed)(np.ones(2)), jaxsac.load_policy(source, seed)(np.ones(2))
        )
    assert begun.config.init_from == str(source.directory)
    # Its ring held the latest 50 transitions of the source, of which its own 40 leave the last ten.
    for name in ("seed-0000", "seed-0001"):
        before, after = (replay_of(run.directory, name) for run in (source, begun))
        assert (len(before), len(after)) == (60, 50)
        np.testing.assert_array_equal(after[40:], before[50:])
    assert begun.metrics["updates"].tolist() == [0, 10, 20] * 2
    with pytest.raises(Exception, match="does not fit this run, whose networks, optimizers"):
        jaxsac.train(
            drift, directory=tmp_path / "other", init_from=str(source.directory),
            **{**SMALL, "hidden_sizes": [9]},
        )  # fmt: skip
    with pytest.raises(ValueError, match="init_replay is of the run that init_from names"):
        jaxsac.train(drift, directory=tmp_path / "other", init_replay=True, **SMALL)
    assert not (tmp_path / "other").exists()


def test_a_finished_run_may_drop_its_replay(tmp_path, capsys):
    call = {**SMALL, "directory": tmp_path / "run", "keep_replay": False, "progress": True}
    run = jaxsac.train(drift, **{**call, "checkpoint_every": 40})
    said = " ".join(capsys.readouterr().out.split())
    assert "without replay: 60 transitions, 1,920 bytes" in said
    assert not list(run.directory.glob("checkpoints/*/replay-*"))
    assert [p.name for p in run.directory.glob("checkpoints/*")] == ["60"]
    assert run.policy().step == 60
    with pytest.raises(Exception, match=r"without its replay .*--init-from"):
        jaxsac.train(drift, **{**call, "steps": 80})


def test_a_finished_run_drops_its_replay_also_where_no_second_run_would_fit(tmp_path, monkeypatch):
    free = iter([10**9])
    monkeypatch.setattr(memory, "available_bytes", lambda device: next(free, 10))
    assert jaxsac.train(drift, directory=tmp_path / "run", keep_replay=False, **SMALL).complete


def test_a_run_that_was_killed_when_its_end_was_saved_is_complete(tmp_path, monkeypatch):
    call = {**SMALL, "directory": tmp_path / "run", "keep_replay": False}
    with monkeypatch.context() as killed:
        killed.setattr(RunDirectory, "finish", lambda run: sys.exit())
        with pytest.raises(SystemExit):
            jaxsac.train(drift, **call)
    assert not jaxsac.Run(tmp_path / "run").complete
    assert jaxsac.train(drift, **call).complete


def test_a_damaged_end_is_gone_on_before_also_where_no_replay_is_asked_for(tmp_path):
    call = {**SMALL, "directory": tmp_path / "run", "checkpoint_every": 40}
    directory = jaxsac.train(drift, **call).directory
    (directory / "checkpoints" / "60" / "agent.safetensors").write_bytes(b"")
    manifest = directory / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"finished": true', '"finished": false'))
    assert jaxsac.train(drift, **call, keep_replay=False).complete


def test_what_cannot_be_opened_leaves_no_environment_open(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(loop, "MetricsWriter", lambda *_: sys.exit())
    monkeypatch.setattr(loop.Loop, "_close", lambda loop: closed.append(loop.driver.close()))
    with pytest.raises(SystemExit):
        jaxsac.train(drift, directory=tmp_path / "run", **SMALL)
    assert len(closed) == 1


class Decided(nn.Module):
    """Always 1."""

    @nn.compact
    def __call__(self, observation):
        mean = 10 + 0 * nn.Dense(2)(observation)
        return mean, mean - 20


def test_a_run_that_begins_with_an_agent_acts_by_it_from_its_first_step_on(tmp_path):
    source = jaxsac.train(drift, actor=Decided, directory=tmp_path / "source", **SMALL)
    begun = jaxsac.train(
        drift, actor=Decided, directory=tmp_path / "begun", init_from=source, **SMALL
    )
    record.record(begun.directory, str(tmp_path / "replay.npz"))
    actions = np.load(tmp_path / "replay.npz")["action"]
    assert len(actions) == 60
    assert (actions > 0.99).all()


def test_a_run_that_begins_with_an_agent_has_its_scale_of_rewards(tmp_path):
    scaled = {**SMALL, "reward_scale": "return_std"}
    source = jaxsac.train(drift, wrapper=hundredfold, directory=tmp_path / "source", **scaled)
    begun = jaxsac.train(drift, directory=tmp_path / "begun", init_from=source, **scaled)
    before, after = (run.metrics["reward_divisor"] for run in (source, begun))
    assert 0.5 < after[-1] / before[-1] < 1, "of the returns of both"
    with pytest.raises(Exception, match="trained with reward_scale return_std: its critics"):
        jaxsac.train(drift, directory=tmp_path / "other", init_from=source, **SMALL)


def test_metrics_are_means_over_the_updates_since_the_row_before(tmp_path):
    each = jaxsac.train(drift, directory=tmp_path / "each", **{**SMALL, "log_every": 1})
    means = jaxsac.train(drift, directory=tmp_path / "means", **{**SMALL, "eval_every": 0})
    losses = each.metrics["critic_loss"][20:]
    assert means.metrics["step"].tolist() == [20, 40, 60]
    expected = [losses[:20].mean(), losses[20:].mean()]
    np.testing.assert_allclose(means.metrics["critic_loss"][1:], expected, rtol=1e-4)
    np.testing.assert_array_equal(means.metrics["target_entropy"][1:], -2)
