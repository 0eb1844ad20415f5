"""A run that was stopped, or killed, and resumed is the run that was not."""

import dataclasses
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import jaxsac
import probe_environments
from jaxsac.envs.checked import is_fault
from jaxsac.runs import train
from jaxsac.runs.checkpoints import best, bundle, checkpoint
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.metrics import metrics
from run_examples import FLAT, LOOP, Listener, StopAt, result_of, small_run, train_in_parts


@pytest.fixture(scope="module")
def config():
    return small_run(steps=84, log_every=7, eval_every=28, checkpoint_every=14)


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    directory = tmp_path_factory.mktemp("straight") / "run"
    assert train.train(config, directory, Listener())
    return result_of(directory)


@pytest.mark.parametrize("stops", [(7,), (21,), (35, 42, 77), (28, 56)])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(config, straight, tmp_path, stops):
    messages = train_in_parts(config, tmp_path / "run", *stops)
    assert result_of(tmp_path / "run") == straight
    assert any(f"resumes at step {stops[-1]}:" in text for text in messages)
    assert f"from step {stops[-1]}" in messages


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"env": "probe_environments:Scripted-v0"}, marks=pytest.mark.slow),
        {
            "env": "probe_environments:Scripted-v0",
            "agent": FLAT,
            "num_envs": 2,
            "log_every": 14,
            **LOOP,
        },
        {"num_envs": 3, "steps": 90, "log_every": 9, "utd": 0.4, "replay_capacity": 30},
        {
            "update_every": 10,
            "normalize_observations": True,
            "agent": jaxsac.Config(hidden_sizes=(8,), value_network=True),
        },
        {"env": "Hopper-v5", "seeds": 1},
        # Statistics, their count, dropout, a schedule's count and drawn critics.
        {
            "agent": jaxsac.Config(
                hidden_sizes=(8,),
                normalization="batch_renorm",
                critic_dropout_rate=0.1,
                head="categorical",
                num_atoms=11,
                forward="joint_with_targets",
                target_pessimism="random_subset",
                subset_size=1,
                optimizer="adamw",
                lr_schedule="cosine",
                actor_every=2,
                projection="unit_norm",
            ),
        },
    ],
)
def test_it_holds_for_every_kind_of_run(config, tmp_path, changes):
    kind = small_run(**{"steps": 84, "log_every": 7, "checkpoint_every": 14, **changes})
    assert train.train(kind, tmp_path / "straight", Listener())
    every = kind.log_every
    train_in_parts(kind, tmp_path / "parts", 3 * every, 5 * every)
    assert result_of(tmp_path / "parts") == result_of(tmp_path / "straight")


@pytest.mark.parametrize(
    "env",
    ["probe_environments:Drift-v0", pytest.param("jaxsac:Pendulum-v1", marks=pytest.mark.slow)],
)
def test_a_run_can_be_given_more_steps(config, tmp_path, env):
    config = dataclasses.replace(config, env=env)
    assert train.train(config, tmp_path / "straight", Listener())
    fewer = dataclasses.replace(config, steps=56)
    assert train.train(fewer, tmp_path / "run", Listener())
    assert any("resumes at step 56:" in text for text in train_in_parts(config, tmp_path / "run"))
    assert result_of(tmp_path / "run") == result_of(tmp_path / "straight")
    assert RunDirectory(tmp_path / "run").is_finished(config)
    with pytest.raises(RunDirectoryError, match="with 84 steps, which is more than the 56 asked"):
        train.train(fewer, tmp_path / "run", Listener())


