"""Settings that others leave without effect are said, and those of a preset are left out."""

import dataclasses

import pytest

import jaxsac
from jaxsac.runs import train
from jaxsac.runs.settings import idle
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.settings import of_keywords
from jaxsac.sac.presets import PRESETS
from run_examples import Listener, small_run


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_atoms": 51}, "num_atoms 51 has no effect: head is 'scalar', and it is for 'cat"),
        ({"num_atoms": 51, "head": "categorical"}, None),
        ({"subset_size": 1}, "target_pessimism is 'minimum' and actor_pessimism is 'minimum'"),
        ({"subset_size": 1, "actor_pessimism": "random_subset"}, None),
        ({"batch_norm_momentum": 0.9, "normalization": "layer"}, "critic_normalization is 'layer'"),
        ({"batch_norm_momentum": 0.9, "normalization": "batch"}, None),
        ({"batch_norm_momentum": 0.9, "critic_normalization": "batch"}, None),
        ({"tau": 0.1, "forward": "joint"}, "tau 0.1 has no effect: forward is 'joint'"),
        ({"target_entropy": -1.0, "target_entropy_scale": 0.5}, "target_entropy is -1.0"),
        ({"reward_scale_bound": 2.0}, "reward_scale is 'none', and it is for 'return_bound'"),
    ],
)
def test_a_setting_without_effect_is_said(settings, said):
    remarks = idle.remarks(of_keywords("Pendulum-v1", **settings))
    assert len(remarks) == (said is not None)
    assert said is None or said in remarks[0]


def test_fields_of_networks_without_networks_are_said():
    (said,) = idle.remarks(of_keywords("Pendulum-v1", critic_kwargs={"width": 8}))
    assert said.startswith("critic_kwargs {'width': 8} has no effect: critic is None")
    own = of_keywords("Pendulum-v1", critic="networks:Critic", critic_kwargs={"width": 8})
    assert idle.remarks(own) == []


def test_a_run_on_the_device_says_what_is_for_the_host(tmp_path):
    settings = {"env_timeout": 5.0, "eval_envs": 2}
    assert idle.remarks(small_run(**settings)) == []
    config = small_run(env="jaxsac:Pendulum-v1", seeds=1, steps=30, **settings)
    listener = Listener()
    assert train.train(config, tmp_path, listener)
    for name, value in settings.items():
        said = f"{name} {value} has no effect: jaxsac:Pendulum-v1 steps on the device."
        assert said in listener.messages


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_no_setting_without_effect(name):
    assert idle.remarks(of_keywords("Pendulum-v1", preset=name)) == []


def test_a_choice_of_a_preset_can_be_made_otherwise():
    constant = of_keywords("Pendulum-v1", preset="flashsac", lr_schedule="constant")
    assert constant.hyperparameters.final_lr_scale == 0.0
    assert constant.hyperparameters.initial_alpha == 0.01, "what has an effect is the preset's"
    with pytest.raises(ValueError, match=r"final_lr_scale 0\.25 has no effect"):
        of_keywords("Pendulum-v1", preset="flashsac", lr_schedule="constant", final_lr_scale=0.25)


def test_all_settings_that_are_told_of_are_settings():
    fields = {
        field.name
        for kind in (RunConfig, jaxsac.Config, jaxsac.Hyperparameters)
        for field in dataclasses.fields(kind)
    }
    for name, use in idle.USES.items():
        assert {name, *use.settings} <= fields
    assert {*idle.ON_THE_HOST, *idle.OF_ONES_OWN, *idle.OF_ONES_OWN.values()} <= fields
