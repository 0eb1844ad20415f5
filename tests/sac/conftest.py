import jax
import pytest


@pytest.fixture(scope="module")
def quick_compilation():
    """Compiles with few optimizations, for tests whose facts do not depend on them.

    Compilation is most of their time. Numerics are tested in programs compiled as usual.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
