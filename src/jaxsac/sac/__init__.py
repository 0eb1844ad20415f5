"""The mathematics of Soft Actor-Critic: pure functions of arrays."""
