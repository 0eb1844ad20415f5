"""What a run shows: lines that fit, phases, speeds with their names, the mean and its spread."""

import os
import sys
import types
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from jaxsac.runs.display import status
from jaxsac.runs.display.display import Display
from jaxsac.runs.display.observer import Progress
from jaxsac.runs.display.phases import PhaseClock
from jaxsac.runs.settings import labels
from run_examples import FAST, small_run

LONG = "a_module_with_a_long_name.of_mine:AnEnvironmentWithAVeryLongIdIndeed-v4"
LARGE = {"env": LONG, "steps": 1_000_000, "learning_starts": 10_000, "eval_every": 5_000}


def progress(step=30, members=2, evaluated=True, **changes):
    values = {
        "step": step,
        "evaluated": evaluated,
        "train_returns": [100.0 + k for k in range(members)],
        "eval_returns": [1234.5 + k for k in range(members)],
        "skipped": 0,
        "discarded": 0,
        "rows": [],
    }
    return Progress(**{**values, **changes})


def shown(config, *happenings, terminal=False, width=80, height=24):
    """What is in a file after messages, phases, steps and progress, or then on a screen."""
    output = StringIO()
    console = Console(
        file=output, force_terminal=terminal, width=width, height=height, color_system=None
    )
    display = Display(config, console)
    for happening in happenings:
        if isinstance(happening, Progress):
            display.progress(happening)
        elif isinstance(happening, int):
            display.stepped(happening)
        elif happening.startswith(">"):
            display.phase(happening[1:])
        else:
            display.message(happening)
    return screen_of(display, console) if terminal else output.getvalue()


def screen_of(display, console):
    console.file = output = StringIO()
    console.print(display._screen)
    return output.getvalue()


def large(members):
    """A run of large numbers: as configuration and as it is told."""
    returns = [-12345.6 * (1 + k % 7) for k in range(members)]
    told = progress(
        1_000_000, members, train_returns=returns, eval_returns=returns, skipped=1_234_567,
        discarded=7_654_321,
    )  # fmt: skip
    return small_run(seeds=members, **LARGE), told


