import collections
import gc
import os

import hypothesis
import jax
import jaxlib.version
import pytest

USERS_ENVIRONMENT = dict(os.environ)

# Before the first computation: the number of devices cannot change afterwards.
jax.config.update("jax_num_cpu_devices", 8)

# A compiler makes many objects that live on; looking through all of them again and again is a tenth
# of what the tests take.
gc.set_threshold(100_000, 50, 1_000)

# No test is of how fast a machine is, and this one may be busy.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

# Compilation is most of the time that tests take, and the facts that most of them check do not
# depend on the compiler's optimizations: here and in the processes that tests start, few are made.
jax.config.update("jax_disable_most_optimizations", True)
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
if jaxlib.version.__version__.startswith("0.10."):  # an unknown flag would end the process
    # A quarter of the compiler's time; `users_environment` is without them.
    FAST_COMPILER = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FAST_COMPILER}"


def pytest_collection_modifyitems(items):
    """First the tests that drop what is compiled, while that is little; then the long files."""
    sizes = collections.Counter(item.path for item in items)
    items.sort(key=lambda item: ("all_optimizations" not in item.fixturenames, -sizes[item.path]))
    gc.freeze()  # what was imported stays, and need not be looked through for garbage


@pytest.fixture(scope="session", autouse=True)
def compilation_folder(tmp_path_factory):
    """Where all processes of a test run find what one of them has compiled."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "compiled"
    for name, value in {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.1,
    }.items():
        os.environ[name.upper()] = str(value)
        jax.config.update(name, value)
    return folder


@pytest.fixture(scope="session")
def users_environment():
    """For processes that compile as users do."""
    return USERS_ENVIRONMENT


@pytest.fixture(scope="module")
def all_optimizations():
    """Programs compiled with all optimizations, for tests that they could break."""
    # What is compiled already, in this process, is not compiled again.
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def x64():
    """Double precision for the length of a test."""
    with jax.enable_x64(True):
        yield
