"""Soft Actor-Critic's update in float64 NumPy, every gradient written out by hand.

For ReLU networks and a flat observation. A network is a list of arrays [W1, b1, W2, b2, ...];
the critics are a list of networks.
"""

import numpy as np


def forward(net, x):
    """The output, and the input of every layer."""
    inputs = [x]
    pairs = list(zip(net[::2], net[1::2], strict=True))
    for weight, bias in pairs[:-1]:
        inputs.append(np.maximum(inputs[-1] @ weight + bias, 0))
    weight, bias = pairs[-1]
    return inputs[-1] @ weight + bias, inputs


def backward(net, inputs, d_output):
    """Gradients of the network's arrays and of its input, given that of its output."""
    gradient, d = [], d_output
    for layer in reversed(range(len(inputs))):
        gradient = [inputs[layer].T @ d, d.sum(0), *gradient]
        d = d @ net[2 * layer].T
        if layer:
            d = d * (inputs[layer] > 0)
    return gradient, d


def log_one_minus_tanh_squared(u):
    return 2 * (np.log(2) - np.abs(u) - np.log1p(np.exp(-2 * np.abs(u))))


def draw(actor, observation, noise, log_std_range):
    """Action, log-probability and what the backward pass needs."""
    output, inputs = forward(actor, observation)
    mean, raw_log_std = np.split(output, 2, axis=-1)
    log_std = np.clip(raw_log_std, *log_std_range)
    std = np.exp(log_std)
    u = mean + std * noise
    log_normal = -((u - mean) ** 2) / (2 * std**2) - log_std - np.log(2 * np.pi) / 2
    log_prob = (log_normal - log_one_minus_tanh_squared(u)).sum(-1)
    inside = (raw_log_std > log_std_range[0]) & (raw_log_std < log_std_range[1])
    return np.tanh(u), log_prob, (inputs, std, inside)


def min_q(critics, observation, action):
    x = np.concatenate([observation, action], -1)
    return np.min([forward(net, x)[0][:, 0] for net in critics], axis=0)


def soft_value(critics, actor, alpha, observation, noise, log_std_range):
    """min Q(s, a) - α log π(a|s) of one action for every state."""
    action, log_prob, _ = draw(actor, observation, noise, log_std_range)
    return min_q(critics, observation, action) - alpha * log_prob


def value_step(value, target, observation):
    """Loss, gradient, mean prediction."""
    output, inputs = forward(value, observation)
    error = output[:, 0] - target
    gradient, _ = backward(value, inputs, error[:, None] / len(error))
    return 0.5 * np.mean(error**2), gradient, output.mean()


def critic_step(critics, gamma, batch, next_value):
    """Loss, gradient (a network for every critic), mean prediction, mean target."""
    target = batch.reward + gamma * batch.discount * next_value
    x = np.concatenate([batch.observation, batch.action], -1)
    loss, gradient, predictions = 0.0, [], []
    for net in critics:
        output, inputs = forward(net, x)
        error = output[:, 0] - target
        loss += 0.5 * np.mean(error**2)
        gradient.append(backward(net, inputs, error[:, None] / len(error))[0])
        predictions.append(output)
    return loss, gradient, np.mean(predictions), target.mean()


def actor_terms(actor, critics, alpha, observation, noise, log_std_range):
    """Loss, entropy, and the gradients score, entropy path, Q path and likelihood ratio.

    One action for every state; its baseline is the objective at the mode.
    """
    action, log_prob, (inputs, std, inside) = draw(actor, observation, noise, log_std_range)
    x = np.concatenate([observation, action], -1)
    outputs = [forward(net, x) for net in critics]
    q = np.stack([output[:, 0] for output, _ in outputs])
    lowest = q.argmin(0)
    dq_daction = np.zeros_like(action)
    for i, (net, (_, hidden)) in enumerate(zip(critics, outputs, strict=True)):
        _, d_x = backward(net, hidden, (lowest == i).astype(float)[:, None])
        dq_daction += d_x[:, observation.shape[1] :]

    def through(d_mean, d_log_std):
        d_output = np.concatenate([d_mean, d_log_std * inside], -1) / len(noise)
        return backward(actor, inputs, d_output)[0]

    # With ε = (u - mean) / std: ∂log N/∂mean = ε/std and ∂log N/∂log std = ε² - 1 at fixed u,
    # ∂log N/∂u = -ε/std, ∂(-log(1 - tanh²u))/∂u = 2 tanh u, ∂u/∂mean = 1, ∂u/∂log std = std ε.
    score = through(alpha * noise / std, alpha * (noise**2 - 1))
    d_u = alpha * (2 * action - noise / std)
    entropy_path = through(d_u, d_u * std * noise)
    d_u = -dq_daction * (1 - action**2)
    q_path = through(d_u, d_u * std * noise)
    objective = alpha * log_prob - q.min(0)
    mode, mode_log_prob, _ = draw(actor, observation, 0 * noise, log_std_range)
    baseline = alpha * mode_log_prob - min_q(critics, observation, mode)
    advantage = (objective - baseline)[:, None]
    likelihood_ratio = through(advantage * noise / std, advantage * (noise**2 - 1))
    terms = (score, entropy_path, q_path, likelihood_ratio)
    return np.mean(objective), -log_prob.mean(), terms


def actor_estimates(actor, critics, alpha, observation, noise, log_std_range):
    """Loss, entropy and the gradient of every estimator, means over the samples (K, B, A)."""
    samples = [
        actor_terms(actor, critics, alpha, observation, each, log_std_range) for each in noise
    ]
    losses, entropies, terms = zip(*samples, strict=True)
    score, entropy_path, q_path, likelihood_ratio = (
        [array / len(noise) for array in add(*gradients)] for gradients in zip(*terms, strict=True)
    )
    path = add(entropy_path, q_path)
    gradients = {"total": add(path, score), "path": path, "score": likelihood_ratio}
    return np.mean(losses), np.mean(entropies), gradients


