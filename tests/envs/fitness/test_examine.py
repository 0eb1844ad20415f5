"""What a run is told of its environment before it begins."""

import functools
import random
import re
import shlex
import sys
import time
import types

import gymnasium
import numpy
import numpy as np
import pytest

import broken_environments
from jaxsac.cli import commands
from jaxsac.cli.options import run_config
from jaxsac.envs import checked, host, walk
from jaxsac.envs.fitness import determinism, examine, time_limit
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.registry import make

# A program that other tests have compiled.
TRAIN = [
    "train", "--seeds", "2", "--steps", "30", "--learning-starts", "20", "--batch-size", "8",
    "--replay-capacity", "200", "--hidden-sizes", "8", "--eval-every", "0",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch):
    """All is looked at, whatever else this machine does."""
    monkeypatch.setattr(walk, "SLOW", 60.0)
    monkeypatch.setattr(determinism, "SECONDS", 60.0)
    monkeypatch.setattr(time_limit, "SECONDS", 60.0)


def look(name, evaluates=False, **options):
    env_id = f"broken_environments:{name}-v0"

    def one():
        return make(env_id, 1, options=EnvOptions(**options))[0]

    env = one()
    try:
        return examine.examine(env_id, env, one, evaluates).remarks
    finally:
        env.close()


def test_of_a_sound_environment_nothing_is_said():
    assert look("Sound", evaluates=True) == []
    assert look("Frozen") == []
    assert look("Tally") == []


def test_numbers_that_float32_lacks_are_no_errors_of_numpy():
    with np.errstate(all="raise"):
        assert look("Tiny") == []
        assert "as large as 1e+40" in look("HugeReward")[0]


@pytest.mark.parametrize(
    ("begin", "said"),
    [(lambda: sys.exit(3), "SystemExit"), (lambda: time.sleep(60), "no answer within 0.2 sec")],
    ids=["exits", "hangs"],
)
def test_a_first_reset_that_ends_the_program_or_never_returns_is_a_fault(begin, said):
    class Begins(broken_environments.Sound):
        def reset(self, *, seed=None, options=None):
            return begin()

    def one():
        return make("Begins", 1, timeout=0.2, options=EnvOptions(function=Begins))[0]

    with pytest.raises(Exception, match=said) as raised:
        examine.examine("Begins", one(), one, False)
    assert checked.is_fault(raised.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Clock", "cannot be resumed exactly: two copies with the same seed.*observation"),
        ("OwnGenerator", "cannot be resumed exactly: what it draws after its first reset"),
        ("PythonsGenerator", "cannot be resumed exactly: it draws from Python's `random`"),
        ("NumpysGenerator", "cannot be resumed exactly: it draws from NumPy's `np.random`"),
        ("Curriculum", "cannot be resumed exactly: it keeps state through a reset"),
        ("LateCurriculum", "cannot be resumed exactly: its LateCurriculum counts in 'episodes'"),
        ("Centered", "cannot be resumed exactly: its wrapper Centered keeps state through"),
        ("OnlyByClock", "cannot be resumed exactly: a second reset with the same seed"),
        ("Dated", r"observation\['t'\] is about 1700000000 and changes by 1\.\d .*rounds away"),
        ("Today", r"observation\['t'\] lies between .* 675 numbers"),
        ("FarReward", r"the reward is about 99999\d+\.\d+ and changes by .* rounds away"),
        ("HugeReward", r"the reward is as large as 1e\+40"),
        ("Wide", r"dimension 0 of an action lies between -3e\+38 and 3e\+38, hardly the range"),
        ("NoEnd", "no time limit, and no episode ended in 10,000 random steps: there may be no"),
        ("NoInfo", "the info of step is None"),
        ("Frames", r"uint8 of \(3, 32, 40\), and images are uint8 of \(height, width, colours\)"),
    ],
)
def test_what_a_run_can_do_without_is_said(name, said):
    (sentence,) = look(name)
    assert re.search(said, sentence)
    assert sentence.startswith(f"broken_environments:{name}-v0")


