"""The matrix products of an update are counted as they are, and told everywhere alike."""

import csv
import shutil
import sys

import pytest

from documents import ROOT
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.sac import presets

FOLDER = ROOT / "experiments" / "family"
sys.path.append(str(FOLDER))
sys.path.append(str(ROOT / "experiments" / "performance"))

import cost  # noqa: E402
import roofline  # noqa: E402


def table(page, columns):
    """Rows of a table whose heading has so many columns, by their first cell."""
    rows = [
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in page.read_text().splitlines()
        if line.startswith("|") and line.count("|") == columns + 1
    ]
    return {row[0].strip("`"): row[1:] for row in rows}


@pytest.fixture(scope="module")
def told():
    return table(FOLDER / "README.md", 6)


def test_plain_sac_has_the_products_that_were_counted_by_hand():
    by_hand = roofline.flops(
        roofline.update_products(cost.OBSERVATION, cost.ACTION, (256, 256)), 256
    )
    assert cost.cost(presets.Preset()).update == by_hand


@pytest.mark.parametrize("name", ["droq", "crossq"])  # with a condition, and without one
def test_the_table_is_what_the_command_counts(told, name):
    update, step = cost.cost(presets.preset(name))
    batch, operations, relative, utd, of_a_step = told[name]
    plain = cost.cost(presets.Preset()).update
    assert operations == f"{update / 1e6:,.0f}"
    assert relative == f"{update / plain:.3g}"
    assert of_a_step == f"{step / plain:.3g}"
    assert (int(batch), float(utd)) == (presets.preset(name).batch_size, presets.preset(name).utd)


def test_the_page_of_presets_says_the_same(told):
    page = table(ROOT / "docs" / "presets.md", 9)
    with (FOLDER / "results" / "times.csv").open(newline="") as file:
        times = {row["preset"]: float(row["ratio_median"]) for row in csv.DictReader(file)}
    for name in presets.ALGORITHMS:
        update, step = float(told[name][2]), float(told[name][4])
        products, time, _, products_of_step, *_ = page[name]
        assert [products, products_of_step] == [f"{update:.2g}", f"{step:.2g}"]
        assert time == f"{times[name]:.2g}"


@pytest.mark.parametrize("manifest", ["manifest.json", "manifest_of_seeds_2_and_3.json"])
def test_fast_is_what_was_trained(manifest, tmp_path):
    shutil.copy(
        FOLDER / "results" / "HalfCheetah-v4" / "fast" / manifest, tmp_path / "manifest.json"
    )
    trained = RunDirectory(tmp_path).config()
    config, hyperparameters, *loop = presets.preset("fast")
    assert trained.agent == config
    assert trained.hyperparameters == hyperparameters
    names = presets.Preset._fields[2:]
    # Of 100,000 transitions in all; no earlier one is ever overwritten.
    expected = dict(zip(names, loop, strict=True)) | {"replay_capacity": trained.steps}
    assert {name: getattr(trained, name) for name in names} == expected
