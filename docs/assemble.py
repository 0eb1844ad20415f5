"""Gathers the pages of the site in one folder: `python docs/assemble.py .docs`.

They are docs/, the pages of the experiments, and what the project says of itself at its root. Links
stay as they are read in the repository; here they are turned to where their targets are in the
site, and formulas become MathML, which browsers draw without a script.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from latex2mathml import converter  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FILES = (".png", ".csv", ".txt")
"""What a page may link to beside other pages."""
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?\[[^]]*\])\(([^)#\s]*)(#[^)\s]*)?\)")


def pages() -> dict[Path, str]:
    """By file: the place of each page in the site."""
    found = {file: file.relative_to(DOCS).as_posix() for file in sorted(DOCS.rglob("*.md"))}
    for file in (
        *sorted((ROOT / "experiments").rglob("README.md")),
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
    ):
        found[file] = file.relative_to(ROOT).as_posix()
    return found


def assemble(folder: Path) -> None:
    """Writes the pages, and the files that they show, into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    where = pages()
    for file, place in where.items():
        text, shown = page(file, where)
        _parent_of(folder / place).write_text(text)
        for source in shown:
            shutil.copyfile(source, _parent_of(folder / _place(source)))
    shutil.copytree(DOCS / "theme", folder / "theme")


def page(file: Path, where: dict[Path, str]) -> tuple[str, list[Path]]:
    """The text of a page as the site has it, and the files that it links to."""
    shown: list[Path] = []
    parts, end, text = [], 0, file.read_text()
    for fence in FENCE.finditer(text):  # what looks like a link in code is none
        parts.append(_with_links(text[end : fence.start()], file, where, shown))
        parts.append(_formula(fence[3]) if fence[2] == "math" else fence[0])
        end = fence.end()
    parts.append(_with_links(text[end:], file, where, shown))
    return "".join(parts), shown


def _with_links(text: str, file: Path, where: dict[Path, str], shown: list[Path]) -> str:
    def link(found: re.Match[str]) -> str:
        label, target, anchor = found[1], found[2], found[3] or ""
        if not target or "://" in target:
            return found[0]
        source = Path(os.path.normpath(file.parent / target))
        if source.is_dir() and (source / "README.md").exists():
            source /= "README.md"
        if not source.exists():
            raise SystemExit(f"{file.relative_to(ROOT)} links to {target}, which there is not.")
        if source in where:
            place = where[source]
        elif source.suffix in FILES:
            place = _place(source)
            shown.append(source)
        else:  # a file of the code, which is not part of the site
            return label.removeprefix("[").removesuffix("]")
        return f"{label}({os.path.relpath(place, Path(where[file]).parent)}{anchor})"

    return LINK.sub(link, text)


def _place(file: Path) -> str:
    base = DOCS if file.is_relative_to(DOCS) else ROOT
    return file.relative_to(base).as_posix()


def _formula(latex: str) -> str:
    markup = converter.convert(latex.strip(), display="block")
    # A function's name is an operator, which has space around it; as an identifier it has none.
    markup = markup.replace("<mi>log</mi>", '<mo lspace="0.17em" rspace="0.17em">log</mo>')
    return f'<div class="math">{markup}</div>'


def _parent_of(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
