"""The limits of containers and jobs, read from folders as the kernel shows them."""

import math

import pytest

from jaxsac.training import control_group

GB = 10**9
CACHE = {1: "total_inactive_file", 2: "inactive_file"}
NAMES = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("memory.max", "memory.current")}


@pytest.fixture
def system(tmp_path):
    """Makes groups, and puts this process into one."""

    def enter(line):
        (tmp_path / "proc/self").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/self/cgroup").write_text(f"8:pids:/elsewhere\n{line}\n")
        return tmp_path

    def group(path, version, limit, used, cache=0):
        folder = tmp_path / "sys/fs/cgroup" / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in zip(NAMES[version], (limit, used), strict=True):
            (folder / name).write_text(f"{value}\n")
        (folder / "memory.stat").write_text(f"anon 5\n{CACHE[version]} {cache}\nmapped 7\n")

    return enter, group


def test_of_groups_in_groups_the_tightest_counts(system):
    enter, group = system
    group("slurm", 2, 9 * GB, 3 * GB)
    group("slurm/job_1", 2, 5 * GB, 3 * GB)
    group("slurm/job_1/step_0", 2, "max", GB)
    group("slurm/job_2", 2, 2 * GB, 2 * GB)  # not this one's
    assert control_group.free_bytes(enter("0::/slurm/job_1/step_0")) == 2 * GB
    assert control_group.free_bytes(enter("0::/slurm")) == 6 * GB


def test_the_first_version_is_read_too(system):
    enter, group = system
    group("memory/docker/1f", 1, 4 * GB, GB)
    assert control_group.free_bytes(enter("4:cpu,memory:/docker/1f")) == 3 * GB


def test_what_files_were_read_is_given_back(system):
    enter, group = system
    for path, version, line in (("a", 2, "0::/a"), ("memory/a", 1, "4:memory:/a")):
        group(path, version, 4 * GB, 3 * GB, cache=2 * GB)
        assert control_group.free_bytes(enter(line)) == 3 * GB


def test_without_a_limit_there_is_none(system, tmp_path):
    enter, _ = system
    assert control_group.free_bytes(tmp_path / "nowhere") == math.inf
    assert control_group.free_bytes(enter("0::/")) == math.inf
