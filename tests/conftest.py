import jax
import pytest

# Before the first computation: the number of devices cannot change afterwards.
jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture
def x64():
    """Double precision for the length of a test."""
    with jax.enable_x64(True):
        yield