def test_an_environment_may_do_something_as_often_as_it_counts():
    counts = []

    class Later(broken_environments.Tally):
        def draw(self):
            counts.append(self.episodes)
            return (10 if self.episodes > 40 else 1) * super().draw()

    def one():
        limit = functools.partial(gymnasium.wrappers.TimeLimit, max_episode_steps=20)
        return make("Later", 1, options=EnvOptions(wrappers=(limit,), function=Later))[0]

    (said,) = examine.examine("Later", one(), one, False).remarks
    assert "cannot be resumed exactly: its Later counts in 'episodes'" in said
    assert max(counts) < 3_000


def test_slow_simulators_have_no_counts_looked_into(monkeypatch):
    led, lead = [], determinism.lead

    def slow(*arguments):
        led.append(arguments)
        if len(led) == 2:
            # The clock of this module alone: that of deadlines goes on in a thread of its own.
            late = types.SimpleNamespace(monotonic=lambda: np.inf)
            monkeypatch.setattr(determinism, "time", late)
        return lead(*arguments)

    monkeypatch.setattr(determinism, "lead", slow)
    copies = make("broken_environments:Tally-v0", 2)
    assert determinism.state_elsewhere(copies)[0] is None
    assert len(led) == 2


def test_where_there_is_to_be_no_other_copy_none_is_made_and_the_first_takes_no_step(monkeypatch):
    steps = []
    monkeypatch.setattr(broken_environments.Sound, "step", steps.append)
    (env,) = make("broken_environments:Sound-v0", 1)
    assert examine.examine("Sound", env, None, evaluates=True) == ([], None)
    assert steps == []


def test_a_copy_that_waits_for_the_first_to_go_is_done_without():
    def another():
        time.sleep(60)

    (env,) = make("broken_environments:Sound-v0", 1, timeout=0.2)
    assert examine.examine("Sound", env, another, evaluates=True).remarks == []


def test_every_departure_that_is_taken_is_said():
    assert look("Lists", evaluates=True) == [
        "broken_environments:Lists-v0: an observation is a list, expected an array.",
        "broken_environments:Lists-v0: terminated is 0, expected True or False.",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("OldApi", r"OldApi-v0: reset takes no seed: it is reset\(self"),
        ("Named", "Named-v0: step returns one dict, expected observation, reward"),
        ("Normalized", "NormalizeObservation keeps running statistics.*--normalize-observations"),
        ("NormalizedReward", "NormalizeReward keeps running statistics.*--reward-scale"),
        ("Counting", "the number 3000000000, which does not fit int32"),
        ("NoEnd", "ended in 10,000 random steps: an evaluation would not end"),
    ],
)
def test_what_a_run_cannot_do_without_is_refused(name, said):
    with pytest.raises(ValueError, match=said) as refusal:
        look(name, evaluates=True)
    assert not hasattr(refusal.value, "__notes__"), "one line for a person"


def test_looking_leaves_global_generators_as_they_were():
    random.seed()
    np.random.seed()

    def state():
        return random.getstate(), [str(part) for part in np.random.get_state()]

    before = state()
    look("PythonsGenerator")
    look("NumpysGenerator")
    assert state() == before


def test_looking_closes_its_copies_and_leaves_alone_the_one_that_trains(monkeypatch):
    closed, stepped, copies = [], [], []
    monkeypatch.setattr(broken_environments.Sound, "close", lambda env: closed.append(env))
    (env,) = make("broken_environments:Sound-v0", 1)
    monkeypatch.setattr(env.unwrapped, "step", stepped.append)
    monkeypatch.setattr(env.unwrapped, "reset", stepped.append)

    def another():
        copies.extend(make("broken_environments:Sound-v0", 1))
        return copies[-1]

    assert examine.examine("Sound", env, another, evaluates=True) == ([], None)
    assert stepped == []
    assert closed == [copy.unwrapped for copy in copies]
    assert len(copies) == 2


def test_where_one_can_live_the_copy_that_trains_is_reset_and_not_stepped(monkeypatch):
    steps = []
    monkeypatch.setattr(broken_environments.Only, "step", steps.append)
    assert look("Only") == []
    assert steps == []
    assert not broken_environments.Only.alive


