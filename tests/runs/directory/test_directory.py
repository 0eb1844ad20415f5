import dataclasses
import errno
import fcntl
import json
from pathlib import Path

import pytest

from jaxsac.runs import files, upgrade
from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.directory.releases import versions
from jaxsac.runs.run import Run
from run_examples import small_run


def test_a_new_run_can_be_read_back_and_is_unfinished_until_it_is_finished(tmp_path):
    config, run = small_run(seed=2), RunDirectory(tmp_path / "a" / "b")
    run.create(config)
    assert run.config() == config
    assert not run.is_finished(config)
    run.finish()
    assert run.is_finished(config)
    assert run.config() == config


def test_a_finished_run_of_another_configuration_is_another_run(tmp_path):
    run = RunDirectory(tmp_path)
    run.create(small_run())
    run.finish()
    assert not run.is_finished(small_run(steps=61))


def test_a_tilde_is_the_home_directory_where_no_shell_has_made_it_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunDirectory(Path("~/run")).create(small_run())
    assert (tmp_path / "run" / "manifest.json").exists()


def test_a_remedy_can_be_pasted_whatever_the_directory_is_called(tmp_path):
    run = RunDirectory(tmp_path / "my runs")
    run.create(small_run())
    with pytest.raises(RunDirectoryError, match=f"--init-from '{tmp_path}/my runs'\\."):
        run.create(small_run(seed=1))


def test_an_empty_directory_can_be_used(tmp_path):
    RunDirectory(tmp_path).create(small_run())
    assert [f.name for f in tmp_path.iterdir()] == ["manifest.json"]


def test_of_two_that_create_a_run_at_once_the_first_has_it(tmp_path, monkeypatch):
    run, write = RunDirectory(tmp_path), files.write

    def write_second(file, content, new):
        """Another process is a moment earlier."""
        monkeypatch.setattr(files, "write", write)
        RunDirectory(tmp_path).create(small_run(seed=7))
        write(file, content, new)

    monkeypatch.setattr(files, "write", write_second)
    with pytest.raises(RunDirectoryError, match="seed: 7 there, 0 asked for"):
        run.create(small_run(seed=0))
    assert run.config().seed == 7


def test_what_a_killed_process_left_of_a_manifest_is_in_nobodys_way(tmp_path):
    (tmp_path / ".manifest.json.123.tmp").write_text("{")
    assert RunDirectory(tmp_path).create(small_run())


def test_only_what_differs_is_listed(tmp_path):
    run = RunDirectory(tmp_path)
    run.create(small_run())
    with pytest.raises(RunDirectoryError) as refusal:
        run.create(small_run(seeds=3, hyperparameters=small_run().hyperparameters.replace(tau=0.2)))
    message = str(refusal.value)
    assert "(seeds: 2 there, 3 asked for; tau: 0.1 there, 0.2 asked for)" in message
    assert str(tmp_path) in message


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"config": {}}', '{"finished": true}'])
def test_an_unreadable_manifest_is_refused_by_name(tmp_path, content):
    run = RunDirectory(tmp_path)
    run.manifest.write_text(content)
    for use in (run.config, lambda: run.create(small_run())):
        with pytest.raises(RunDirectoryError, match=r"manifest\.json"):
            use()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"config": {}}', '{"finished": true}'])
def test_an_unreadable_manifest_is_not_taken_for_a_finished_run(tmp_path, content):
    run = RunDirectory(tmp_path)
    run.manifest.write_text(content)
    with pytest.raises(RunDirectoryError, match=r"manifest\.json"):
        run.is_finished(small_run())


def test_a_manifest_of_a_newer_version_is_read_and_what_is_unknown_named_and_kept(tmp_path):
    run = RunDirectory(tmp_path)
    run.create(small_run())
    content = json.loads(run.manifest.read_text())
    content["config"]["warp"] = 9
    content["format"] = upgrade.FORMAT + 5
    run.manifest.write_text(json.dumps(content))
    assert run.config() == small_run()
    assert run.unknown_settings() == ["warp"]
    assert not run.create(small_run(steps=90))
    run.extend(small_run(steps=90))
    after = json.loads(run.manifest.read_text())
    assert after == {**content, "config": {**content["config"], "steps": 90}}


@pytest.mark.parametrize("written", [True, "3", 0, 1, None, 3.0])
def test_a_format_that_never_was_is_refused(tmp_path, written):
    run = RunDirectory(tmp_path)
    run.create(small_run())
    content = json.loads(run.manifest.read_text())
    run.manifest.write_text(json.dumps({**content, "format": written}))
    with pytest.raises(RunDirectoryError, match=r"manifest\.json cannot be read: format"):
        run.config()


def test_versions_name_what_a_result_depends_on():
    found = versions()
    assert {"python", "jaxsac", "jax", "jaxlib", "flax", "optax", "numpy"} <= set(found)
    assert all(isinstance(version, str) for version in found.values())


def test_a_file_system_without_locks_is_not_taken_for_another_process(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        pytest.raises(RunDirectoryError, match=r"cannot be locked .*not implemented"),
        RunDirectory(tmp_path).locked(),
    ):
        pass


