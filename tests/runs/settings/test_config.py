import json
from fractions import Fraction

import pytest
from flax import linen as nn

import jaxsac
from jaxsac.runs import upgrade
from jaxsac.runs.settings.config import RunConfig, unknown_settings
from run_examples import small_run


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": -5}, "steps must be at least 1"),
        ({"num_envs": 0}, "num_envs must be at least 1"),
        ({"update_every": 0}, "update_every must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"replay_capacity": 0}, "replay_capacity must be at least 1"),
        ({"log_every": 0}, "log_every must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"learning_starts": -1}, "learning_starts must be at least 0"),
        ({"eval_every": -1}, "eval_every must be at least 0"),
        ({"eval_every": 10, "eval_episodes": 0}, "eval_episodes must be at least 1"),
        ({"utd": 0.0}, "utd must be a positive number"),
        ({"utd": -1.0}, "utd must be a positive number"),
        ({"utd": float("nan")}, "utd must be a positive number"),
        ({"utd": float("inf")}, "utd must be a positive number"),
        ({"utd": 1e-9}, "utd"),
        ({"batch_size": 21}, "batch_size 21 is more than replay holds"),
        ({"batch_size": 8, "replay_capacity": 7}, "batch_size 8 is more than replay holds"),
        (
            {"batch_size": 8, "n_step": 5, "num_envs": 4},
            r"\(4 = .* 20 - \(n_step 5 - 1\) · num_envs 4 and replay",
        ),
        ({"n_step": 0}, "n_step must be at least 1"),
        ({"env_workers": -1}, "env_workers must be at least 0"),
        ({"env_workers": "many"}, "env_workers must be a whole number, got 'many'"),
        ({"reset_every": -1}, "reset_every must be at least 0"),
        ({"noise_hold": 0}, "noise_hold must be at least 1"),
        (
            {"reward_scale": "return"},
            "reward_scale must be one of none, return_std, return_bound, got 'return'",
        ),
        ({"reward_scale_bound": 0.0}, "reward_scale_bound must be a positive number, got 0.0"),
        ({"learning_starts": 0}, "more than replay holds at the first update"),
        ({"init_from": ""}, "init_from is an empty text"),
        ({"prior_data": ""}, "prior_data is an empty text"),
    ],
)
def test_a_value_that_no_run_can_have_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small_run(**changes)


@pytest.mark.parametrize(
    "changes", [{"gamma": 1.5}, {"tau": -0.1}, {"initial_alpha": 0.0}, {"actor_lr": float("nan")}]
)
def test_a_hyperparameter_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        small_run(hyperparameters=jaxsac.Hyperparameters(**changes))


def test_the_limits_themselves_are_allowed():
    small_run(batch_size=20, learning_starts=20, replay_capacity=20)
    small_run(eval_every=0, eval_episodes=0)
    small_run(utd=0.001)
    small_run(seed=0)


@pytest.mark.parametrize(
    ("utd", "ratio"), [(1.0, "1"), (0.25, "1/4"), (0.1, "1/10"), (1 / 3, "1/3"), (20.0, "20")]
)
def test_the_update_ratio_is_exact(utd, ratio):
    assert small_run(utd=utd).schedule.utd == Fraction(ratio)


def test_the_members_are_numbered_from_the_first_seed():
    assert small_run(seed=7, seeds=3).member_seeds == [7, 8, 9]


def test_a_configuration_survives_json():
    config = small_run(
        utd=0.25,
        agent=jaxsac.Config(
            hidden_sizes=(7, 5, 3), normalization="layer", num_critics=5, value_network=True
        ),
        hyperparameters=jaxsac.Hyperparameters(gamma=0.987654321, target_entropy=-3.5),
    )
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    plain = RunConfig(env="Pendulum-v1")
    assert RunConfig.from_json(json.loads(json.dumps(plain.to_json()))) == plain


@pytest.mark.parametrize("name", ["gamma", "num_critics", "hidden_sizes", "utd", "target_entropy"])
def test_a_missing_setting_takes_its_default(name):
    values = RunConfig("Pendulum-v1").to_json()
    del values[name]
    assert RunConfig.from_json(values) == RunConfig("Pendulum-v1")


def test_an_unknown_setting_is_left_out_and_can_be_named():
    values = {**small_run().to_json(), "warp": 9, "drive": [1, 2]}
    assert RunConfig.from_json(values) == small_run()
    assert unknown_settings(values) == ["drive", "warp"]
    assert unknown_settings(small_run().to_json()) == []


def test_a_run_without_an_environment_is_refused():
    values = small_run().to_json()
    del values["env"]
    with pytest.raises(ValueError, match="env"):
        RunConfig.from_json(values)


def test_settings_of_an_older_version_do_what_they_did(monkeypatch):
    monkeypatch.setitem(
        upgrade.RENAMED, 2,
        {"normed": upgrade.Renamed("normalization", {"no": "none", "yes": "layer"}),
         "rate": upgrade.Renamed("gamma")},
    )  # fmt: skip
    monkeypatch.setitem(upgrade.MISSING, 2, {"tau": 0.5, "batch_size": 16})
    values = {"env": "Pendulum-v1", "normed": "yes", "rate": 0.7, "batch_size": 32}
    config = RunConfig.from_json(values, 2)
    assert config.agent.normalization == "layer"
    assert (config.hyperparameters.gamma, config.hyperparameters.tau) == (0.7, 0.5)
    assert config.batch_size == 32, "what it says counts more than what was usual"
    assert unknown_settings(values, 2) == []
    assert RunConfig.from_json({"env": "Pendulum-v1"}).hyperparameters.tau == 0.005
    with pytest.raises(ValueError, match="perhaps"):
        RunConfig.from_json({**values, "normed": "perhaps"}, 2)


def test_reading_does_not_change_what_is_read():
    values = small_run().to_json()
    before = dict(values)
    RunConfig.from_json(values)
    assert values == before


def test_custom_networks_have_no_manifest():
    with pytest.raises(ValueError, match="name it as actor"):
        small_run(agent=jaxsac.Config(actor=nn.Dense(2))).to_json()


@pytest.mark.parametrize("first", [2**32 - 1, 5_000_000_000])
def test_seeds_that_keys_would_not_tell_apart_are_refused(first):
    assert small_run(seed=2**32 - 2, seeds=2).member_seeds == [2**32 - 2, 2**32 - 1]
    with pytest.raises(ValueError, match=f"below 2\\^32.*{first}"):
        small_run(seed=first, seeds=2)
