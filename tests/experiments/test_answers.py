"""The pages are made from what is stored, and the text tells their numbers."""

import re
import sys

import pytest

from documents import ROOT

FOLDER = ROOT / "experiments" / "answers"
sys.path.append(str(FOLDER))

import build  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    build.build(folder)
    return folder


def numbers(page):
    return re.findall(r"<td class=number>(.*?)</td>", page.read_text())


def test_both_pages_and_the_figures_are_made(made):
    assert {file.name for file in made.iterdir()} == {*build.PAGES, *build.FIGURES}
    for name in build.PAGES:
        assert len(numbers(made / name)) > 10


def test_the_text_tells_the_numbers_of_the_report(made):
    text = (FOLDER / "README.md").read_text()
    cells = re.sub("<.*?>", "", " ".join(numbers(made / "report.html")))
    for told in ("6,729.4", "6,560.1 to 6,964.9", "5,028.8", "4,542.7 to 5,262.7", "0.057"):
        assert told in text
        assert told in cells
    assert "too few seeds to be sure" in (made / "report.html").read_text()
    shown = set(re.findall(r"\]\(pages/([^)]*)\)", text))
    assert shown == set(build.FIGURES)
    assert all((FOLDER / "pages" / each).exists() for each in shown)


def test_the_text_tells_the_numbers_of_the_inspection(made):
    text = (FOLDER / "README.md").read_text()
    cells = " ".join(numbers(made / "inspect.html"))
    assert "differ up to 176 times" in text
    assert "176" in cells
    assert "Nothing that was computed looks bad" in (made / "inspect.html").read_text()
