"""Whether this working tree learns the same bits as another revision: `make golden BASE=<rev>`.

Plain SAC in both, in processes of their own: 200 updates of `jaxsac.update` alone, and 600 steps
of the trainer on Pendulum in JAX and Gymnasium's, with one and three seeds, with and without the
scale of observations. Bits depend on the processor and on jaxlib, so both run on this machine.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def measure(source, folder):
    """Digests of what the jaxsac in `source` learns."""
    folder.mkdir(parents=True)
    process = subprocess.run(
        [sys.executable, Path(__file__).with_name("measure.py"), folder],
        env={**os.environ, "PYTHONPATH": str(source), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        cwd=folder,
    )
    if process.returncode:
        raise SystemExit(f"{source} does not train:\n{process.stderr[-4000:]}")
    return json.loads((folder / "digests.json").read_text())


def differences(before, after):
    """What of `before` is not in `after`; arrays and columns that are new count for nothing."""
    for part, kept in before.items():
        for name, digests in kept.items():
            other = after[part].get(name)
            if isinstance(digests, list):
                lost = collections.Counter(digests) - collections.Counter(other)
                if lost:
                    yield f"{part}: {name}: {sum(lost.values())} of {len(digests)} arrays differ"
            elif columns := [each for each in digests if digests[each] != (other or {}).get(each)]:
                yield f"{part}: {name}: {', '.join(columns)} differ"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="the revision to compare with")
    base = parser.parse_args().base
    archive = subprocess.run(
        ["git", "archive", base, "src"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder / "base", filter="data")
        before = measure(folder / "base" / "src", folder / "before")
        after = measure(ROOT / "src", folder / "after")
    found = list(differences(before, after))
    arrays = sum(len(digests) for kept in before.values() for digests in kept.values())
    print("\n".join(found) or f"golden: {len(before)} trainings, {arrays} arrays and columns equal")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
