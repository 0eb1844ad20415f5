"""A sweep trains every seed at every point, each as it would be trained alone."""

import csv
import os
from pathlib import Path

import gymnasium
import jax
import numpy as np
import pytest

import jaxsac
from jaxsac.cli import commands
from jaxsac.runs import train
from jaxsac.sweeps import plan, results
from run_examples import Listener, agent_of, member, small_run


def test_a_grid_is_one_group_for_each_static_value():
    base = small_run(seeds=3)
    settings = ("actor_lr=1e-4,1e-3", "hidden_sizes=8,8x4", "target-entropy=-1,-2,-3")
    first, second = plan.groups(base, settings)
    assert [first.name, second.name] == ["hidden_sizes=8", "hidden_sizes=8x4"]
    assert first.config.agent.hidden_sizes == (8,)
    assert second.config.agent.hidden_sizes == (8, 4)
    for group in (first, second):
        assert group.config.population == 18
        assert group.config.hyperparameters.actor_lr == (1e-4,) * 3 + (1e-3,) * 3
        assert group.config.hyperparameters.target_entropy == (-1, -2, -3) * 2
        assert group.config.hyperparameters.gamma == base.hyperparameters.gamma
        assert [point["target_entropy"] for point in group.points] == [-1, -2, -3] * 2
        assert type(group.config).from_json(group.config.to_json()) == group.config


def test_every_seed_is_at_every_point():
    (group,) = plan.groups(small_run(seeds=2, seed=5), ("tau=0.1,0.2",))
    config = group.config
    assert config.member_names == [
        "point-000-seed-0005", "point-000-seed-0006", "point-001-seed-0005", "point-001-seed-0006",
    ]  # fmt: skip
    assert config.member_seeds == [5, 6, 5, 6]
    np.testing.assert_array_equal(config.member_hyperparameters.tau, [0.1, 0.1, 0.2, 0.2])
    assert config.points == [{"tau": 0.1}, {"tau": 0.2}]


def test_a_random_search_draws_from_ranges_and_lists_and_repeats_itself():
    settings = ("critic_lr=1e-5:1e-1", "target_entropy=-4:-2", "gamma=0.9,0.99")
    (group,) = plan.groups(small_run(), settings, samples=200)
    rates = np.log10([point["critic_lr"] for point in group.points])
    assert -5 <= rates.min() < -4.8
    assert -1.2 < rates.max() <= -1
    assert abs(rates.mean() + 3) < 0.3, "uniform in the logarithm"
    assert all(-4 <= point["target_entropy"] <= -2 for point in group.points)
    assert {point["gamma"] for point in group.points} == {0.9, 0.99}
    assert plan.groups(small_run(), settings, samples=200) == [group]


@pytest.mark.parametrize(
    ("settings", "samples", "said"),
    [
        ((), 3, "nothing to draw"),
        (("speed=1",), None, "cannot sweep over 'speed=1'.*actor_lr"),
        (("actr_lr=1",), None, "cannot sweep over 'actr_lr=1': is it 'actor_lr'"),
        (("gamma",), None, "cannot sweep over 'gamma': Give"),
        (("gamma=high",), None, "cannot sweep over .gamma=high.: .* Give gamma=value,value"),
        (("value_network=perhaps",), None, "neither true nor false"),
        (("batch_size=8:16",), 3, "batch_size is no hyperparameter.*low:high of a hyperparameter"),
        (("gamma=0.9:0.8",), 3, "begins with its lower end.*low:high"),
        (("gamma=0.8:0.9",), None, "how many points.*--samples"),
        (("gamma=0.8:0.9",), 0, "samples"),
        (("gamma=0.8", "gamma=0.9"), None, "twice"),
        (("gamma=0.9,1.1",), None, "gamma must be between 0 and 1"),
        (("batch_size=0",), None, "batch_size must be at least 1"),
        (("num_quantiles=10,25",), None, "num_quantiles would change nothing: head is 'scalar'"),
        (("reward_scale_bound=1,2",), None, "reward_scale is 'none', and it is for 'return_bound'"),
    ],
)
def test_what_cannot_be_swept_over_is_refused(settings, samples, said):
    with pytest.raises(ValueError, match=said):
        plan.groups(small_run(), settings, samples)


def test_a_choice_is_swept_over_with_what_belongs_to_one_of_its_values():
    base = small_run(
        agent=jaxsac.Config(lr_schedule="cosine"),
        hyperparameters=jaxsac.Hyperparameters(final_lr_scale=0.5),
    )
    cosine, constant = plan.groups(base, ("lr_schedule=cosine,constant",))
    assert cosine.config.hyperparameters.final_lr_scale == 0.5
    assert constant.config.hyperparameters.final_lr_scale == 0.0
    groups = plan.groups(base, ("head=scalar,quantile", "num_quantiles=10,25"))
    assert len(groups) == 4


