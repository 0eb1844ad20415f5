# pyright: reportMissingImports=false
"""Stable-Baselines3: the losses, gradients and parameters of its own `SAC.train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import case
import numpy as np
import torch
from spaces_alone import SpacesAlone
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples


def main() -> None:
    facts: dict[str, Any] = {"defaults": defaults(), "initial": initial()}
    facts["as shipped"] = losses_and_gradients(case.make("float32", wide=False))
    with double_precision():
        facts["double precision"] = losses_and_gradients(case.make("float64"))
        facts["updated"] = updated(case.make("float64"))
    case.write("sb3", ("stable-baselines3", "torch"), facts)


def defaults() -> dict[str, Any]:
    """What a user gets who sets nothing."""
    model = SAC("MlpPolicy", SpacesAlone(), device="cpu")
    lr = model.lr_schedule(1)
    return {
        "hidden_sizes": model.actor.net_arch, "actor_lr": lr, "critic_lr": lr, "alpha_lr": lr,
        "gamma": model.gamma, "tau": model.tau, "target_entropy": model.target_entropy,
        "initial_alpha": float(model.log_ent_coef.detach().exp()), "batch_size": model.batch_size,
        "learning_starts": model.learning_starts, "replay_capacity": model.buffer_size,
    }  # fmt: skip


def initial() -> dict[str, Any]:
    model = SAC("MlpPolicy", SpacesAlone(17, 6), seed=0, device="cpu")
    return {
        "actor": case.spread([actor_network(model)]),
        "critic": case.spread(critic_networks(model.critic)),
    }


def losses_and_gradients(the: case.Case) -> dict[str, Any]:
    """All at the weights of the case: with a learning rate of 0 no step moves anything."""
    model = make(the, learning_rate=0.0)
    gradients: dict[str, Any] = {}
    for name, optimizer, of in (
        ("critic", model.critic.optimizer, lambda: critic_networks(model.critic, gradient)),
        ("actor", model.actor.optimizer, lambda: [actor_network(model, gradient)]),
        ("alpha", model.ent_coef_optimizer, lambda: [[gradient(model.log_ent_coef)]]),
    ):
        # As a step begins: later losses add to the gradients of networks that they pass through.
        optimizer.register_step_pre_hook(
            lambda *_, name=name, of=of: gradients.update({f"{name}_gradient": case.flat(of())})
        )
    train(model, the)
    logged = model.logger.name_to_value
    return {
        "critic_loss": float(logged["train/critic_loss"]),
        "actor_loss": float(logged["train/actor_loss"]),
        "alpha_loss": float(logged["train/ent_coef_loss"]),
        **gradients,
    }


def updated(the: case.Case) -> dict[str, Any]:
    """The parameters after one update with the default optimizers."""
    model = make(the)
    train(model, the)
    return {
        "actor": case.flat([actor_network(model)]),
        "critics": case.flat(critic_networks(model.critic)),
        "targets": case.flat(critic_networks(model.critic_target)),
        "log_alpha": float(model.log_ent_coef.detach()),
    }


def make(the: case.Case, **options: Any) -> SAC:
    env = SpacesAlone(case.OBSERVATION_SIZE, case.ACTION_SIZE)
    net_arch = list(case.HIDDEN_SIZES)
    model = SAC("MlpPolicy", env, policy_kwargs={"net_arch": net_arch}, device="cpu", **options)
    model.set_logger(Logger(folder=None, output_formats=[]))
    with torch.no_grad():
        fill(actor_layers(model), case.split_heads(the.actor))
        for critic, networks in ((model.critic, the.critics), (model.critic_target, the.targets)):
            for q, network in zip(critic.q_networks, networks, strict=True):
                fill(linear_layers(q), list(zip(network[::2], network[1::2], strict=True)))
        model.log_ent_coef.fill_(float(the.log_alpha))
    return model


def train(model: SAC, the: case.Case) -> None:
    """One gradient step of `SAC.train` on the case, the actor's noise first as it draws it."""
    batch = ReplayBufferSamples(
        torch.tensor(the.observation), torch.tensor(the.action),
        torch.tensor(the.next_observation), torch.tensor(the.terminated)[:, None],
        torch.tensor(the.reward)[:, None],
    )  # fmt: skip
    noise = [torch.tensor(the.noise), torch.tensor(the.next_noise)]
    drawn = mock.patch(
        "torch.distributions.normal._standard_normal", side_effect=lambda *_, **__: noise.pop(0)
    )
    with mock.patch.object(model.replay_buffer, "sample", return_value=batch), drawn:
        model.train(gradient_steps=1, batch_size=case.BATCH_SIZE)
    assert not noise


@contextmanager
def double_precision() -> Iterator[None]:
    """SB3's own code in float64. It makes all observations `float`, whatever they were."""
    torch.set_default_dtype(torch.float64)
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        yield
    torch.set_default_dtype(torch.float32)


def linear_layers(module: torch.nn.Module) -> list[torch.nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]


def actor_layers(model: SAC) -> list[torch.nn.Linear]:
    return [*linear_layers(model.actor.latent_pi), model.actor.mu, model.actor.log_std]


def fill(layers: list[torch.nn.Linear], arrays: list[Any]) -> None:
    for layer, (weight, bias) in zip(layers, arrays, strict=True):
        layer.weight.copy_(torch.tensor(weight.T))
        layer.bias.copy_(torch.tensor(bias))


def value(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().numpy().copy()


def gradient(parameter: torch.Tensor) -> np.ndarray:
    return parameter.grad.numpy().copy()


def arrays_of(layers: list[torch.nn.Linear], of: Any) -> list[list[np.ndarray]]:
    return [[of(layer.weight).T, of(layer.bias)] for layer in layers]


def actor_network(model: SAC, of: Any = value) -> case.Network:
    return case.join_heads(arrays_of(actor_layers(model), of))


def critic_networks(critic: Any, of: Any = value) -> list[case.Network]:
    return [
        [array for layer in arrays_of(linear_layers(q), of) for array in layer]
        for q in critic.q_networks
    ]


if __name__ == "__main__":
    main()
