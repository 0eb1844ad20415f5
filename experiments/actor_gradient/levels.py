"""The identity ∇J = score + pathwise at five levels, each a comparison with a tolerance.

Everything here runs in double precision unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

import jaxsac
from jaxsac.sac.losses import ESTIMATORS, actor_loss
from jaxsac.sac.networks import Networks, make_networks
from jaxsac.sac.state import Trained
from jaxsac.types import Params

ALPHA = 0.2
UNUSED_KEY = jax.random.key(0)
"""These networks draw no numbers."""
DIFFERENCE = 0.01
"""Step of the finite differences, of eighth order."""


class Row(NamedTuple):
    """One line of the table."""

    level: int
    compared: str
    deviation: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the deviation is within the tolerance."""
        return self.deviation <= self.tolerance


def relative(actual: Any, expected: Any) -> float:
    """Largest difference, as a share of the largest number expected."""
    return float(np.max(np.abs(np.subtract(actual, expected))) / np.max(np.abs(expected)))


# Level 1: a Gaussian in one dimension, by hand.


def gaussian(count: int = 1000) -> Iterator[Row]:
    """Closed forms of ∂ log π/∂a, score, pathwise and total, against automatic differentiation."""

    def mean(p: jax.Array) -> jax.Array:
        return jnp.sin(p[0]) + p[0] * p[1]

    def std(p: jax.Array) -> jax.Array:
        return jnp.exp(0.3 * p[0] - 0.2 * p[1] ** 2)

    def sample(p: jax.Array, noise: jax.Array) -> jax.Array:
        return mean(p) + std(p) * noise

    def log_prob(a: jax.Array, p: jax.Array) -> jax.Array:
        return norm.logpdf(a, mean(p), std(p))

    def by_hand(p: jax.Array, noise: jax.Array) -> list[jax.Array]:
        mu, sigma, a = mean(p), std(p), sample(p, noise)
        d_mu = jnp.array([jnp.cos(p[0]) + p[1], p[0]])
        d_sigma = sigma * jnp.array([0.3, -0.4 * p[1]])
        d_a = -(a - mu) / sigma**2
        score = -d_sigma / sigma + (a - mu) * d_mu / sigma**2 + (a - mu) ** 2 * d_sigma / sigma**3
        return [d_a, score, d_a * (d_mu + noise * d_sigma), -d_sigma / sigma]

    def automatic(p: jax.Array, noise: jax.Array) -> list[jax.Array]:
        a = sample(p, noise)
        return [
            jax.grad(log_prob)(a, p),
            jax.grad(log_prob, argnums=1)(a, p),
            jax.grad(lambda q: log_prob(sample(q, noise), p))(p),
            jax.grad(lambda q: log_prob(sample(q, noise), q))(p),
        ]

    params = jax.random.normal(jax.random.key(0), (count, 2))
    noise = jax.random.normal(jax.random.key(1), (count,))
    expected, actual = (jax.vmap(f)(params, noise) for f in (by_hand, automatic))
    names = (
        "∂ log π/∂a = -(a-μ)/σ²",
        "score = -∇σ/σ + (a-μ)∇μ/σ² + (a-μ)²∇σ/σ³",
        "pathwise = -(a-μ)/σ² (∇μ + ε∇σ)",
        "total = -∇σ/σ, the same for every ε",
    )
    for name, a, b in zip(names, actual, expected, strict=True):
        yield Row(1, f"Gaussian, autodiff against {name}", relative(a, b), 1e-12)


# Level 2: the tanh-Gaussian network.


class Example(NamedTuple):
    """An actor and two critics with random weights, states and noise."""

    networks: Networks
    actor: Trained
    critic: Trained
    observation: jax.Array
    noise: jax.Array


def example(dtype: str, batch_size: int = 256, hidden: int = 64) -> Example:
    """HalfCheetah's sizes: 17 observations, 6 actions. The same numbers in every precision."""
    generator = np.random.default_rng(0)
    config = jaxsac.Config(hidden_sizes=(hidden, hidden))
    state = jaxsac.init(jax.random.key(0), jnp.zeros(17, dtype), jnp.zeros(6, dtype), config)

    def draw(*shape: int) -> jax.Array:
        return jnp.asarray(generator.normal(size=shape), dtype)

    def weights(path: Any, x: jax.Array) -> jax.Array:
        return draw(*x.shape) * (0.1 if path[-1].key == "bias" else float(x.shape[-2]) ** -0.5)

    return Example(
        make_networks(config, state.action_spec),
        untrained(jax.tree.map_with_path(weights, state.actor.params)),
        untrained(jax.tree.map_with_path(weights, state.critic.params)),
        draw(batch_size, 17),
        draw(1, batch_size, 6),
    )


