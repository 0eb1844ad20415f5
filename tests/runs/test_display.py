from io import StringIO

import pytest
from rich.console import Console

from jaxsac.runs.observer import Progress
from jaxsac.runs.display import MAX_ROWS, Display
from run_examples import small_run


def progress(step=30, seeds=2, evaluated=True, **changes):
    values = {
        "step": step,
        "seconds": step / 10,
        "evaluated": evaluated,
        "train_returns": [100.0 + k for k in range(seeds)],
        "eval_returns": [1234.5 + k for k in range(seeds)],
        "skipped": 0,
        "discarded": 0,
    }
    return Progress(**{**values, **changes})


def shown(config, *happenings, terminal=False):
    """What a console holds after the progress and the messages given."""
    output = StringIO()
    console = Console(file=output, force_terminal=terminal, width=120, height=40, color_system=None)
    with Display(config, console) as display:
        for happening in happenings:
            if isinstance(happening, str):
                display.message(happening)
            elif isinstance(happening, int):
                display.stepped(happening)
            else:
                display.progress(happening)
    return output.getvalue()


def test_without_a_terminal_every_evaluation_is_a_plain_line():
    config = small_run(eval_every=30)
    text = shown(config, "hello", progress(20, evaluated=False), 25, progress(30), progress(60))
    assert "\x1b" not in text
    hello, first, second = text.splitlines()
    assert hello == "hello"
    assert "step 30/60" in first
    # Two seeds, thirty steps each, in three seconds; as many are left.
    assert "20 steps/s  left 0:00:03" in first
    assert first.endswith("return by seed 1,234.5 1,235.5")
    assert "step 60/60" in second
    assert "left 0:00:00" in second


def test_without_evaluation_every_row_is_a_line_with_the_training_returns():
    rows = [
        progress(20, evaluated=False, train_returns=[None, 3.25]),
        progress(40, evaluated=False),
    ]
    first, second = shown(small_run(eval_every=0), *rows).splitlines()
    assert first.endswith("return by seed - 3.2")
    assert second.endswith("return by seed 100.0 101.0")


def test_long_messages_and_lines_are_not_broken():
    config = small_run(eval_every=30, seeds=64)
    text = shown(config, "word " * 100, progress(seeds=64))
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize("terminal", [False, True])
def test_faults_are_told(terminal):
    text = shown(small_run(eval_every=30), progress(skipped=3, discarded=17), terminal=terminal)
    assert "3 updates skipped (not finite), 17 steps discarded (not finite)" in text
    assert "skipped" not in shown(small_run(eval_every=30), progress(), terminal=terminal)


def test_a_terminal_has_a_bar_and_a_table_of_the_latest_returns():
    text = shown(
        small_run(seed=7, eval_every=30),
        progress(20, evaluated=False, eval_returns=[None, None]),
        progress(30),
        terminal=True,
    )
    assert "\x1b" in text
    assert "30/60" in text
    last = text[text.rindex("training return") :]
    assert "evaluation return (deterministic)" in last
    assert last.splitlines()[1].split() == ["7", "100.0", "1,234.5"]
    assert last.splitlines()[2].split()[:3] == ["8", "101.0", "1,235.5"]


@pytest.mark.parametrize("terminal", [False, True])
def test_of_a_large_population_the_best_the_median_and_the_worst_are_shown(terminal):
    count = MAX_ROWS + 5
    returns = [float(k) for k in range(count - 1)] + [None]
    returns[3] = float("nan")
    text = shown(
        small_run(seeds=count, eval_every=30),
        progress(seeds=count, eval_returns=returns),
        terminal=terminal,
    )
    words = text[text.index("best") :].replace(",", " ").split()
    assert words[words.index("best") + 1 + terminal] == f"{count - 2:.1f}"
    assert words[words.index("median") + 1 + terminal] == "10.0"
    assert words[words.index("worst") + 1 + terminal] == "0.0"


def test_a_message_on_a_terminal_stays_above_the_bar():
    text = shown(small_run(), progress(), "replay: 2 × 200 transitions", terminal=True)
    assert text.count("replay: 2 × 200 transitions") == 1


def test_brackets_in_a_message_are_no_markup():
    text = "runs/[baseline] and runs/[/x] resume"
    assert text in shown(small_run(), text, terminal=False)