@pytest.mark.parametrize("step", [1, 2])
def test_what_a_copy_raises_is_left_to_training_but_in_its_first_step(step, monkeypatch):
    pay = broken_environments.Sound.pay

    def fail(self, action):
        if self.steps == step:
            raise ValueError("the simulator broke")
        return pay(self, action)

    monkeypatch.setattr(broken_environments.Sound, "pay", fail)
    if step > 1:
        assert look("Sound") == []
        return
    with pytest.raises(ValueError, match="the simulator broke") as raised:
        look("Sound")
    assert checked.is_fault(raised.value), "with its traceback"


def test_slow_simulators_are_not_waited_for(monkeypatch):
    made, steps = [], []
    step = broken_environments.Sound.step
    monkeypatch.setattr(broken_environments.Sound, "step", lambda *x: steps.append(0) or step(*x))
    monkeypatch.setattr(walk, "SLOW", 0.0)
    monkeypatch.setattr(determinism, "SECONDS", 0.0)
    monkeypatch.setattr(time_limit, "SECONDS", 0.0)
    env_id = "broken_environments:NoEnd-v0"

    def another():
        made.extend(make(env_id, 1))
        return made[-1]

    ((sentence,), _) = examine.examine("E", make(env_id, 1)[0], another, evaluates=True)
    assert "if none does in 10,000, an evaluation gives up" in sentence
    # One step with wrappers and one without show what the interface is.
    assert (len(made), len(steps)) == (1, 2)


# Remedies do what they are said to do.


def code_in(error):
    """What a message advises: code in backticks, to be run where `env` is the environment."""
    return re.findall(r"`(gymnasium\.wrappers\..*?)`", str(error))


@pytest.mark.parametrize("name", ["Unbounded", "Blind", "Counted", "Counting"])
def test_what_is_advised_makes_spaces_usable(name, monkeypatch):
    with pytest.raises(ValueError, match="gymnasium") as refusal:
        look(name)
    (code,) = code_in(refusal.value)
    code = code.replace("OFFSET", "3e9").replace("SCALE", "10")

    packages = {"gymnasium": gymnasium, "numpy": numpy}
    advised = eval(f"lambda env: {code}", packages)
    monkeypatch.setattr(broken_environments, "advised", advised, raising=False)
    wrappers = ("broken_environments:advised",)  # --wrapper
    options = EnvOptions(wrappers=wrappers)
    assert look(name, wrappers=wrappers) == []
    envs = host.HostEnvs(make(f"broken_environments:{name}-v0", 1, options=options), 1)
    envs.reset([0])
    result, _ = envs.step(np.ones((1, 1, 2), np.float32))
    assert result.valid.all()
    size = {"Unbounded": 2}.get(name, 1)
    assert result.next_observation.shape == (1, 1, size)
    assert np.abs(result.next_observation).max() < 10


@pytest.mark.parametrize("name", ["Dated", "Today"])
def test_what_is_advised_of_a_part_of_an_observation_makes_it_usable(name):
    (sentence,) = look(name)
    (code,) = code_in(sentence)
    code = code.replace("KEY", "'t'").replace("OFFSET", "1.7e9").replace("SCALE", "10")
    advised = eval(f"lambda env: {code}", {"gymnasium": gymnasium, "numpy": numpy})
    assert look(name, wrappers=(advised,)) == []


def test_what_is_advised_against_rounding_keeps_the_digits():
    (sentence,) = look("HugeReward")
    (code,) = code_in(sentence)
    env = broken_environments.HugeReward()
    scaled = eval(code.replace("OFFSET", "1e40").replace("SCALE", "1e40"), globals() | {"env": env})
    scaled.reset(seed=0)
    assert scaled.step(np.zeros(2))[1] == 0


def train(env, directory, *options):
    env = f"broken_environments:{env}-v0"
    return commands.run([*TRAIN, "--env", env, "--run-dir", str(directory), *options])


@pytest.mark.parametrize("name", ["Normalized", "NoEnd", "Counting", "Blind", "OldApi"])
def test_a_run_is_refused_at_its_start_in_one_line_and_leaves_nothing(name, tmp_path, capsys):
    assert train(name, tmp_path / "run", "--eval-every", "10") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_one_copy_at_a_time_can_open_is_evaluated_where_it_trains(tmp_path, capsys):
    options = ["--eval-every", "10", "--seeds", "1"]
    assert train("OpensOnReset", tmp_path / "run", *options) == 0
    assert "OpensOnReset-v0 cannot be copied for evaluation ([Errno 98]" in capsys.readouterr().out
    assert commands.run(["eval", str(tmp_path / "run"), "--episodes", "2"]) == 0
    assert broken_environments.OpensOnReset.opened is None