def untrained(params: Params) -> Trained:
    """The node of a network that no optimizer trains."""
    return Trained(params, (), {})


def score_and_pathwise(case: Example) -> tuple[Params, ...]:
    """The two parts as the equation has them, without the library's losses.

    α ∇_φ log π_φ(a|s)|_a and (α ∇_a log π(a|s) - ∇_a Q(s, a)) ∇_φ f_φ(ε; s). The action is written
    as u before tanh, whose Jacobian -log(1 - tanh²u) then belongs to log π.
    """

    def policy(params: Params) -> tuple[jax.Array, jax.Array]:
        outputs = case.networks.policy({"params": params}, case.observation)
        return outputs.mean, jnp.exp(outputs.log_std)

    def sample(params: Params) -> jax.Array:
        mean, std = policy(params)
        return mean + std * case.noise[0]

    def log_prob(u: jax.Array, params: Params) -> jax.Array:
        log_derivative = 2 * (jnp.log(2) - u - jax.nn.softplus(-2 * u))
        return jnp.sum(norm.logpdf(u, *policy(params)) - log_derivative)

    def q(u: jax.Array) -> jax.Array:
        return jnp.sum(q_values(case, jnp.tanh(u)).min(0))

    u, pull_back = jax.vjp(sample, case.actor.params)
    d_u, score = jax.grad(log_prob, argnums=(0, 1))(u, case.actor.params)
    (pathwise,) = pull_back(ALPHA * d_u - jax.grad(q)(u))
    count = len(case.observation)
    return tuple(
        jax.tree.map(lambda x, f=factor: f * x / count, tree)
        for tree, factor in ((score, ALPHA), (pathwise, 1.0))
    )


def q_values(case: Example, action: jax.Array) -> jax.Array:
    """Both critics, (2, B)."""
    return case.networks.q(case.critic.variables, case.observation, action)


def estimate(case: Example, estimator: str) -> Params:
    """The gradient of the library's actor loss."""
    gradient, _ = jax.grad(actor_loss, has_aux=True)(
        case.actor.params, case.networks, case.actor, case.critic, ALPHA, case.observation,
        case.noise, UNUSED_KEY, estimator,
    )  # fmt: skip
    return gradient


def network() -> Iterator[Row]:
    """score + pathwise against `jax.grad`, leaf by leaf."""
    for dtype, tolerance in (("float32", 1e-6), ("float64", 1e-12)):
        case = example(dtype)
        score, pathwise = score_and_pathwise(case)
        total = estimate(case, "total")
        for (path, a), b, expected in zip(
            jax.tree.leaves_with_path(score),
            jax.tree.leaves(pathwise),
            jax.tree.leaves(total),
            strict=True,
        ):
            name = jax.tree_util.keystr(path[1:], simple=True, separator=" ")
            what = f"network, {dtype}, {name}: score + pathwise against jax.grad"
            yield Row(2, what, relative(a + b, expected), tolerance)
    policy = case.networks.policy(case.actor.variables, case.observation)
    action = jnp.tanh(policy.mean + jnp.exp(policy.log_std) * case.noise[0])
    share = float(jnp.mean(jnp.argmin(q_values(case, action), axis=0)))
    yield Row(2, "network: both critics are the lower one somewhere: share, off one half",
              abs(share - 0.5), 0.49)  # fmt: skip


# Level 3: the common mistake, to differentiate through the sample alone.


class Mistake(NamedTuple):
    """Distance of the two means, as a share of the norm of the expected total gradient."""

    counts: np.ndarray
    """n."""
    distance: np.ndarray
    """Root mean square over the blocks of n samples, measured."""
    predicted: np.ndarray
    """√(E‖score‖²/n), in closed form."""
    num_blocks: np.ndarray
    """Blocks of n samples that were averaged over."""