def test_what_helps_with_another_configuration_is_what_can_be_done(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.create(small_run())
    with pytest.raises(
        RunDirectoryError, match=r"with 60 steps, .* than the 40 asked for"
    ) as raised:
        run.create(small_run(steps=40))
    assert "--init-from" not in str(raised.value)
    wider = dataclasses.replace(small_run().agent, hidden_sizes=(64,))
    with pytest.raises(RunDirectoryError, match="hidden_sizes: ") as raised:
        run.create(small_run(agent=wider))
    assert "--init-from" not in str(raised.value), "its networks would not fit"
    with pytest.raises(RunDirectoryError, match="normalize_observations: ") as raised:
        run.create(small_run(normalize_observations=True))
    assert "--init-from" not in str(raised.value), "its agent sees no other scale"
    with pytest.raises(RunDirectoryError, match="--init-from"):
        run.create(small_run(utd=2.0))
    sweep = RunDirectory(tmp_path / "sweep")
    gammas = small_run().hyperparameters.replace(gamma=(0.8, 0.9))
    sweep.create(small_run(hyperparameters=gammas))
    with pytest.raises(RunDirectoryError, match="gamma: ") as raised:
        sweep.create(small_run(hyperparameters=gammas.replace(gamma=(0.8, 0.7))))
    assert "--init-from" not in str(raised.value), "no agent is at the new point"


def test_a_folder_of_runs_is_told_from_a_run(tmp_path):
    RunDirectory(tmp_path / "all").create(small_run())
    with pytest.raises(RunDirectoryError, match=r"holds several runs, .* give one of .*/all"):
        RunDirectory(tmp_path).config()
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        RunDirectory(tmp_path / "none").config()


def test_a_folder_of_checkpoints_is_not_taken_for_one_of_runs(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.create(small_run())
    for folder in (run.checkpoints, tmp_path / "copied"):
        bundle.write(folder / "300", [], {})
    with pytest.raises(RunDirectoryError, match=f"s is a folder of the run {run.path}: give that"):
        RunDirectory(run.checkpoints).config()
    with pytest.raises(RunDirectoryError, match="copied is not a run directory"):
        RunDirectory(tmp_path / "copied").config()
    with pytest.raises(
        RunDirectoryError, match=f"several runs, .* give one of them, {run.path}\\."
    ):
        RunDirectory(tmp_path).config()


def test_a_path_may_be_written_in_another_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, data = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "data")
    run.create(small_run(init_from="a"))
    for same in ("a/", "./a", "b/../a", tmp_path / "a"):
        assert not run.create(small_run(init_from=same))
    for other in ("b", None):
        with pytest.raises(RunDirectoryError, match="init_from: 'a' there"):
            run.create(small_run(init_from=other))
    facts = {"source": "a.npz", "rows": 3, "sha256": "0"}
    data.create(small_run(prior_data="a.npz"), prior=facts)
    moved = {**facts, "source": "moved/a.npz"}
    assert not data.create(small_run(prior_data="moved/a.npz"), prior=moved)
    with pytest.raises(RunDirectoryError, match="has changed"):
        data.create(small_run(prior_data="a.npz"), prior={**facts, "sha256": "1"})
    with pytest.raises(RunDirectoryError, match=r"prior_data: 'a\.npz' there"):
        data.create(small_run())


def test_what_a_run_began_with_may_have_moved_once_it_has_begun(tmp_path, monkeypatch):
    for name in ("source", "other"):
        (tmp_path / "tree" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "tree")
    run = RunDirectory(tmp_path / "tree" / "run")
    run.create(small_run(init_from="source"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunDirectoryError, match="init_from"):  # and may begin with this one
        run.create(small_run(init_from="tree/source"))
    (run.checkpoints / "20").mkdir(parents=True)
    for moved in ("tree/source", "elsewhere"):
        assert not run.create(small_run(init_from=moved))
    with pytest.raises(RunDirectoryError, match="init_from: 'source' there, None asked for"):
        run.create(small_run())
    monkeypatch.chdir(tmp_path / "tree")
    with pytest.raises(RunDirectoryError, match="init_from: 'source' there, 'other' asked for"):
        run.create(small_run(init_from="other"))


def written(run, seed, seeds):
    run.create(small_run(seed=seed, seeds=seeds))
    run.finish()


def seeds_of(parts, root):
    return [(c.seed, c.seeds, path.relative_to(root).as_posix()) for c, path in parts]


def test_seeds_of_a_group_that_was_lost_are_trained_again(tmp_path):
    run = RunDirectory(tmp_path)
    written(run, 0, 2)
    more = tmp_path / "more-seeds"
    for first, last in ((4, 5), (6, 9997), (10000, 10001), (9998, 9998)):
        written(RunDirectory(more / f"{first:04d}-{last:04d}"), first, last - first + 1)
    assert seeds_of(run.parts(small_run(seeds=10004)), tmp_path) == [
        (0, 2, "."),
        (2, 2, "more-seeds/0002-0003"),
        (4, 2, "more-seeds/0004-0005"),
        (6, 9992, "more-seeds/0006-9997"),
        (9998, 1, "more-seeds/9998-9998"),
        (9999, 1, "more-seeds/9999-9999"),
        (10000, 2, "more-seeds/10000-10001"),
        (10002, 2, "more-seeds/10002-10003"),
    ]
    few = seeds_of(run.parts(small_run(seeds=3)), tmp_path)
    assert few[1] == (2, 1, "more-seeds/0002-0002"), "no more than are asked for"
    assert (9999, 1, "more-seeds/9999-9999") not in few
    assert seeds_of(run.parts(small_run(seeds=2)), tmp_path) == [(0, 2, ".")]


def test_a_run_in_which_seeds_are_missing_is_not_complete(tmp_path):
    run = RunDirectory(tmp_path)
    written(run, 0, 2)
    assert Run(tmp_path).complete
    written(RunDirectory(tmp_path / "more-seeds" / "0004-0004"), 4, 1)
    found = Run(tmp_path)
    assert not found.complete
    assert "seeds 0 to 1, 4, 60 steps, not complete" in repr(found)
    written(RunDirectory(tmp_path / "more-seeds" / "0002-0003"), 2, 2)
    assert "seeds 0 to 4, 60 steps, complete" in repr(found)
