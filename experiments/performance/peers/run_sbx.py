# pyright: reportMissingImports=false
"""SBX."""

from peers.stable_baselines import workloads
from sbx import SAC

WORKLOADS = workloads(SAC)