def mistake(num_samples: int = 10**7, chunk: int = 10**4) -> Mistake:
    """‖mean of path - mean of total‖ over n samples at one state of the network.

    The difference is the score term, Jᵀ h with h = -α (ε/σ, ε² - 1) for the network's outputs
    (mean, log std): its mean over n samples is Jᵀ of the mean of h, and E‖Jᵀ h‖² = tr(J Jᵀ E hhᵀ)
    with E hhᵀ = α² diag(1/σ², 2).
    """
    case = example("float64", batch_size=1)
    size = case.noise.shape[-1]

    def outputs(params: Params) -> jax.Array:
        policy = case.networks.policy({"params": params}, case.observation)
        return jnp.concatenate([policy.mean, policy.log_std], axis=-1)[0]

    jacobian = jnp.concatenate(
        [x.reshape(2 * size, -1) for x in jax.tree.leaves(jax.jacrev(outputs)(case.actor.params))],
        axis=1,
    )
    gram = np.asarray(jacobian @ jacobian.T)
    std = np.exp(np.asarray(outputs(case.actor.params))[size:])
    scale = _expected_total_norm(case)

    generator = np.random.default_rng(0)
    sums, first = [], np.zeros(0)
    for _ in range(num_samples // chunk):
        noise = generator.normal(size=(chunk, size))
        h = ALPHA * np.concatenate([noise / std, noise**2 - 1], axis=1)
        sums.append(h.reshape(100, -1, 2 * size).sum(1))
        first = h  # single samples, for the smallest counts
    sums = np.concatenate(sums)  # of chunk/100 samples each
    counts, distance, blocks = [], [], []
    for n in 10 ** np.arange(round(np.log10(num_samples)) + 1):
        source, each = (first, 1) if n < chunk // 100 else (sums, chunk // 100)
        rows = source.reshape(-1, n // each, 2 * size).sum(1) / n
        counts.append(n)
        blocks.append(len(rows))
        distance.append(np.sqrt(np.mean(np.einsum("bi,ij,bj->b", rows, gram, rows))) / scale)
    second = np.sum(np.diag(gram) * ALPHA**2 * np.concatenate([1 / std**2, np.full(size, 2.0)]))
    predicted = np.sqrt(second / np.array(counts)) / scale
    return Mistake(np.array(counts), np.array(distance), predicted, np.array(blocks))


def _expected_total_norm(case: Example, count: int = 20_000) -> float:
    """‖E total‖ at the one state, from enough noise to know it to a few per cent."""
    noise = jax.random.normal(jax.random.key(2), (count, *case.noise.shape[1:]))
    gradient = estimate(case._replace(noise=noise), "total")
    return float(np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(gradient))))


def common_mistake(result: Mistake) -> Iterator[Row]:
    """Per sample the distance is large; in the mean it falls as 1/√n."""
    text = f"mistake: one sample is off by {result.distance[0]:.0%} of ‖E total‖; "
    yield Row(3, text + "closed form against measured",
              relative(result.distance[0], result.predicted[0]), 0.1)  # fmt: skip
    slope = np.polyfit(np.log(result.counts), np.log(result.distance), 1)[0]
    yield Row(3, f"mistake: slope of its mean over n up to {result.counts[-1]:.0e}, against -1/2",
              float(abs(slope + 0.5)), 0.05)  # fmt: skip
    yield Row(3, f"mistake: distance that is left at n = {result.counts[-1]:.0e}",
              float(result.distance[-1]), float(3 * result.predicted[-1]))  # fmt: skip


# Levels 4 and 5: one dimension, where expectations are sums.


def smooth_q(action: jax.Array, state: Any = 0.0) -> jax.Array:
    """A critic without kinks, so that sums over nodes converge to the last digits."""
    return 5 + jnp.sin(2 * action + state) - action**2


def scalar_networks() -> Networks:
    """A policy with μ = p0 + p1 s and log σ = p2 in one dimension, and `smooth_q`."""

    def actor(variables: Any, s: jax.Array, mutable: Any = False, **_: Any) -> Any:
        p = variables["params"]
        output = p[0] + p[1] * s, jnp.full_like(s, p[2])
        return output if mutable is False else (output, {})

    def critic(variables: Any, s: jax.Array, a: jax.Array, **_: Any) -> jax.Array:
        return smooth_q(a, s).T

    return Networks(SimpleNamespace(apply=actor), SimpleNamespace(apply=critic))


PARAMS = (0.3, 0.4, -0.7)


def one_gradient(params: jax.Array, state: jax.Array, noise: jax.Array, estimator: str) -> Any:
    """Value and gradient of the library's actor loss for one state and one ε."""

    def loss(p: jax.Array) -> jax.Array:
        s, e = jnp.reshape(state, (1, 1)), jnp.reshape(noise, (1, 1, 1))
        return actor_loss(
            p,
            scalar_networks(),
            untrained(p),
            untrained(()),
            jnp.asarray(ALPHA),
            s,
            e,
            UNUSED_KEY,
            estimator,
        )[0]

    return jax.value_and_grad(loss)(params)


