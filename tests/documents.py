"""What the documentation says, taken apart: pages, blocks of code, commands, links."""

import re
import shlex
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
EXPERIMENTS = sorted((ROOT / "experiments").rglob("README.md"))
ALL = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES, *EXPERIMENTS]

FENCE = re.compile(
    r"(?:^<!-- (?P<marker>[a-z ]+): (?P<said>[^\n]+) -->\n)?"
    r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    marker: str
    """"not run" or "source", or nothing."""
    said: str
    """The reason, or the file."""

    @property
    def place(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page, *languages):
    text = page.read_text()
    return [
        Block(
            page, text.count("\n", 0, found.start("text")) + 1, found["language"],
            textwrap.dedent(found["text"]), found["marker"] or "", found["said"] or "",
        )
        for found in FENCE.finditer(text)
        if found["language"] in languages or not languages
    ]  # fmt: skip


def prose(page):
    """A page without its blocks."""
    return FENCE.sub("", page.read_text())


def inline(page):
    """What stands in `backquotes`, line breaks and escapes as spaces and what they are."""
    return [
        re.sub(r"\s+", " ", code).replace(r"\|", "|")
        for code in re.findall(r"`([^`]+)`", prose(page))
    ]


def commands(page):
    """Arguments of each command of a page: of shell blocks, and of code between the lines."""
    lines = [
        line
        for block in blocks(page, "bash", "sh")
        for line in block.text.replace("\\\n", " ").splitlines()
    ]
    found = [shlex.split(line, comments=True) for line in lines]
    for code in inline(page):
        if re.match(r"(\S+/)?(jaxsac|make|python) [^=]", code) and "<" not in code:
            found.append(shlex.split(code))
    return [arguments for arguments in found if arguments]


def links(page):
    """Targets of links and pictures within the repository."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in target]


def anchors(page):
    """Names of the headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in headings)
    return {re.sub(r"\s", "-", heading) for heading in plain}
