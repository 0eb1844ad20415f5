import pytest


@pytest.fixture
def drawn_quickly(monkeypatch):
    """For tests that look at numbers: figures and their tables are left out."""
    monkeypatch.setattr("jaxsac.reports.write._figures", lambda numbers: {})
    monkeypatch.setattr("jaxsac.reports.page._task", lambda *args: iter(()))
    monkeypatch.setattr("jaxsac.reports.page._across", lambda *args: iter(()))