def test_more_steps_are_not_written_down_while_another_process_trains(config, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.create(config)
    with run.locked(), pytest.raises(RunDirectoryError, match="this process"):
        train.train(dataclasses.replace(config, steps=100), run.path, Listener())
    assert run.config() == config


def test_an_environment_that_counts_its_episodes_starts_anew_and_that_is_said(tmp_path):
    config = small_run(env="probe_environments:OftenFaulty-v0", seeds=1, log_every=7)
    messages = train_in_parts(config, tmp_path / "run", 35)
    assert any("1 of 1 environments do not depend on their seed" in text for text in messages)


def test_returns_do_not_go_on_from_an_episode_into_the_one_that_starts_in_its_place(tmp_path):
    # An episode observes its number and its step, pays the step's number, and is cut by the third.
    config = small_run(
        env="probe_environments:OftenFaulty-v0",
        seeds=1,
        steps=53,
        log_every=7,
        n_step=3,
        reward_scale="return_std",
    )
    train_in_parts(config, tmp_path, 35)
    folder = tmp_path / "checkpoints" / "53"
    (held,) = bundle.verify(folder)["replay_sizes"]
    assert held == 53 - 35 // 3 - 18 // 3, "all but the third of each episode"
    (rows,) = bundle.load(
        folder, "replay-seed-0000",
        {"float32": jax.ShapeDtypeStruct((held, 7), np.float32)},
    ).values()  # fmt: skip
    (episode, step), (reward, discount), (same, end) = rows[:, :2].T, rows[:, 3:5].T, rows[:, 5:].T
    np.testing.assert_array_equal(same, episode)
    np.testing.assert_array_equal(end, 2)
    gamma = config.hyperparameters.gamma
    np.testing.assert_allclose(reward, np.where(step == 0, 1 + 2 * gamma, 2), rtol=1e-6)
    np.testing.assert_allclose(discount, np.where(step == 0, gamma, 1), rtol=1e-6)
    mean = {"return_scale": {"moments": {"mean": jax.ShapeDtypeStruct((1,), np.float32)}}}
    (mean,) = jax.tree.leaves(bundle.load(folder, "learning", mean, partial=True))
    np.testing.assert_allclose(mean, (1 + (2 + gamma)) / 2, rtol=1e-5)


def test_episodes_that_ended_before_a_stop_are_in_the_next_row(tmp_path):
    # Episodes of ten steps, rows every twenty, and Ctrl-C in step 30.
    changes = {"seeds": 1, "steps": 50}
    stopped = small_run(env="probe_environments:Interrupted-v0", **changes)
    assert not train.train(stopped, tmp_path / "run", Listener())
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [30]
    train_in_parts(stopped, tmp_path / "run")
    assert train.train(small_run(**changes), tmp_path / "straight", Listener())
    runs = [tmp_path / name / "metrics" / "seed-0000.csv" for name in ("run", "straight")]
    rows, expected = map(metrics.read, runs)
    assert [row["train_episodes"] for row in expected] == [2, 2, 1]
    for name in ("step", "train_episodes", "train_return", "train_length"):
        assert [row[name] for row in rows] == [row[name] for row in expected]


def test_a_run_that_was_stopped_before_anything_was_saved_starts_again(config, straight, tmp_path):
    RunDirectory(tmp_path / "run").create(config)
    messages = train_in_parts(config, tmp_path / "run")
    assert any("has no checkpoint: starting again" in text for text in messages)
    assert result_of(tmp_path / "run") == straight


def test_how_often_it_is_evaluated_may_change_when_a_run_is_resumed(config, straight, tmp_path):
    assert not train.train(config, tmp_path, StopAt(35))
    others = dataclasses.replace(config, eval_every=0, eval_episodes=1)
    assert train.train(others, tmp_path, Listener())
    rows = metrics.read(metrics.path(tmp_path / "metrics", "seed-0000"))
    assert [row["step"] for row in rows if row["eval_return"] is not None] == [28]
    step, tensors, _ = result_of(tmp_path)
    assert (step, tensors) == straight[:2]
    assert RunDirectory(tmp_path).config() == others, "the manifest says what was asked for last"


def test_metrics_outlast_the_checkpoints_of_their_run(config, straight, tmp_path):
    directory = tmp_path / "run"
    assert train.train(dataclasses.replace(config, steps=56), directory, Listener())
    file = metrics.path(directory / "metrics", "seed-0001")
    before = file.read_bytes()
    shutil.rmtree(directory / "checkpoints")
    assert (directory / "best").is_dir()
    messages = train_in_parts(config, directory)
    assert any("metrics-before-1" in text for text in messages)
    assert (directory / "metrics-before-1" / file.name).read_bytes() == before
    assert (directory / "best-before-1" / "seed-0001").is_dir(), "its policy is not of this run"
    assert result_of(directory) == straight


def test_a_run_that_starts_again_keeps_its_best_policies_again(config, tmp_path):
    kept = []
    for _ in range(2):
        assert not train.train(config, tmp_path, StopAt(63))
        kept.append(best.returns(tmp_path / "best", config.member_names))
        shutil.rmtree(tmp_path / "checkpoints")
    assert kept[0] == kept[1]
    assert np.isfinite(kept).all()


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(config, straight, tmp_path):
    directory = tmp_path / "run"
    assert not train.train(config, directory, StopAt(35))
    damaged = directory / "checkpoints" / "35" / "replay-seed-0001.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-3] ^= 8
    damaged.write_bytes(content)
    messages = train_in_parts(config, directory)
    assert any(str(damaged) in text and "damaged" in text for text in messages)
    assert any("resumes at step 28:" in text for text in messages)
    assert result_of(directory) == straight


def test_a_checkpoint_that_was_passed_over_is_not_the_latest_any_more(config, tmp_path):
    directory, checkpoints = tmp_path / "run", tmp_path / "run" / "checkpoints"
    assert not train.train(config, directory, StopAt(42))
    (checkpoints / "42" / "learning.safetensors").unlink()
    listener = StopAt(35)
    assert not train.train(config, directory, listener)
    assert any(str(checkpoints / "42-before-1") in text for text in listener.messages)
    assert checkpoint.steps(checkpoints) == [28, 35]
    assert jaxsac.load_policy(directory).step == 35


def test_without_any_good_checkpoint_nothing_is_started(config, tmp_path):
    directory = tmp_path / "run"
    assert not train.train(config, directory, StopAt(35))
    for step in (28, 35):
        (directory / "checkpoints" / str(step) / "learning.safetensors").unlink()
    with pytest.raises(BundleError, match=r"28/learning\.safetensors.* move .*checkpoints away"):
        train.train(config, directory, Listener())
    assert checkpoint.steps(directory / "checkpoints") == [28, 35]


def test_a_checkpoint_of_other_seeds_is_refused(config, tmp_path):
    assert not train.train(config, tmp_path / "run", StopAt(35))
    other = small_run(seed=9, steps=84, log_every=7, eval_every=28, checkpoint_every=14)
    assert not train.train(other, tmp_path / "other", StopAt(35))
    for step in (28, 35):
        shutil.rmtree(tmp_path / "run" / "checkpoints" / str(step))
    shutil.copytree(
        tmp_path / "other" / "checkpoints" / "35", tmp_path / "run" / "checkpoints" / "35"
    )
    with pytest.raises(BundleError, match=r"of the members \['seed-0009', 'seed-0010'\]"):
        train.train(config, tmp_path / "run", Listener())


def test_torn_and_surplus_rows_of_the_metrics_are_cut(config, straight, tmp_path):
    directory = tmp_path / "run"
    assert not train.train(config, directory, StopAt(35))
    with (directory / "metrics" / "seed-0000.csv").open("a") as file:
        file.write("42,22,1.0,3.4,\r\n49,29,1")
    train_in_parts(config, directory)
    assert result_of(directory) == straight


def test_missing_rows_are_said(config, tmp_path):
    directory = tmp_path / "run"
    assert not train.train(config, directory, StopAt(35))
    file = directory / "metrics" / "seed-0000.csv"
    file.write_bytes(file.read_bytes()[:-5])
    messages = train_in_parts(config, directory)
    assert any("rows are missing" in text for text in messages)
    assert [row["step"] for row in metrics.read(file)] == [7, 14, 21, 28, *range(42, 85, 7)]


@pytest.fixture(scope="module")
def never_broken(tmp_path_factory):
    directory = tmp_path_factory.mktemp("never_broken") / "run"
    assert train.train(small_run(seeds=1, seed=3, steps=45), directory, Listener())
    return result_of(directory)


@pytest.mark.parametrize(
    ("env", "fault", "said"),
    [
        ("Broken", RuntimeError, "the simulator broke"),
        ("Hanging", TimeoutError, "no answer within 1 seconds"),
    ],
)
def test_an_environment_that_broke_is_named_and_stepped_again(
    never_broken, tmp_path, env, fault, said
):
    config = small_run(env=f"probe_environments:{env}-v0", seeds=1, seed=3, steps=45, env_timeout=1)
    with pytest.raises(fault, match=said) as raised:
        train.train(config, tmp_path / "run", Listener())
    where, saved = raised.value.__notes__
    assert where == f"In the environment: step 10 of an episode of {config.env}, seed 3."
    assert "29 transitions per seed, is saved" in saved
    train_in_parts(config, tmp_path / "run")
    assert result_of(tmp_path / "run") == never_broken


def test_an_environment_that_breaks_on_its_way_back_is_named_and_no_checkpoint_blamed(
    tmp_path, monkeypatch
):
    config = small_run(env="probe_environments:Drift-v0", seeds=1, steps=45, log_every=7)
    assert not train.train(config, tmp_path, StopAt(35))

    def step(env, action):
        raise ValueError("the server is down")

    with monkeypatch.context() as patch:
        patch.setattr(probe_environments.Drift, "step", step)
        with pytest.raises(ValueError, match=r"^the server is down") as raised:
            train.train(config, tmp_path, Listener())
    assert is_fault(raised.value)
    assert any("resumes at step 35" in text for text in train_in_parts(config, tmp_path))


def _hold(directory, held):
    with RunDirectory(directory).locked():
        held.set()
        time.sleep(60)


def test_a_second_process_is_kept_out_and_a_killed_one_leaves_no_lock(config, tmp_path):
    directory = tmp_path / "run"
    run = RunDirectory(directory)
    run.create(config)
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold, args=(directory, held))
    holder.start()
    assert held.wait(60)
    with pytest.raises(RunDirectoryError, match=f"another process.*{holder.pid}"):
        train.train(config, directory, Listener())
    holder.kill()
    holder.join()
    with run.locked():
        pass


