"""Reports of runs that were written down, not trained."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

import jaxsac
from jaxsac.cli import commands
from jaxsac.reports import numbers, tables
from jaxsac.reports.report import report
from jaxsac.reports.sentences import answers
from jaxsac.reports.statistics import Estimate
from jaxsac.runs.metrics import metrics
from jaxsac.runs.metrics.metrics import RUN_COLUMNS, MetricsWriter
from run_examples import FAST
from written_runs import STEPS, written

quickly = pytest.mark.usefixtures("drawn_quickly")
NAN = float("nan")


def with_returns(run, seed, returns, steps=STEPS):
    with MetricsWriter(run / "metrics", [f"seed-{seed:04d}"], RUN_COLUMNS) as writer:
        for step, value in zip(steps, returns, strict=True):
            writer.write(0, {"step": step, "eval_return": value})


@quickly
def test_scores_are_the_last_fifth_and_the_area_the_mean_over_all_steps(tmp_path):
    found = report(written(tmp_path / "a", [100, 200]))
    (result,) = found.tasks[0].results
    assert result.finals == {0: 90, 1: 180}  # from 80 and 160 at 40 steps
    assert result.areas == {0: 60, 1: 120}
    assert result.final.value == 135
    assert result.curve.iqm.tolist() == [30, 60, 90, 120, 150]
    assert found.directory == tmp_path / "a" / "report"


@quickly
def test_the_area_is_under_the_curve_whatever_steps_were_evaluated(tmp_path):
    found = report(written(tmp_path / "a", [50], steps=(10, 20, 50)))
    assert found.tasks[0].results[0].areas == {0: 30}


@quickly
def test_a_score_counts_steps_whatever_this_run_or_another_was_evaluated_at(tmp_path):
    coarse = written(tmp_path / "coarse", [1])
    with_returns(coarse, 0, (0, 0, 90, 90, 0), steps=(10, 30, 50, 55, 60))
    fine = written(tmp_path / "fine", [1], steps=(10, *range(41, 61)))
    shorter = written(tmp_path / "shorter", [1], steps=(10, 50))
    alone = report(coarse).tasks[0].results[0]
    together = report([coarse, fine], tmp_path / "out").tasks[0].results[0]
    assert alone.finals == together.finals == {0: 70.5}  # 81 at 48
    assert alone.areas == together.areas
    up_to_50 = report([coarse, shorter], tmp_path / "out").tasks[0].results[0]
    assert up_to_50.finals == {0: 67.5}  # from 45


@quickly
def test_seeds_that_score_alike_are_ties_whatever_they_were_evaluated_at(tmp_path):
    for name, steps in (("coarse", (10, 20, 50)), ("fine", (10, 43, 47, 50))):
        file = metrics.path(written(tmp_path / name, [1]) / "metrics", "seed-0000")
        rows = "".join(f"{step},0.3\n" for step in steps)
        file.write_text(f"step,eval_return\n{rows}")
    (task,) = report([tmp_path / "coarse", tmp_path / "fine"], tmp_path / "out").tasks
    assert [result.finals for result in task.results] == [{0: 0.3}, {0: 0.3}]
    assert task.improvements[0].probability.value == 0.5


@quickly
def test_a_run_at_step_0_has_the_score_of_that_step_and_nothing_is_concluded_from_it(tmp_path):
    begun = written(tmp_path / "begun", [1, 2, 3, 4, 5], steps=(0,), finished=False)
    rising = written(tmp_path / "rising", [1, 2, 3, 4, 5], steps=(0, 10, 50))
    found = report([begun, rising], tmp_path / "out")
    (task,) = found.tasks
    assert task.end == 0
    assert all(set(result.finals.values()) == {0.0} for result in task.results)
    assert [each.better for each in task.improvements] == [None]
    text = (tmp_path / "out" / "numbers.json").read_text()
    assert "NaN" not in text


def test_where_p_is_no_number_nothing_is_concluded_and_json_has_none():
    nothing = numbers._doubt(Estimate(1.0, 1.0, 1.0), float("nan"), least_p=0.01)
    assert nothing == numbers.TOO_FEW
    assert tables._without_nan({"p": [float("nan"), 1.0]}) == {"p": [None, 1.0]}


@quickly
def test_a_seed_whose_returns_end_as_no_numbers_has_no_score_and_moves_no_others(tmp_path):
    whole = written(tmp_path / "whole", [1, 2])
    lost = written(tmp_path / "lost", [1, 2, 3])
    with_returns(lost, 1, (1.0, NAN, NAN, NAN, NAN))
    late = written(tmp_path / "late", [5, 5])
    with_returns(late, 0, (NAN, NAN, 3.0, 4.0, 5.0))
    found = report([whole, lost, late], tmp_path / "out")
    (task,) = found.tasks
    assert (task.start, task.end) == (10, 50)
    assert task.results[0].finals == report(whole).tasks[0].results[0].finals
    assert list(task.results[1].finals) == [0, 2]
    assert task.results[1].curve.steps[-1] == 50
    assert task.results[2].finals == {0: 4.5, 1: 4.5}
    said = "lost: seed 1 has no score, as the returns are not finite up to 50 steps."
    assert any(note.startswith(said) for note in found.notes)
    assert not any("scores count up to" in note for note in found.notes)


@quickly
def test_a_run_without_a_score_is_left_out_unless_there_is_no_other(tmp_path):
    whole, lost = written(tmp_path / "whole", [1]), written(tmp_path / "lost", [1])
    with_returns(lost, 0, (1.0, 2.0, NAN, NAN, NAN))
    found = report([whole, lost], tmp_path / "out")
    assert [result.label for result in found.tasks[0].results] == ["whole"]
    assert any("lost is left out and has no score: of seed 0" in note for note in found.notes)
    alone = report(lost)
    assert alone.tasks[0].end == 20
    assert alone.tasks[0].results[0].finals == {0: pytest.approx(1.8)}
    assert any("no seed has finite returns up to 50 steps" in note for note in alone.notes)


@quickly
def test_a_run_that_goes_on_without_evaluations_keeps_those_it_has(tmp_path):
    run = written(tmp_path / "a", [1, 2], eval_every=0)
    (task,) = report(run).tasks
    assert task.results[0].population.column == "eval_return"
    assert task.results[0].finals == {0: 0.9, 1: 1.8}


@quickly
def test_the_verdict_follows_the_interval_and_the_number_of_seeds(tmp_path):
    low = written(tmp_path / "low", [1, 2, 3, 4])
    high = written(tmp_path / "high", [11, 12, 13, 14])
    mixed = written(tmp_path / "mixed", [0, 2.5, 3.5, 9])
    few, fewer = written(tmp_path / "few", [1, 2, 3]), written(tmp_path / "fewer", [11, 12, 13])
    one = written(tmp_path / "one", [99])

    def verdict(*runs):
        (found,) = report(runs, tmp_path / "out").tasks[0].improvements
        return found.verdict

    assert verdict(low, high) == verdict(high, low) == "high is better than low"
    assert verdict(low, mixed) == "no difference was found"
    assert verdict(few, fewer) == "too few seeds to be sure"
    alike = written(tmp_path / "alike", [1.5, 2, 2.5])
    assert verdict(few, alike) == "too few seeds to be sure", "with three no p is below 0.05"
    assert "one seed" in verdict(low, one)


@quickly
def test_of_many_the_best_is_told_with_those_that_it_is_not_surely_better_than(tmp_path):
    low = written(tmp_path / "low", [1, 2, 3, 4])
    high = written(tmp_path / "high", [11, 12, 13, 14])
    close = written(tmp_path / "close", [10.5, 11.5, 12.5, 13.5])
    (answer,) = answers(report([low, close, high], tmp_path / "out"))
    assert answer.finding.startswith("the best of 3 is high, which scores")
    assert answer.detail.endswith("; not surely better than close")
    third = written(tmp_path / "third", [1, 2, 3, 4.5])
    (answer,) = answers(report([low, third, high], tmp_path / "out"))
    assert "not surely" not in answer.detail


@quickly
def test_neither_the_order_of_runs_nor_that_of_seeds_changes_anything(tmp_path):
    rng = np.random.default_rng(0)
    tops = {name: rng.normal(100, 10, 5) for name in "abc"}
    runs = [written(tmp_path / name, values) for name, values in tops.items()]
    mixed = [
        written(tmp_path / "x" / name, rng.permutation(values)) for name, values in tops.items()
    ]

    def found(runs):
        (task,) = report(runs, tmp_path / "out").tasks
        by_label = {
            r.label: (r.final, r.area, r.curve.low.tolist(), r.curve.high.tolist())
            for r in task.results
        }
        pairs = {}
        for each in task.improvements:
            value, low, high = map(float, each.probability)
            pairs[each.first, each.second] = (value, low, high)
            pairs[each.second, each.first] = (1 - value, 1 - high, 1 - low)
        return by_label, pairs, task.chances

    one, other = found(runs), found([mixed[2], mixed[0], mixed[1]])
    assert one[0] == other[0]
    assert one[2] == other[2]
    for pair in one[1]:
        np.testing.assert_allclose(one[1][pair], other[1][pair], atol=1e-12)


@quickly
def test_seeds_that_were_added_are_of_one_population(tmp_path):
    run = written(tmp_path / "a", [1, 2])
    written(run / "more-seeds" / "0002-0003", [3, 4], seed=2)
    (result,) = report(run).tasks[0].results
    assert list(result.finals) == [0, 1, 2, 3]
    assert result.final.value == pytest.approx(0.9 * 2.5)


@quickly
def test_a_sweep_has_a_curve_for_each_setting_and_a_best_one(tmp_path):
    swept = dataclasses.replace(FAST, gamma=(0.9, 0.99))
    tops = [10, 11, 12, 13, 20, 21, 22, 23]
    written(tmp_path / "s" / "batch_size=8", tops, seeds=4, hyperparameters=swept)
    for part, seeds in enumerate(([1, 2], [3, 4]), start=1):
        written(
            tmp_path / "s" / f"batch_size=4.part-{part}-of-2", [*seeds, *(np.array(seeds) + 5)],
            seeds=2, seed=2 * (part - 1), hyperparameters=swept, batch_size=4,
        )  # fmt: skip
    found = report(tmp_path / "s")
    (task,) = found.tasks
    assert {r.label: len(r.finals) for r in task.results} == {
        f"batch_size={size} gamma={gamma}": 4 for size in (4, 8) for gamma in (0.9, 0.99)
    }
    assert task.best.label == "batch_size=8 gamma=0.99"
    assert task.chances == {r.label: float(r is task.best) for r in task.results}
    assert found.directory == tmp_path / "s" / "report"


@quickly
def test_a_run_that_is_still_writing_counts_as_far_as_it_has_come(tmp_path):
    whole = written(tmp_path / "whole", [100, 100])
    live = written(tmp_path / "live", [50, 50], steps=STEPS[:2], finished=False)
    for name in ("seed-0000", "seed-0001"):
        with metrics.path(live / "metrics", name).open("a") as half:
            half.write("30,,,,,,,3")  # of 30.5
    found = report([whole, live], tmp_path / "out")
    (task,) = found.tasks
    assert task.end == 20
    assert task.results[0].finals == {0: 36, 1: 36}
    assert task.results[1].finals == {0: 18, 1: 18}
    assert "live is not finished: evaluated up to 20 of 50 steps." in found.notes
    assert any("scores count up to 20 steps" in note for note in found.notes)


@quickly
def test_seeds_without_a_return_are_left_out_and_named(tmp_path):
    run = written(tmp_path / "a", [1, 2], finished=False)
    metrics.path(run / "metrics", "seed-0001").unlink()
    found = report(run)
    assert list(found.tasks[0].results[0].finals) == [0]
    assert found.tasks[0].results[0].final == (0.9, None, None)
    assert "a: no return yet of seed 1, which is left out." in found.notes
    assert "a has one seed: no interval can be given." in found.notes
    metrics.path(run / "metrics", "seed-0000").unlink()
    with pytest.raises(ValueError, match=r"no return yet in .*wait for the first evaluation"):
        report(run)


@quickly
def test_returns_that_are_no_numbers_are_left_out_and_counted(tmp_path):
    run = written(tmp_path / "a", [1, 2], finished=False)
    with_returns(run, 1, (1.0, 2.0, NAN, 4.0, 5.0))
    found = report(run)
    assert found.tasks[0].results[0].finals[1] == 4.5
    assert "a, seed 1: 1 returns are not finite and left out." in found.notes


@quickly
def test_different_environments_stand_apart_and_what_both_have_is_put_together(tmp_path):
    other = dataclasses.replace(FAST, gamma=0.8)
    runs = []
    for env in ("Drift-v0", "Point-v0"):
        settings = {"env": f"probe_environments:{env}"}
        runs.append(written(tmp_path / f"{env}-good", [11, 12, 13, 14], **settings))
        runs.append(
            written(tmp_path / f"{env}-bad", [1, 2, 3, 4], hyperparameters=other, **settings)
        )
    found = report(runs, tmp_path / "out")
    assert [len(task.results) for task in found.tasks] == [2, 2]
    across = found.across
    assert across is not None
    assert [method.label for method in across.methods] == ["gamma=0.9", "gamma=0.8"]
    assert [each.probability.value for each in across.improvements] == [1]
    assert across.methods[0].iqm.value == pytest.approx((12.5 - 1) / 13)
    assert across.methods[0].profile[0] == 1
    assert across.methods[1].profile[50] == 0


@quickly
def test_settings_that_look_alike_have_names_of_their_own(tmp_path):
    swept = dataclasses.replace(FAST, gamma=(0.9000001, 0.9000002))
    run = written(tmp_path / "a", [1, 2, 3, 4], seeds=2, hyperparameters=swept)
    (task,) = report(run).tasks
    assert [result.label for result in task.results] == ["gamma=0.9", "gamma=0.9 (2)"]
    assert task.chances == {"gamma=0.9": 0, "gamma=0.9 (2)": 1}


@quickly
def test_a_setting_that_one_environment_lacks_is_not_put_together(tmp_path):
    other = dataclasses.replace(FAST, gamma=0.8)
    runs = [
        written(tmp_path / "a", [1, 2]),
        written(tmp_path / "b", [1, 2], hyperparameters=other),
        written(tmp_path / "c", [1, 2], env="probe_environments:Point-v0"),
    ]
    (method,) = report(runs, tmp_path / "out").across.methods
    assert method.label == "a, c"
    assert report(runs[1:], tmp_path / "out").across is None


@quickly
def test_an_environment_without_published_curves_is_named(tmp_path):
    found = report(written(tmp_path / "a", [1, 2]), reference=True)
    assert any("No published curves of probe_environments:Drift-v0" in n for n in found.notes)


@quickly
def test_published_curves_that_begin_after_a_run_has_ended_are_named(tmp_path):
    found = report(written(tmp_path / "a", [1, 2], env="HalfCheetah-v4"), reference=True)
    assert found.references == {"HalfCheetah-v4": []}
    said = "no second point up to 50 steps, are the published curves of SAC and CrossQ."
    assert any(note.endswith(said) for note in found.notes)


@quickly
def test_the_command_prints_the_answer_and_refuses_in_one_sentence(tmp_path, capsys):
    low = written(tmp_path / "low", [1, 2, 3, 4])
    high = written(tmp_path / "high", [11, 12, 13, 14])
    assert commands.run(["report", str(low), str(high), "--output", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "high is better than low" in shown
    assert "n = 4 and 4" in shown
    assert (tmp_path / "out" / "report.html").exists()
    assert commands.run(["report", str(tmp_path / "gone")]) == 1
    assert "gone does not exist" in capsys.readouterr().err


@quickly
# The file systems of macOS refuse such a name, so nobody can have a run of it there.
@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are UTF-8 on macOS")
def test_a_name_that_no_page_can_show_is_refused(tmp_path, capsys):
    path = written(tmp_path / os.fsdecode(b"r\xff"), [1, 2])
    assert commands.run(["report", str(path)]) == 1
    said = "jaxsac: the name 'r\\udcff' is not UTF-8, and stands in what is written: rename it.\n"
    assert capsys.readouterr().err == said
    assert not (path / "report").exists()
    with pytest.raises(ValueError, match="not UTF-8"):
        jaxsac.inspect(path)


@quickly
def test_from_python_runs_are_paths_or_what_train_returned(tmp_path):
    from jaxsac.runs.run import Run

    path = written(tmp_path / "a", [1, 2])
    assert jaxsac.report(Run(path)).tasks[0].results[0].finals == {0: 0.9, 1: 1.8}


@quickly
def test_a_tilde_is_the_home_directory_from_python(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path / "a", [1, 2])
    assert jaxsac.report("~/a", "~/out").directory == tmp_path / "out"


def test_the_command_line_waits_with_what_only_a_report_needs():
    code = "import sys, jaxsac.cli.commands; assert 'jaxsac.reports' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
