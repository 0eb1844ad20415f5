import csv
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxsac.reports import figures, markup, numbers, page, population, write
from jaxsac.reports.reference import SOURCES, published
from jaxsac.reports.report import report
from jaxsac.reports.tables import file_name
from run_examples import FAST
from written_runs import STEPS, written


@pytest.fixture(scope="module")
def whole_report(tmp_path_factory):
    """The files of a report of two environments, with all that there can be."""
    path = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    runs = [
        written(path / f"{env}-{gamma}", rng.normal(gamma, 0.2, 4), env=env, steps=(*STEPS, 50_000),
                hyperparameters=dataclasses.replace(FAST, gamma=gamma))
        for env in ("HalfCheetah-v4", "Hopper-v4") for gamma in (0.9, 0.99)
    ]  # fmt: skip
    return report(runs, path / "out", reference=True)


class Page(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.tags, self.fetched = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action") and value[:1] != "#":
                self.fetched.append((tag, name, value))


def test_the_page_needs_nothing_but_itself(whole_report):
    text = (whole_report.directory / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.fetched == []
    assert not page.tags & {"script", "link", "img", "iframe", "object", "image"}
    assert "@import" not in text
    assert all(each.startswith("#") for each in re.findall(r"url\(['\"]?([^)]+)", text))
    names = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert names <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "prefers-color-scheme: dark" in text
    assert figures.INK not in text
    assert text.count("<svg") == 8
    for task in whole_report.tasks:
        for each in task.improvements:
            assert each.verdict in text
    assert all(source in text for source in SOURCES)


def test_every_figure_is_there_twice_and_every_number_in_both_tables(whole_report):
    names = {file.name for file in whole_report.directory.iterdir()}
    for kind in ("learning-curves", "scores", "improvement"):
        for env in ("HalfCheetah-v4", "Hopper-v4"):
            assert {f"{kind}-{env}.png", f"{kind}-{env}.svg"} <= names
    assert {"performance-profiles.png", "performance-profiles.svg", "improvement-all.png"} <= names
    written = json.loads((whole_report.directory / "numbers.json").read_text())
    with (whole_report.directory / "numbers.csv").open() as file:
        rows = list(csv.DictReader(file))
    for task, of_task in zip(whole_report.tasks, written["tasks"], strict=True):
        for result, of_run in zip(task.results, of_task["runs"], strict=True):
            assert of_run["final_score"] == result.final._asdict()
            assert of_run["curve"]["low"] == result.curve.low.tolist()
            (row,) = [
                row for row in rows
                if (row["run"], row["quantity"]) == (result.label, "final_score")
            ]  # fmt: skip
            assert float(row["high"]) == pytest.approx(result.final.high)
            assert row["seeds"] == "4"
    across = [row["seeds"] for row in rows if row["quantity"] == "normalized_final_score"]
    assert across == ["4", "4"]


def test_a_figure_shows_every_seed_the_iqm_and_its_interval(tmp_path):
    task = numbers.task(population.read(written(tmp_path / "a", [1, 2, 3, 7])))
    (axes,) = figures.learning_curves(task).axes
    lines = {line.get_linewidth(): np.asarray(line.get_ydata())[-1] for line in axes.lines}
    assert len(axes.lines) == 5
    assert lines[2] == 2.5
    assert len(axes.collections) == 1
    assert axes.get_xlabel() == "environment steps per seed"
    assert axes.get_ylabel() == "return (evaluation)"


def test_every_run_is_in_the_legend_by_its_own_name(tmp_path):
    names = ("_hidden", "$a$", f"{'x' * 50}-one", f"{'x' * 50}-two")
    found = [population.read(written(tmp_path / name, [1]))[0] for name in names]
    with matplotlib.rc_context(figures.WITH_NAMES):
        (legend,) = figures.learning_curves(numbers.task(found)).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(set(texts)) == 4
    assert texts[0].strip().startswith("_hidden")
    assert texts[2].endswith("-one (1 seed)")
    assert not any(text.get_parse_math() for text in legend.get_texts())


def test_figures_of_an_earlier_report_go_with_it_and_others_stay(tmp_path):
    drawn = report([written(tmp_path / "a", [1]), written(tmp_path / "b", [1])], tmp_path / "out")
    (tmp_path / "out" / "scores-mine.png").write_text("mine")
    name = file_name(drawn.tasks[0].env)
    assert (tmp_path / "out" / f"improvement-{name}.svg").exists()
    report(tmp_path / "a", tmp_path / "out")
    there = {file.name for file in (tmp_path / "out").glob("*.png")}
    assert there == {f"learning-curves-{name}.png", f"scores-{name}.png", "scores-mine.png"}
    assert not (tmp_path / "out" / f"improvement-{name}.svg").exists()


def test_a_figure_is_read_back_in_the_encoding_that_it_was_written_in(tmp_path, monkeypatch):
    read_text = Path.read_text

    def told(path, encoding):
        return read_text(path, encoding)

    monkeypatch.setattr(Path, "read_text", told)
    assert "<svg" in write.save(Figure(), tmp_path / "empty")


def test_settings_that_differ_have_a_row_each_unless_the_labels_say_them(tmp_path):
    for name, top, gamma in (("a", 1, 0.9), ("b", 2, 0.99)):
        hyperparameters = dataclasses.replace(FAST, gamma=gamma)
        written(tmp_path / name, [top, top], hyperparameters=hyperparameters)
    two_runs = [*population.read(tmp_path / "a"), *population.read(tmp_path / "b")]
    found = page._settings(numbers.task(two_runs))
    assert "<tr><th>setting</th><th>b</th><th>a</th></tr>" in found  # the best first
    assert re.findall("<tr><td>.*", found)[0].startswith(
        "<tr><td>gamma</td><td>0.99</td><td>0.9</td></tr>"
    )
    assert page._settings(numbers.task(population.read(tmp_path))) == ""  # a sweep: gamma=0.99
    assert page._settings(numbers.task(two_runs[:1])) == ""


def test_cells_that_are_alike_below_each_other_become_one():
    rows = [["a", "same"], ["b", "same"], ["c", "other"], ["d", "same"]]
    found = markup.table(["", "good"], rows, numbers=(), joined=[1])
    assert re.findall(r"<tr>(.*?)</tr>", found)[1:] == [
        "<td>a</td><td rowspan=2>same</td>", "<td>b</td>",
        "<td>c</td><td>other</td>", "<td>d</td><td>same</td>",
    ]  # fmt: skip


def test_published_curves_name_their_source_and_are_of_the_same_version():
    for env in ("HalfCheetah-v4", "Hopper-v4", "Walker2d-v4"):
        curves = published(env, 500_000)
        assert {curve.algorithm for curve in curves} == {"SAC", "CrossQ"}
        for curve in curves:
            assert curve.source in SOURCES
            assert curve.seeds == 10
            assert curve.steps[-1] <= 500_000
            assert np.isfinite(curve.iqm).all()
    assert published("HalfCheetah-v5") == []
    assert [curve.algorithm for curve in published("HalfCheetah-v4", 35_000)] == ["SAC"]
    (sac,) = [curve for curve in published("HalfCheetah-v4") if curve.algorithm == "SAC"]
    assert 10_500 < sac.iqm[-1] < 12_000
