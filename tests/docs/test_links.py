"""Every link and picture of the documentation leads somewhere, in the repository as it is read."""

from documents import ALL, PAGES, README, ROOT, anchors, links


def test_links_lead_to_files_and_headings():
    for page in ALL:
        for target in links(page):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), f"{page.relative_to(ROOT)} links to {target}"
            if anchor:
                assert anchor in anchors(file), f"{page.relative_to(ROOT)} links to {target}"


def test_the_readme_leads_to_every_page():
    linked = {target.partition("#")[0] for target in links(README)}
    assert {page.relative_to(ROOT).as_posix() for page in PAGES} <= linked


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "zensical.toml").read_text()
    for page in ALL[1:]:
        folder = ROOT / "docs" if page in PAGES else ROOT
        assert f'"{page.relative_to(folder).as_posix()}"' in navigation


def test_the_readme_is_short_and_shows_the_two_commands():
    text = README.read_text()
    assert len(text.splitlines()) < 200
    assert "make train ENV=HalfCheetah-v4" in text
    assert "make test" in text
