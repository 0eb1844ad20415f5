# pyright: reportMissingImports=false
"""Stable-Baselines3."""

from peers.stable_baselines import workloads
from stable_baselines3 import SAC

WORKLOADS = workloads(SAC)
