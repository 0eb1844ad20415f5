"""Where the time of a call goes on the card, by kernel."""

from __future__ import annotations

import glob
import tempfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
from section import RESULTS, row


def profile(name: str, call: Callable[[], Any], updates: int, seeds: int) -> None:
    """Rows of kernels and of busy time for an update; the longest kernels go to profile.txt."""
    call()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            call()
        (file,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        data = jax.profiler.ProfileData.from_file(file)
    seconds: Counter[str] = Counter()
    count: Counter[str] = Counter()
    starts, ends = [], []
    for plane in data.planes:
        if "/device:" not in plane.name:
            continue
        for line in plane.lines:
            if not line.name.startswith("Stream"):
                continue
            for event in line.events:
                seconds[event.name] += event.duration_ns * 1e-9
                count[event.name] += 1
                starts.append(event.start_ns)
                ends.append(event.start_ns + event.duration_ns)
    if not starts:
        row(f"{name}, kernels", "", seeds=seeds, note="no device in the trace")
        return
    span, busy = (max(ends) - min(starts)) * 1e-9, sum(seconds.values())
    row(f"{name}, kernels", sum(count.values()) / updates, "an update", seeds)
    row(f"{name}, kernels busy", 1e6 * busy / updates, "µs an update", seeds)
    row(f"{name}, span while traced", 1e6 * span / updates, "µs an update", seeds)
    with (RESULTS / "profile.txt").open("a") as file:
        print(f"\n{name}, {seeds} seeds: {1e6 * busy / updates:.1f} µs busy an update", file=file)
        for kernel, total in seconds.most_common(45):
            each = count[kernel] / updates
            print(f"{1e6 * total / updates:10.2f} µs {each:8.2f} × {kernel[:110]}", file=file)
