"""Signals are heard at once, and honoured at a safe point."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxsac.runs.process.interrupt import Interrupt, insists

IN_NATIVE_CODE = """
import hashlib, os
from jaxsac.runs.process import interrupt

interrupt.PATIENCE = 0.1
say = lambda text: os.write(1, f"{text}\\n".encode())
with interrupt.Interrupt(say):
    say("entered")
    hashlib.pbkdf2_hmac("sha256", b"", b"", ROUNDS)  # calls no handler of Python before it is done
    say("came back")
"""


@pytest.fixture
def usual_handlers():
    """Those of a terminal, which a test run in a shell's background or under `nohup` lacks."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_second_signal_acts_as_usual(usual_handlers):
    with Interrupt() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU],
)
def test_other_signals_are_a_request_too_and_handlers_come_back(usual_handlers, number):
    before = [signal.getsignal(each) for each in (signal.SIGINT, number)]
    with Interrupt() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
    with Interrupt():
        pass
    assert [signal.getsignal(each) for each in (signal.SIGINT, number)] == before


def test_a_signal_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_that_native_code_handles_is_left_to_it(usual_handlers, monkeypatch):
    getsignal, taken = signal.getsignal, []

    def of_native_code(number):
        return None if number == signal.SIGUSR2 else getsignal(number)

    def take(number, handler):
        taken.append(number)
        return set_handler(number, handler)

    set_handler = signal.signal
    monkeypatch.setattr(signal, "getsignal", of_native_code)
    monkeypatch.setattr(signal, "signal", take)
    with Interrupt():
        pass
    assert signal.SIGUSR1 in taken
    assert signal.SIGUSR2 not in taken, "it could not be put back"


def test_a_warning_that_somebody_handles_is_left_to_them_and_ours_are_not(usual_handlers):
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda *_: heard.append("theirs"))
    try:
        with Interrupt(heard.append) as outer:
            os.kill(os.getpid(), signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGUSR1)
            with Interrupt() as inner:
                os.kill(os.getpid(), signal.SIGUSR1)
                assert inner.requested, "one within another is asked first"
            assert outer.requested
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert heard == ["theirs", "SIGUSR1"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGHUP, signal.SIGHUP),  # from a shell and its terminal
        (signal.SIGTERM, signal.SIGHUP),  # from systemd
        (signal.SIGUSR1, signal.SIGTERM),  # from a scheduler: a warning, and the end of the time
    ],
)
def test_another_signal_may_ask_for_the_same(usual_handlers, first, second):
    with Interrupt() as stop:
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), second)  # ended this process, if it acted as usual
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_signals_are_left_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def enter():
        with Interrupt() as stop:
            seen.append((stop.requested, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


def in_native_code(rounds):
    program = IN_NATIVE_CODE.replace("ROUNDS", str(rounds))
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_signal_is_heard_while_native_code_runs_and_a_second_one_ends_it():
    process = in_native_code(3 * 10**8)  # a minute, also where everything is slow
    try:
        assert process.stdout.readline() == "entered\n"
        time.sleep(1)  # until it is in there, also where everything is slow
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "Ctrl-C\n"
        process.send_signal(signal.SIGINT)
        output, error = process.communicate()
    finally:
        process.kill()
    assert (output, process.returncode) == ("", 128 + signal.SIGINT)
    assert error == "\njaxsac: ended at once, without saving.\n"


def test_a_second_signal_in_native_code_acts_when_that_comes_back(usual_handlers):
    def again():
        with Interrupt() as stop:
            stop._insisted = True
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        again()


def test_the_same_signal_again_insists_and_so_does_ctrl_c():
    assert insists(signal.SIGTERM, [signal.SIGUSR1, signal.SIGTERM])
    assert insists(signal.SIGINT, [signal.SIGTERM])
    assert not insists(signal.SIGTERM, [signal.SIGINT])
    assert not insists(signal.SIGINT, [])


def test_a_signal_of_another_kind_is_named():
    heard = []
    with Interrupt(heard.append):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert heard == ["SIGUSR1"]


def test_what_was_woken_by_signals_before_is_woken_again():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    try:
        with Interrupt():
            pass
        assert signal.set_wakeup_fd(before) == writer
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def test_a_signal_that_an_event_loop_handles_reaches_it_when_it_runs_again(usual_handlers):
    async def main():
        loop, heard = asyncio.get_running_loop(), []
        numbers = (signal.SIGUSR1, signal.SIGWINCH)
        for number in numbers:
            loop.add_signal_handler(number, heard.append, number)
        with Interrupt(), Interrupt() as stop:
            for number in (*numbers, signal.SIGTERM):
                os.kill(os.getpid(), number)
        assert stop.requested
        while len(heard) < len(numbers):
            await asyncio.sleep(0.01)
        assert heard == [*numbers]

    asyncio.run(asyncio.wait_for(main(), 10))
