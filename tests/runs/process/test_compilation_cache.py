"""Where compiled programs are kept, and where they are not."""

from pathlib import Path

import jax
import pytest

from jaxsac.runs.process.compilation_cache import keep_compiled_programs


@pytest.fixture
def unset(monkeypatch):
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_they_are_kept_in_the_users_cache(unset, monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    keep_compiled_programs()
    assert jax.config.values["jax_compilation_cache_dir"] == "/somewhere/.cache/jaxsac"


def test_a_folder_that_is_set_stays(unset):
    jax.config.update("jax_compilation_cache_dir", "/mine")
    keep_compiled_programs()
    assert jax.config.values["jax_compilation_cache_dir"] == "/mine"


def test_a_user_without_a_home_directory_trains_without(unset, monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    keep_compiled_programs()
    assert jax.config.values["jax_compilation_cache_dir"] is None