def test_what_is_found_is_said_at_the_start_and_without_evaluation_no_end_is_needed(
    tmp_path, capsys
):
    assert train("NoEnd", tmp_path / "run", "--eval-every", "0") == 0
    assert capsys.readouterr().out.count("NoEnd-v0 declares no time limit") == 1


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("Normalized", {"normalize_observations": True}),
        ("NormalizedReward", {"reward_scale": "return_std"}),
        ("NoEnd", {"env_kwargs": {"max_episode_steps": 1000}, "eval_every": 0}),
    ],
)
def test_the_options_that_are_advised_are_options(name, setting):
    with pytest.raises(ValueError, match="--") as refusal:
        look(name, evaluates=True)
    text = re.sub(r"[,.](?= |$)", "", str(refusal.value))
    words = [w for w in shlex.split(text[text.index("--") :]) if w not in ("say", "or", "train")]
    options = {"Normalized": words[:1], "NormalizedReward": words[:2]}.get(
        name, [*words[:2], *words[-2:]]
    )
    command = commands.parse([*TRAIN, "--env", f"broken_environments:{name}-v0", *options])
    assert {key: getattr(run_config(command), key) for key in setting} == setting


def test_with_the_time_limits_that_are_advised_nothing_is_said():
    assert look("NoEnd", evaluates=True, kwargs={"max_episode_steps": 1000}) == []
    with pytest.raises(ValueError, match="TimeLimit") as refusal:
        look("NoEnd", evaluates=True)
    (code,) = code_in(refusal.value)
    advised = eval(f"lambda env: {code}", {"gymnasium": gymnasium})
    assert look("NoEnd", evaluates=True, wrappers=(advised,)) == []


def test_where_no_second_copy_can_begin_the_first_is_looked_at_all_the_same(monkeypatch):
    monkeypatch.setattr(broken_environments.OpensOnReset, "opened", None)

    class Timed(broken_environments.OpensOnReset, broken_environments.Clock):
        pass

    def one(kind=Timed):
        return make("Timed", 1, options=EnvOptions(function=kind))[0]

    limit = functools.partial(gymnasium.wrappers.TimeLimit, max_episode_steps=20)
    found = examine.examine("Timed", one(), lambda: one(lambda: limit(Timed())), False)
    assert found.alone == "[Errno 98] Address already in use"
    assert any("a second reset with the same seed" in remark for remark in found.remarks)
    with pytest.raises(ValueError, match=r"no episode ended in 10,000 random steps"):
        examine.examine("Timed", one(), one, True)


def test_numbers_of_processes_are_no_counts(monkeypatch):
    ended, started = [], []

    class Restarting(broken_environments.Sound):
        """Ends the simulator that it has started, and starts another one."""

        process = 0

        def reset(self, *, seed=None, options=None):
            ended.append(self.process)
            self.process = 5000 + len(started)
            started.append(self.process)
            return super().reset(seed=seed)

    monkeypatch.setattr(determinism, "_processes", lambda: set(started))
    limit = functools.partial(gymnasium.wrappers.TimeLimit, max_episode_steps=20)
    inner = Restarting()
    assert determinism.state_elsewhere([limit(inner)])[0] is None
    assert set(ended) <= {0, *started}, "no other process"
    assert inner.process == started[-1]


def test_a_handle_that_is_set_anew_stays_as_it_is():
    class Handled(broken_environments.Sound):
        opened = 0

        def reset(self, *, seed=None, options=None):
            Handled.opened += 1
            self.handle = Handled.opened
            return super().reset(seed=seed)

    limit = functools.partial(gymnasium.wrappers.TimeLimit, max_episode_steps=20)
    inner = Handled()
    assert determinism.state_elsewhere([limit(inner)])[0] is None
    assert inner.handle == Handled.opened