class Time:
    """A clock that stands still until it is put forward."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def watched(clock):
    """A status of 3 seeds, 1,000 steps, 100 of them warm-up, evaluated every 100."""
    config = small_run(seeds=3, steps=1000, learning_starts=100, eval_every=100)
    return status.Status(config, PhaseClock("making environments", clock))


# Nothing is wider than where it is shown.


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("members", [1, 4, 20, 64])
def test_no_line_is_longer_than_the_console_is_wide(members, width, terminal):
    config, told = large(members)
    phases = [">compiling", ">warm-up", 9_000, ">training", ">evaluating", told, ">stopped"]
    text = shown(config, *phases, terminal=terminal, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) < 24
    assert "100%" in text.splitlines()[1] or not terminal, "the title is one line"
    for words in ("1,000,000", "stopped", "evaluation"):
        assert words in text
    if members > 1:
        assert "-12,345.6" in text
        assert f"mean of {members}" in text


def test_what_a_terminal_shows_of_ctrl_c_does_not_wrap_its_last_line():
    config, told = large(4)
    text = shown(config, told, terminal=True, width=60)
    assert len(text.splitlines()[-1].rstrip() + "^C^C") <= 60


@pytest.mark.parametrize("terminal", [False, True])
def test_settings_that_are_too_long_are_cut(terminal):
    swept = dict.fromkeys(("actor_lr", "critic_lr", "alpha_lr", "tau"), (0.0001, 0.0003))
    config = small_run(seeds=1, hyperparameters=FAST.replace(**swept), **LARGE)
    text = shown(config, large(2)[1], terminal=terminal, width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert "…" in text
    assert "-12,345.6" in text


def test_a_long_message_is_one_line_in_a_file_and_wrapped_at_a_terminal():
    message = "word " * 30
    assert len(shown(small_run(), message).splitlines()) == 1
    output = StringIO()
    console = Console(file=output, force_terminal=True, width=60, color_system=None)
    Display(small_run(), console).message(message)
    assert max(map(len, output.getvalue().splitlines())) <= 60


def test_an_output_that_is_closed_costs_nothing(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        with Display(small_run()) as display:
            display.message("nobody reads this")
            display.phase("complete")
        print("nor this", file=closed, flush=True)


def test_an_output_that_there_is_not_costs_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with Display(small_run()) as display:
        display.message("nobody reads this")


def test_an_output_in_ascii_takes_what_it_can(monkeypatch):
    output = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(output, "ascii", line_buffering=True))
    with Display(small_run()) as display:
        display.message("2 × 3 kB")
    assert b"2 ? 3 kB" in output.getvalue()


def test_brackets_in_a_message_are_no_markup():
    text = "runs/[baseline] and runs/[/x] resume"
    assert text in shown(small_run(), text)


# Phases.


def test_a_screen_names_the_phase_and_the_seconds_of_one_that_does_not_step(clock):
    console = Console(force_terminal=True, width=80, color_system=None)
    display = Display(small_run(), console)
    display._status.clock = PhaseClock("compiling", clock)
    clock.now = 43.4
    assert "compiling 43 s" in screen_of(display, console)
    display._status.enter("warm-up")
    title, *rest = screen_of(display, console).splitlines()
    assert title.rstrip().endswith("warm-up")
    assert "0:00:43 to compile" in "".join(rest)


def test_in_a_file_a_phase_is_a_line_but_for_those_that_come_again_and_again():
    phases = [">compiling", ">warm-up", ">evaluating", ">warm-up", ">training", ">saving"]
    text = shown(small_run(eval_every=30), *phases, ">training", ">complete")
    lines = [line.split(" ", 1)[1] for line in text.splitlines()]
    assert lines == [
        "compiling",
        "warm-up: random actions (compiling took 0 s)",
        "training",
        "complete at step 0 of 60, after 0:00:00",
    ]


def test_of_a_run_that_is_refused_nothing_stays_on_the_screen():
    def ended(*happenings):
        output = StringIO()
        console = Console(file=output, force_terminal=True, width=80)
        with Display(small_run(), console) as display:
            display.phase("making environments")
            for happening in happenings:
                happening(display)
        return output.getvalue().endswith("\x1b[2K")  # the last line is erased

    assert ended()
    assert not ended(lambda display: display.started(0, 0.0))


# Speed and time.


def test_speed_is_of_stepping_and_of_one_seed_beside_that_of_all(watched, clock):
    watched.started(100, 0.0)
    watched.enter("compiling")
    clock.now = 50
    watched.enter("training")
    clock.now = 52
    watched.stepped(120)
    watched.enter("evaluating")
    clock.now = 60
    watched.enter("training")
    assert watched.speed == 10
    assert watched.describe_speed() == "10 steps/s per seed, 30 in all"
    assert watched.seconds == 10
    # 880 steps at 10 a second, and an evaluation of 8 seconds for each hundred of them.
    assert watched.left == pytest.approx(880 / 10 + 880 / 100 * 8)
    assert watched.describe_time() == "0:00:10 so far, 0:02:38 left, 0:00:50 to compile"


def test_the_speed_is_that_of_the_last_minute(watched, clock):
    watched.enter("training")
    for now, step in ((10, 100), (100, 190), (130, 490)):
        clock.now = now
        watched.stepped(step)
    assert watched.speed == 10


def test_the_warm_up_says_nothing_of_the_time_that_learning_takes(watched, clock):
    watched.enter("warm-up")
    clock.now = 1
    watched.stepped(90)
    assert watched.speed == 90
    watched.enter("evaluating")
    assert "left known after the warm-up" in watched.describe_time()
    watched.enter("warm-up")
    watched.stepped(100)
    watched.enter("training")
    assert watched.describe_speed() == "-"
    clock.now = 3
    watched.stepped(120)
    assert watched.speed == 10


def test_what_was_done_before_a_resume_is_time_and_no_speed(watched, clock):
    watched.started(500, 3600.0)
    watched.enter("training")
    clock.now = 2
    watched.stepped(520)
    assert watched.speed == 10
    assert watched.seconds == 3602


# Returns.


def test_a_file_has_a_line_for_every_evaluation():
    config = small_run(eval_every=30)
    text = shown(config, progress(20, evaluated=False), 25, progress(30), progress(60))
    assert "\x1b" not in text
    first, second = text.splitlines()
    assert first.endswith("step 30 return 1,235.0 ± 0.5")
    assert second.endswith("step 60 return 1,235.0 ± 0.5")


def test_without_evaluation_every_row_is_a_line_with_the_training_returns():
    rows = [progress(20, evaluated=False, train_returns=[None, 3.25]), progress(40)]
    text = shown(small_run(eval_every=0), *rows)
    first, second = text.splitlines()
    assert first.endswith("return 3.25")
    assert second.endswith("return 100.5 ± 0.5")
    assert "evaluation" not in shown(small_run(eval_every=0), *rows, terminal=True)


def test_a_screen_has_the_returns_of_every_seed_and_their_mean_with_its_spread():
    text = shown(small_run(seed=7, eval_every=30), progress(), terminal=True)
    heading, first, *_, mean = text.splitlines()[-4:]
    assert heading.index("evaluation") + len("evaluation") == len(mean.rstrip())
    assert first.rindex(".") == mean.rindex(".", 0, mean.rindex("±")), "digits below digits"
    rows = [line.split() for line in text.splitlines()[-4:]]
    assert rows == [
        ["return", "in", "training", "evaluation"],
        ["seed", "7", "100.0", "1,234.5"],
        ["seed", "8", "101.0", "1,235.5"],
        ["mean", "of", "2", "100.5", "±", "0.5", "1,235.0", "±", "0.5"],
    ]


def test_of_more_seeds_than_fit_the_best_the_median_and_the_worst_are_shown():
    returns = [float(k) for k in range(20)]
    returns[3] = float("nan")
    config, told = small_run(seeds=20, eval_every=30), progress(members=20, eval_returns=returns)
    few = shown(config, told, terminal=True, height=24).splitlines()[-4:]
    assert [line.split()[:3] for line in few[:3]] == [
        ["best:", "seed", "19"],
        ["median:", "seed", "10"],
        ["worst:", "seed", "3"],
    ]
    assert few[0].split()[-1] == "19.0"
    assert few[3].startswith("mean of 20")
    everything = shown(config, told, terminal=True, height=40)
    assert "best" not in everything
    assert "seed 19" in everything


def test_points_of_a_sweep_are_shown_by_their_settings():
    swept = FAST.replace(actor_lr=(1e-4, 3e-4), gamma=(0.9, 0.99))
    config = small_run(hyperparameters=swept, eval_every=30)
    told = progress(members=4, eval_returns=[1.0, 3.0, 5.0, 9.0])
    screen = shown(config, told, ">stopped", terminal=True).splitlines()
    assert screen[-2].split()[:2] == ["actor_lr=1e-4", "gamma=0.9"]
    assert screen[-1].endswith("7.00 ± 2.00")
    line, _, *table = shown(config, told, ">stopped").splitlines()
    assert line.endswith("step 30 return 7.00 ± 2.00 (best: actor_lr=3e-4 gamma=0.99)")
    assert "point" not in "".join([*screen, line, *table])
    assert table[-1].split()[:2] == ["actor_lr=3e-4", "gamma=0.99"]


@pytest.mark.parametrize("terminal", [False, True])
def test_faults_are_told(terminal):
    told = progress(skipped=3, discarded=17)
    text = shown(small_run(eval_every=30), told, told, terminal=terminal)
    assert text.count("not finite: 3 updates skipped, 17 steps discarded") == 1
    assert "not finite" not in shown(small_run(eval_every=30), progress(), terminal=terminal)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-4, "1e-4"), (0.99, "0.99"), (100.0, "100"), ((64, 64), "64x64"), (2, "2"), (True, "True")],
)
def test_a_setting_is_written_in_its_shorter_form(value, text):
    assert labels.setting(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0.0, "0.0"), (1234.56, "1,234.6"), (-10.0, "-10.0"), (2e7, "2.000e+07"),
        (5.0, "5.00"), (-0.8234, "-0.823"), (0.01234, "0.0123"), (1.234e-5, "1.23e-05"),
        (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_a_return_has_three_digits_however_small_it_is(value, text):
    assert labels.number(value) == text


def test_long_names_stay_different_from_each_other():
    names = ["a b", "b"]
    assert labels.apart(names, 10) == {"a b": "a b", "b": "b"}
    long = [f"{'x' * 30} gamma={gamma} tau=0.005" for gamma in (0.9, 0.99)]
    assert [*labels.apart(long, 20).values()] == ["gamma=0.9", "gamma=0.99"]
    ends = [f"{'y' * 30}-{name}" for name in "ab"]
    assert [*labels.apart(ends, 9).values()] == ["yyyy…yy-a", "yyyy…yy-b"]
    middles = [f"{'y' * 30}{name}{'y' * 30}" for name in "ab"]
    assert [*labels.apart(middles, 9).values()] == ["yyyy…yyyy (1)", "yyyy…yyyy (2)"]
    assert labels.apart(["z" * 10], 5) == {"z" * 10: "zz…zz"}


def test_a_deviation_has_as_many_decimals_as_its_mean():
    assert labels.spread([8000.0, 8002.0]) == "8,001.0 ± 1.0"
    assert labels.spread([0.8, 0.82]) == "0.810 ± 0.010"
    assert labels.spread([-20.0, 20.0]) == "0.0 ± 20.0"


# A notebook.


def test_in_a_notebook_one_place_is_drawn_again(monkeypatch):
    drawn = []

    class Handle:
        def update(self, cell):
            drawn.append(cell._repr_mimebundle_([], [])["text/plain"])

    def display(cell, display_id):
        assert display_id
        drawn.append("made")
        return Handle()

    module = types.ModuleType("IPython.display")
    monkeypatch.setattr(module, "display", display, raising=False)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    with Display(small_run(eval_every=30), Console(force_jupyter=True)) as shown_in_cell:
        shown_in_cell.phase("compiling")
        shown_in_cell.progress(progress())
    assert drawn[0] == "made"
    assert "compiling 0 s" in drawn[1]
    assert "mean of 2" in drawn[-1]
