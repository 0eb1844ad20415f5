"""The stored pages are what the command makes, and the text tells their numbers."""

import re
import sys

from documents import ROOT

FOLDER = ROOT / "experiments" / "answers"
sys.path.append(str(FOLDER))

import build  # noqa: E402


def numbers(page):
    return re.findall(r"<td class=number>(.*?)</td>", page.read_text())


def test_the_pages_are_made_from_what_is_stored(tmp_path):
    build.build(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(build.KEPT)
    for name in ("report.html", "inspect.html"):
        found = numbers(tmp_path / name)
        assert len(found) > 10
        assert found == numbers(FOLDER / "pages" / name)


def test_the_text_tells_the_numbers_of_the_report():
    text = (FOLDER / "README.md").read_text()
    cells = re.sub("<.*?>", "", " ".join(numbers(FOLDER / "pages" / "report.html")))
    for told in ("6,789.7", "6,681.8 to 6,986.4", "5,089.4", "4,591.8 to 5,341.8", "0.057"):
        assert told in text
        assert told in cells
    assert "too few seeds to be sure" in (FOLDER / "pages" / "report.html").read_text()
    shown = re.findall(r"\]\((pages/[^)]*)\)", text)
    assert len(shown) == len(build.KEPT)
    assert all((FOLDER / each).exists() for each in shown)