def add(*networks):
    return [sum(arrays) for arrays in zip(*networks, strict=True)]


def joined(networks):
    return [array for net in networks for array in net]


def adam(arrays, moments, gradient, learning_rate):
    """Kingma & Ba 2015, algorithm 1; `moments` is (count, first, second)."""
    count, first, second = moments
    count += 1
    first = [0.9 * m + 0.1 * g for m, g in zip(first, gradient, strict=True)]
    second = [0.999 * v + 0.001 * g**2 for v, g in zip(second, gradient, strict=True)]
    arrays = [
        x - learning_rate * (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
        for x, m, v in zip(arrays, first, second, strict=True)
    ]
    return arrays, (count, first, second)


def norm(gradient):
    return np.sqrt(sum(np.sum(g**2) for g in gradient))


def update(state, batch, target_noise, action_noise, hyper, log_std_range, estimator):
    """One update of a dict with actor, critics, log_alpha, their Adam moments and targets.

    The targets are those of the critics, or of the value network where the dict has one.
    """
    alpha = np.exp(state["log_alpha"])
    if "value" in state:
        next_value = forward(state["target_value"], batch.next_observation)[0][:, 0]
    else:
        next_value = soft_value(
            state["targets"], state["actor"], alpha, batch.next_observation, target_noise,
            log_std_range,
        )  # fmt: skip
    critic_loss, critic_gradient, q_mean, target_mean = critic_step(
        state["critics"], hyper.gamma, batch, next_value
    )
    flat_gradient = joined(critic_gradient)
    flat_critics, critic_moments = adam(
        joined(state["critics"]), state["critic_moments"], flat_gradient, hyper.critic_lr
    )
    length = len(state["critics"][0])
    critics = [flat_critics[i : i + length] for i in range(0, len(flat_critics), length)]

    actor_loss, entropy, gradients = actor_estimates(
        state["actor"], critics, alpha, batch.observation, action_noise, log_std_range
    )
    actor_gradient = gradients[estimator]
    actor, actor_moments = adam(
        state["actor"], state["actor_moments"], actor_gradient, hyper.actor_lr
    )

    alpha_gradient = entropy - hyper.target_entropy
    (log_alpha,), alpha_moments = adam(
        [state["log_alpha"]], state["alpha_moments"], [alpha_gradient], hyper.alpha_lr
    )
    new_state = {
        "actor": actor, "critics": critics, "log_alpha": log_alpha,
        "actor_moments": actor_moments, "critic_moments": critic_moments,
        "alpha_moments": alpha_moments,
    }  # fmt: skip
    metrics = {
        "critic_loss": critic_loss, "actor_loss": actor_loss,
        "alpha_loss": state["log_alpha"] * alpha_gradient, "alpha": alpha, "entropy": entropy,
        "q_mean": q_mean, "target_mean": target_mean,
        "critic_gradient_norm": norm(flat_gradient),
        "actor_gradient_norm": norm(actor_gradient),
        "alpha_gradient_norm": np.abs(alpha_gradient), "skipped": 0,
    }  # fmt: skip
    if "value" not in state:
        new_state["targets"] = [
            moved(*nets, hyper.tau) for nets in zip(state["targets"], critics, strict=True)
        ]
        return new_state, metrics

    target = soft_value(
        state["critics"], state["actor"], alpha, batch.observation, target_noise, log_std_range
    )
    value_loss, gradient, value_mean = value_step(state["value"], target, batch.observation)
    new_state["value"], new_state["value_moments"] = adam(
        state["value"], state["value_moments"], gradient, hyper.critic_lr
    )
    new_state["target_value"] = moved(state["target_value"], new_state["value"], hyper.tau)
    metrics |= {
        "value_loss": value_loss, "value_mean": value_mean, "value_gradient_norm": norm(gradient)
    }  # fmt: skip
    return new_state, metrics


def moved(target, net, tau):
    return [(1 - tau) * old + tau * new for old, new in zip(target, net, strict=True)]


def from_params(params):
    """A network of Flax Dense layers as a list of arrays."""
    (mlp,) = params.values()
    layers = [mlp[f"Dense_{i}"] for i in range(len(mlp))]
    return [np.asarray(x) for layer in layers for x in (layer["kernel"], layer["bias"])]


def ensemble_from_params(params):
    stacked = from_params(params)
    return [[x[i] for x in stacked] for i in range(len(stacked[0]))]


def from_state(state):
    """A jaxsac State as the dict that `update` above takes."""

    def moments(opt_state, convert):
        adam_state = opt_state[0]
        return int(adam_state.count), convert(adam_state.mu), convert(adam_state.nu)

    if state.config.value_network:
        targets = {
            "value": from_params(state.critic.value.params),
            "target_value": from_params(state.critic.target_value_params),
            "value_moments": moments(state.critic.value.opt_state, from_params),
        }
    else:
        targets = {"targets": ensemble_from_params(state.critic.target_params)}
    return {
        **targets,
        "actor": from_params(state.actor.params),
        "critics": ensemble_from_params(state.critic.params),
        "log_alpha": np.asarray(state.temperature.params),
        "actor_moments": moments(state.actor.opt_state, from_params),
        "critic_moments": moments(
            state.critic.opt_state, lambda params: joined(ensemble_from_params(params))
        ),
        "alpha_moments": moments(state.temperature.opt_state, lambda x: [np.asarray(x)]),
    }
