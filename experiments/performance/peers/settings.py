"""What every peer is given alike. Standard library alone."""

ENV = "HalfCheetah-v4"
BATCH_SIZE = 256
HIDDEN_SIZES = (256, 256)
LEARNING_RATE = 3e-4
GAMMA = 0.99
LEARNING_STARTS = BATCH_SIZE
"""Random steps before the first update: one batch, so that every measured step has its update."""
REPLAY_CAPACITY = 1_000_000
DEVICE_REPLAY_CAPACITY = 100_000
"""Of the runs whose environment is in JAX."""
BLOCK = 50
"""Updates in one scan, and of the blocked mode."""
SEED_COUNTS = (1, 2, 3, 4, 8, 16)
"""Of the workloads that train several seeds."""
FOREVER = 1_000_000_000
"""Steps that no measurement reaches."""
