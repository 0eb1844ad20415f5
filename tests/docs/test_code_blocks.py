"""The Python of README and docs/ runs as it stands, and what it shows is so.

The blocks of a page run in order, as one script, in a folder that has the runs that it speaks of.
Training is made small.
"""

import shutil
import sys
import types
from pathlib import Path

import gymnasium
import jax
import numpy as np
import pytest

import jaxsac
from documents import PAGES, README, ROOT, blocks
from jaxsac.envs.fitness import check_in_jax
from jaxsac.runs import train as runs_train
from run_examples import Listener, small_run
from written_runs import written

ELSEWHERE = {"export.md": ROOT / "tests" / "runs" / "export" / "test_runtimes.py"}
"""Pages whose blocks other tests run."""
SMALL = {
    "steps": 60, "learning_starts": 20, "batch_size": 8, "replay_capacity": 200,
    "hidden_sizes": [8], "eval_every": 30, "eval_episodes": 1, "progress": False,
}  # fmt: skip


@pytest.fixture
def asked_for(tmp_path, monkeypatch):
    """Makes `jaxsac.train` small, in an empty folder; has the settings that it was given."""
    given, train = [], jaxsac.train

    def small_train(env, **settings):
        given.append(settings)
        seeds = min(2, settings.get("seeds", 1))
        return train(env, **{**settings, **SMALL, "seeds": seeds})

    monkeypatch.setattr(jaxsac, "train", small_train, raising=False)
    monkeypatch.chdir(tmp_path)
    return given


@pytest.fixture
def run(monkeypatch):
    """Runs the blocks of a page as a module, so that its functions are found by name."""

    def run_page(name):
        page = ROOT / "docs" / name
        module = types.ModuleType(f"page_{page.stem.replace('-', '_')}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        for block in blocks(page, "python"):
            if not block.marker:
                code = "\n" * (block.line - 1) + block.text  # so that errors name the line
                exec(compile(code, str(page), "exec"), vars(module))
        return types.SimpleNamespace(**vars(module))

    return run_page


def test_every_page_with_python_is_run():
    source = "".join(file.read_text() for file in (ROOT / "tests" / "docs").glob("*.py"))
    for page in PAGES:
        if any(not block.marker for block in blocks(page, "python")):
            runs_it = f'run("{page.name}")' in source
            assert runs_it or page.name in ELSEWHERE, f"{page.name} is not run"
    for name, file in ELSEWHERE.items():
        assert name in file.read_text()


def test_a_block_that_does_not_run_says_why():
    for page in PAGES:
        for block in blocks(page, "python"):
            assert block.marker in ("", "source", "not run"), block.place
            if block.marker == "source":
                is_there = code_lines(block.text) in code_lines((ROOT / block.said).read_text())
                assert is_there, f"{block.place} is not in {block.said}"


def code_lines(text):
    """Without indentation and empty lines, which differ by where an excerpt stands."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def test_the_readme_shows_blocks_of_the_pages():
    shown = [block.text for block in blocks(README, "python")]
    assert len(shown) == 2
    on_pages = {block.text for page in PAGES for block in blocks(page, "python")}
    assert set(shown) <= on_pages


def test_get_started(asked_for, run):
    assert run("index.md").action.shape == (1,)
    assert asked_for == [{"seeds": 4, "steps": 20_000, "learning_starts": 1_000}]


def test_training(asked_for, run):
    page = run("training.md")
    assert page.run.complete
    assert asked_for[0]["directory"] == "runs/mine"
    assert page.run.directory == Path("runs/mine").absolute()
    assert page.run.config.actor == "page_training:MyActor"
    assert page.run.config.actor_kwargs == {"width": 64}


def test_own_loops(asked_for, run, monkeypatch, tmp_path):
    """Each learns, without Gymnasium, and a saved policy acts."""
    assert not any("gymnasium" in b.text for b in blocks(ROOT / "docs/own-loop.md", "python")[:3])
    saved = ROOT / "tests" / "fixtures" / "v0.1" / "halfcheetah"
    shutil.copytree(saved, tmp_path / "runs" / "mine")
    kept = {}

    def keep(*said):
        kept[said[0]] = said[1:]

    monkeypatch.setattr("builtins.print", keep)
    page = run("own-loop.md")
    first, last = kept["mean reward, first and last 500 steps:"]
    assert last > -0.2 > first
    assert kept["action at 2:"][0][0] < -0.8 < kept["action at 2:"][2][0] < 0.5
    first, last = kept["mean reward, first and last 100 real steps:"]
    assert last > -0.2 > -0.5 > first
    assert (kept["mean reward of each, last 500 steps:"][0] > -0.25).all()
    first, last = kept["mean reward, first and last 200 steps:"]
    assert last > -0.3 > first
    assert kept["the far-sighted one at 2:"][0][0] < -0.8
    first, last = kept["mean reward, first and last 100 steps:"]
    assert last > -3_000 > -10_000 > first
    assert 10_000 < kept["rewards are divided by"][0] < 100_000
    assert gymnasium.make("HalfCheetah-v4").observation_space.contains(page.observation)
    assert np.isfinite(page.reward)


def test_networks_of_ones_own_are_learned_with(run):
    page = run("variants.md")
    x = jax.numpy.ones((5, 3))
    batch = jaxsac.Transition(x, x[:, :1], x[:, 0], x[:, 0], x)
    for state in (page.state, page.with_nnx):
        after, _ = jaxsac.update(state, batch, jax.random.key(0))
        assert int(after.step) == 1
        assert jaxsac.q_values(after, x, x[:, :1]).shape == (2, 5)


def test_the_terms_of_the_gradient(run, monkeypatch):
    kept = {}
    monkeypatch.setattr("builtins.print", lambda name, *said: kept.setdefault(name, said))
    run("actor-gradient.md")
    (apart,) = kept["largest difference of the sum from jax.grad:"]
    assert apart < 1e-5
    for name in ("path ", "score"):
        found, _, expected = kept[name]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(kept["total"][0], [0, -1], atol=1e-5)


def test_presets(run):
    page = run("presets.md")
    assert page.preset.config.log_prob_epsilon == 1e-6
    assert page.state.config.value_network


def test_environments(asked_for, run):
    page = run("environments.md")
    assert page.batch.observation.shape == (256, 3)
    assert int(page.prior.size) == 1_000
    assert page.run.complete
    assert check_in_jax.check_structs(page.Reach()).verdict == "good"


def test_questions(asked_for, run):
    page = run("faq.md")
    assert page.rows
    assert page.rows[-1]["step"] == 60


def test_report_and_inspect(asked_for, run, tmp_path):
    for name, tops in (("a", [10, 11, 12]), ("b", [1, 2, 3])):
        written(tmp_path / "runs" / name, tops)
    runs_train.train(small_run(seeds=1), tmp_path / "runs" / "mine", Listener())
    page = run("report.md")
    assert page.numbers
    assert page.found