COMMAND = [
    sys.executable, "-m", "jaxsac.cli.main", "train", "--env", "probe_environments:Scripted-v0",
    "--seeds", "2", "--steps", "500", "--learning-starts", "20", "--batch-size", "8",
    "--replay-capacity", "500", "--eval-every", "250", "--eval-episodes", "2", "--log-every", "50",
    "--hidden-sizes", "8", "--checkpoint-every", "20", "--encoder", "flat",
]  # fmt: skip


def start(directory, cache, **options):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [os.path.dirname(probe_environments.__file__), os.path.dirname(jaxsac.__path__[0])]
        ),
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(
        [*COMMAND, "--run-dir", str(directory)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("never_killed")
    process = start(folder / "run", folder / "cache")
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return result_of(folder / "run"), folder / "cache"


def test_after_a_full_disk_and_kills_at_random_moments_a_run_ends_as_if_there_were_none(
    never_killed, tmp_path
):
    expected, cache = never_killed
    directory, moments, kills = tmp_path / "run", random.Random(0), 0

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000))

    process = start(directory, cache, preexec_fn=limit)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "cannot write" in printed
    assert "free disk space" in printed
    assert "Traceback" not in printed
    assert checkpoint.steps(directory / "checkpoints")
    while True:
        saved = checkpoint.steps(directory / "checkpoints")
        checkpoint.verify(directory / "checkpoints", saved[-1])
        process = start(directory, cache)
        while process.poll() is None and checkpoint.steps(directory / "checkpoints") == saved:
            time.sleep(0.01)
        try:
            patience = 0.05 * moments.random() if kills < 2 else 300  # experiments/faults kills on
            printed, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, printed
        break
    assert kills == 2
    assert f"resumes at step {saved[-1]}" in printed
    assert result_of(directory) == expected
