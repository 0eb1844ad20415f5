import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

# Before the first computation: the number of devices cannot change afterwards.
jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture
def x64():
    """Double precision for the length of a test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compilation():
    """Compiles with few optimizations, for tests whose facts do not depend on them.

    Compilation is most of their time. Numerics are tested in programs compiled as usual.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def compilation_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def shared_compilation(quick_compilation, compilation_folder):
    """Also keeps what was compiled, since every run compiles the same program anew."""
    jax.config.update("jax_compilation_cache_dir", str(compilation_folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    yield
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