def kl_divergence(params: jax.Array, state: jax.Array, with_z: bool = True) -> jax.Array:
    """α D_KL(π ‖ exp(Q/α)/Z) by quadrature over u = atanh a; without Z, α D_KL - α log Z."""
    u = jnp.linspace(-12, 12, 4801)
    width = u[1] - u[0]
    density = norm.pdf(u, params[0] + params[1] * state, jnp.exp(params[2]))
    log_density = norm.logpdf(u, params[0] + params[1] * state, jnp.exp(params[2]))
    log_derivative = 2 * (jnp.log(2) - u - jax.nn.softplus(-2 * u))
    q = smooth_q(jnp.tanh(u), state)
    log_z = jax.scipy.special.logsumexp(q / ALPHA + log_derivative) + jnp.log(width)
    ratio = log_density - log_derivative - q / ALPHA + (log_z if with_z else 0.0)
    return ALPHA * jnp.sum(density * ratio) * width


def enumerate_noise(num_nodes: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and probabilities of Gauss and Hermite for ε."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
    return nodes, weights / weights.sum()


def kl_form(num_samples: int = 10**6) -> Iterator[Row]:
    """The gradient of the KL form against the estimators' expectations and sampled means."""
    params, state = jnp.array(PARAMS), jnp.array(0.5)
    exact = jax.grad(kl_divergence)(params, state)
    without = jax.grad(lambda p: kl_divergence(p, state, with_z=False))(params)
    yield Row(4, "KL form by quadrature: gradient with and without Z", relative(without, exact),
              1e-12)  # fmt: skip
    nodes, weights = enumerate_noise()
    noise = jax.random.normal(jax.random.key(3), (num_samples,))
    for name in ESTIMATORS:
        gradients = jax.jit(jax.vmap(lambda e, n=name: one_gradient(params, state, e, n)[1]))
        mean = weights @ np.asarray(gradients(nodes))
        yield Row(4, f"KL form: gradient against E[{name}] over ε", relative(mean, exact), 1e-10)
        sampled = np.asarray(gradients(noise))
        error = sampled.std(0) / np.sqrt(num_samples)
        z = np.abs(sampled.mean(0) - exact) / np.maximum(error, 1e-12)
        yield Row(4, f"KL form: mean of {num_samples:.0e} samples of {name}, in standard errors",
                  float(z.max()), 4.0)  # fmt: skip


def enumeration() -> Iterator[Row]:
    """All draws of s and ε listed: their weighted gradients against differences of J itself."""
    params, (nodes, weights) = jnp.array(PARAMS), enumerate_noise()
    states, shares = np.array([-1.0, 0.2, 0.9]), np.array([0.5, 0.3, 0.2])
    probability = shares[:, None] * weights

    def over_draws(estimator: str) -> Callable[..., Any]:
        def one(p: jax.Array, s: jax.Array, e: jax.Array) -> Any:
            return one_gradient(p, s, e, estimator)

        return jax.jit(jax.vmap(jax.vmap(one, (None, None, 0)), (None, 0, None)))

    value = over_draws("total")

    def objective(p: jax.Array) -> float:
        return float(np.sum(probability * np.asarray(value(p, states, nodes)[0])))

    exact = np.array([_derivative(objective, params, d) for d in np.eye(len(PARAMS))])
    for name in ESTIMATORS:
        gradients = np.asarray(over_draws(name)(params, states, nodes)[1])
        mean = np.einsum("se,sep->p", probability, gradients)
        what = f"enumeration of 3 states × {len(nodes)} ε: E[{name}] against differences of J"
        yield Row(5, what, relative(mean, exact), 1e-10)
    # Any probabilities for ε: the total is the derivative of what is sampled, not of a Gaussian.
    uneven = np.array([0.2, 0.5, 0.3])
    few = np.array([-1.3, 0.1, 0.8])
    joint = shares[:, None] * uneven

    def few_objective(p: jax.Array) -> float:
        return float(np.sum(joint * np.asarray(value(p, states, few)[0])))

    exact = np.array([_derivative(few_objective, params, d) for d in np.eye(len(PARAMS))])
    mean = np.einsum("se,sep->p", joint, np.asarray(value(params, states, few)[1]))
    yield Row(5, "enumeration with three ε of uneven probability: E[total]",
              relative(mean, exact), 1e-10)  # fmt: skip


def _derivative(f: Callable[[Any], float], x: Any, direction: np.ndarray) -> float:
    """Central difference of eighth order."""
    coefficients = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    h = DIFFERENCE
    return sum(
        c * (f(x + k * h * direction) - f(x - k * h * direction)) / h
        for k, c in coefficients.items()
    )
