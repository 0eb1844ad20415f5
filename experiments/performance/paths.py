"""Where things lie."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PEERS = HERE / "peers"
RESULTS = HERE / "results"
VENVS = REPOSITORY / ".bench"


def without_paths(text: str) -> str:
    """A text that says nothing of where the repository lies on this machine."""
    return text.replace(f"{REPOSITORY}/", "").replace(str(Path.home()), "~")
