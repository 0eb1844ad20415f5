"""What is measured: every row of the table, in its order."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """One thing that is measured. Rows with the same peer and workload share a process."""

    section: str
    """Rows of one section are measured in turn and can be compared."""
    label: str
    peer: str
    """`peers/<peer>.txt` says what is installed, `peers/run_<peer>.py` what is run."""
    workload: str = ""
    """Name in the peer's WORKLOADS."""
    part: str = ""
    """Which part of a workload that has several."""
    left_out: str = ""
    """Why it is not measured, if so."""


UPDATE = "update alone"
TRAINING = "training on HalfCheetah-v4"
DEVICE = "training on a light environment in JAX"
SECTIONS = (UPDATE, TRAINING, DEVICE)

ROWS = (
    Row(UPDATE, "matrix products alone", "jaxsac", "update", "matrix products"),
    Row(UPDATE, "jaxsac", "jaxsac", "update", "update"),
    Row(UPDATE, "jaxsac, 50 in a scan", "jaxsac", "update", "update in scan"),
    Row(UPDATE, "SBX", "sbx", "update"),
    Row(UPDATE, "SB3", "sb3", "update"),
    Row(UPDATE, "CleanRL", "cleanrl", left_out="one script: its update cannot be called alone"),
    Row(TRAINING, "jaxsac, 1 seed", "jaxsac", "train 1 seeds"),
    Row(TRAINING, "jaxsac, 4 seeds", "jaxsac", "train 4 seeds"),
    Row(TRAINING, "jaxsac, 8 seeds", "jaxsac", "train 8 seeds"),
    Row(TRAINING, "jaxsac, 1 seed, blocks of 50", "jaxsac", "train 1 seeds blocked"),
    Row(TRAINING, "jaxsac, 8 seeds, blocks of 50", "jaxsac", "train 8 seeds blocked"),
    Row(TRAINING, "SBX", "sbx", "train"),
    Row(TRAINING, "SBX, blocks of 50", "sbx", "train blocked"),
    Row(TRAINING, "SB3", "sb3", "train"),
    Row(TRAINING, "CleanRL", "cleanrl", "train"),
    Row(DEVICE, "jaxsac, Pendulum-v1", "jaxsac", "train 1 seeds on device"),
    Row(DEVICE, "rejax, Pendulum-v1", "rejax", "train 1 seeds"),
    Row(DEVICE, "Brax, inverted_pendulum", "brax", "train"),
)