def test_a_member_learns_in_a_sweep_what_it_learns_alone(tmp_path):
    (group,) = plan.groups(small_run(seeds=2), ("actor_lr=0.01,0.05", "gamma=0.9,0.5"))
    assert train.train(group.config, tmp_path / "all", Listener())
    together = agent_of(tmp_path / "all", group.config)
    alone = small_run(
        seeds=1, seed=1,
        hyperparameters=small_run().hyperparameters.replace(actor_lr=0.05, gamma=0.9),
    )  # fmt: skip
    assert train.train(alone, tmp_path / "alone", Listener())
    index = 2 * 2 + 1
    for a, b in zip(
        jax.tree.leaves(member(together, index)),
        jax.tree.leaves(member(agent_of(tmp_path / "alone", alone), 0)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    others = [np.asarray(member(together, k).temperature.params) for k in range(8)]
    assert len(set(map(float, others))) == 8


def test_the_command_leaves_a_tidy_table_and_a_plot_and_resumes(tmp_path, capsys):
    command = [
        "sweep", "--env", "probe_environments:Drift-v0", "--seeds", "2", "--steps", "60",
        "--learning-starts", "20", "--batch-size", "8", "--replay-capacity", "200",
        "--eval-every", "20",
        "--eval-episodes", "2", "--log-every", "20", "--hidden-sizes", "8", "--set",
        "actor_lr=1e-3,1e-2", "--set", "batch_size=4,8", "--run-dir", str(tmp_path / "sweep"),
    ]  # fmt: skip
    assert commands.run(command) == 0
    with (tmp_path / "sweep" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 2 * 3, "points × seeds × rows"
    assert {(r["actor_lr"], r["batch_size"], r["point"]) for r in rows} == {
        ("0.001", "4", "0"), ("0.01", "4", "1"), ("0.001", "8", "2"), ("0.01", "8", "3"),
    }  # fmt: skip
    assert (tmp_path / "sweep" / "sweep.png").stat().st_size > 10_000
    capsys.readouterr()
    assert commands.run(command) == 0
    out = capsys.readouterr().out
    assert out.count("complete: nothing to do") == 2
    assert out.count("±") == 1 + 4, "in the title and for each point"


def wandering():
    Path("elsewhere").mkdir(exist_ok=True)
    os.chdir("elsewhere")
    return gymnasium.make("probe_environments:Drift-v0")


def test_a_sweep_stays_in_one_place_whoever_changes_the_working_folder(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    command = [
        "sweep", "--env", "test_plan:wandering", "--seeds", "1", "--steps", "40",
        "--learning-starts", "20", "--batch-size", "8", "--replay-capacity", "200",
        "--eval-every", "0", "--log-every", "20", "--hidden-sizes", "8", "--run-dir", "sweep",
        "--set", "batch_size=4,8",
    ]  # fmt: skip
    assert commands.run(command) == 0
    assert Path.cwd() != tmp_path
    assert "±" not in capsys.readouterr().out, "one seed has no spread"
    there = {path.name for path in (tmp_path / "sweep").iterdir()}
    assert there == {"batch_size=4", "batch_size=8", "sweep.csv", "sweep.json", "sweep.png"}


def test_a_sweep_without_any_return_says_so(tmp_path, capsys):
    command = [
        "sweep", "--env", "probe_environments:Endless-v0", "--seeds", "1", "--steps", "40",
        "--learning-starts", "20", "--batch-size", "8", "--replay-capacity", "200",
        "--eval-every", "0", "--log-every", "20", "--hidden-sizes", "8", "--run-dir", str(tmp_path),
    ]  # fmt: skip
    assert commands.run(command) == 0
    assert "no train_return in the last fifth" in capsys.readouterr().out
    assert (tmp_path / "sweep.csv").exists()


def test_a_score_counts_steps_of_the_last_fifth_and_not_evaluations():
    returns = {0: 1e9, 70: 0, 90: 20, 92: 20, 94: 20, 100: 80}
    table = [
        {"point": point, "seed": seed, "step": step, "eval_return": 100 * point + seed + value}
        for point in (0, 1)
        for seed in (0, 1)
        for step, value in returns.items()
    ]
    table.append({"point": 1, "seed": 1, "step": 100, "eval_return": None})
    table.append({"point": 2, "seed": 0, "step": 80, "eval_return": 5})
    found = results.scores(table, "eval_return")
    mean = (10 * (10 + 20) / 2 + 4 * 20 + 6 * (20 + 80) / 2) / 20
    np.testing.assert_allclose(found.pop(0), [mean, mean + 1])
    np.testing.assert_allclose(found.pop(1), [mean + 100, mean + 101])
    assert not found, "of what was not evaluated late there is no score"


def test_a_point_that_is_drawn_or_given_twice_is_trained_once():
    drawn = plan.groups(small_run(), ("batch_size=8,16",), samples=9)
    assert sorted(group.name for group in drawn) == ["batch_size=16", "batch_size=8"]
    assert [len(group.points) for group in drawn] == [1, 1]
    (group,) = plan.groups(small_run(), ("gamma=0.9,0.9,0.8",))
    assert [point["gamma"] for point in group.points] == [0.9, 0.8]
