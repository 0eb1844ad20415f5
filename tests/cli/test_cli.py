import dataclasses
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import jaxsac
import probe_environments
from jaxsac.cli import commands, evaluate, main, options
from jaxsac.cli import train as training
from jaxsac.cli.console import Console
from jaxsac.cli.options import run_config
from jaxsac.runs.metrics import metrics
from jaxsac.runs.settings import settings
from jaxsac.runs.settings.config import RunConfig
from jaxsac.sac.presets import PRESETS
from jaxsac.sweeps import plan

CUSTOM_MODULES = {"actor", "critic"}
NO_FLAGS = ("agent", "hyperparameters", "objects")
FIELDS = [
    *(f for f in dataclasses.fields(RunConfig) if f.name not in NO_FLAGS),
    *(f for f in dataclasses.fields(jaxsac.Config) if f.name not in CUSTOM_MODULES),
    *dataclasses.fields(jaxsac.Hyperparameters),
]
SMALL = [
    "--env", "probe_environments:Drift-v0", "--seeds", "2", "--steps", "60",
    "--learning-starts", "20", "--batch-size", "8", "--replay-capacity", "200",
    "--eval-every", "30", "--eval-episodes", "2", "--log-every", "20", "--hidden-sizes", "8",
]  # fmt: skip


def test_versions_are_told(capsys):
    with pytest.raises(SystemExit):
        commands.parse(["--version"])
    assert re.fullmatch(r"jaxsac \d+\.\d+\S*, jax \d+\.\d+\S*\n", capsys.readouterr().out)


def help_of(capsys, *command):
    with pytest.raises(SystemExit) as stop:
        commands.parse([*command, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def parse_train(*arguments):
    command = commands.parse(["train", "--env", "Pendulum-v1", *arguments])
    assert isinstance(command, commands.Train)
    return run_config(command)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "run"
    assert commands.run(["train", *SMALL, "--run-dir", str(directory)]) == 0
    return directory


# Options.


def test_every_field_is_a_flag_of_the_same_name(capsys):
    words = help_of(capsys, "train").replace(",", " ").split()
    for field in FIELDS:
        assert f"--{field.name.replace('_', '-')}" in words, field.name


def test_every_flag_has_its_docstring_as_help(capsys):
    text = " ".join(help_of(capsys, "train").replace("│", " ").split())
    for line in (
        "Number of independent seeds trained together.",
        "Gradient updates per environment transition; fractions are allowed.",
        "Learning rate of log α; 0 keeps the temperature at initial_alpha.",
        "What the Bellman target makes of the ensemble: its minimum (of distrib",
        "Entropy that α steers to, in nats, with actions in [-1, 1]; None means "
        "-target_entropy_scale·dim(A).",
        "Settings of another library or paper instead of jaxsac's; explicit options override it.",
        "Run directory to write; runs/<env>-<hash of the settings> by default.",
    ):
        assert line in text, line


def test_the_basic_options_come_first_and_the_rest_in_named_groups(capsys):
    text = help_of(capsys, "train")
    headings = re.findall(r"^ ((?:[a-z]+ )?options) +$", text, re.MULTILINE)
    assert headings[0] == "options"
    assert headings[1:] == [f"{name} options" for name in (*options.GROUPS, *options.REST.values())]
    basic = text[: text.index("environment options")]
    assert 14 <= len(re.findall(r"^ +--[a-z]", basic, re.MULTILINE)) <= 18
    listed = re.findall(r"^ +(--[a-z][a-z0-9-]*)", text, re.MULTILINE)
    assert len(listed) == len(set(listed))


def test_eval_tells_its_options(capsys):
    words = help_of(capsys, "eval").split()
    assert {"PATH", "--episodes", "--which", "--env", "--env-kwargs", "--eval-envs"} <= set(words)


def test_defaults_are_those_of_the_library():
    assert parse_train() == RunConfig(env="Pendulum-v1")


def test_every_value_arrives():
    values = {
        "seeds": 3, "seed": 7, "steps": 1234, "num_envs": 5, "learning_starts": 321, "utd": 0.25,
        "update_every": 2, "normalize_observations": True, "n_step": 3, "batch_size": 12,
        "reward_scale": "return_bound", "reward_scale_bound": 2.5, "noise_hold": 16,
        "reset_every": 500, "prior_data": "a.npz", "prior_fraction": 0.25, "offline_steps": 9,
        "replay_capacity": 777, "eval_every": 99, "eval_episodes": 4, "log_every": 11,
        "checkpoint_every": 55, "env_timeout": 8.5, "env_workers": 6, "seed_layout": "vmap",
        "env_kwargs": {"g": [1, 2.5]}, "wrapper": ("a:b", "c:d"), "eval_envs": 3,
        "log": ("tensorboard", "wandb"), "record_every": 66,
        "keep_replay": False, "lock": False, "init_from": "some/run", "init_replay": True,
        "actor": "m:Actor", "actor_kwargs": {"width": 3}, "critic": "m:Critic",
        "critic_kwargs": {"width": 4},
        "hidden_sizes": (5, 6, 7), "activation": "gelu", "num_critics": 3,
        "actor_hidden_sizes": (4,), "critic_hidden_sizes": (3, 3), "body": "residual",
        "actor_body": "mlp", "critic_body": "residual", "normalization": "layer",
        "actor_normalization": "none", "critic_normalization": "layer",
        "target_pessimism": "mean", "actor_pessimism": "mean", "forward": "apart",
        "order": "actor_first", "actor_every": 3, "projection": "unit_norm",
        "value_network": True, "head": "scalar", "num_quantiles": 7, "num_atoms": 9,
        "value_bound": 2.5, "subset_size": 1, "dropped_quantiles": 3, "actor_forward": "joint",
        "normalization_position": "after", "normalize_inputs": True, "hidden_biases": False,
        "batch_norm_momentum": 0.5, "batch_norm_epsilon": 0.01, "renorm_warmup": 12,
        "encoder": "flat", "random_shift": 4,
        "critic_dropout_rate": 0.125, "optimizer": "adamw", "clip_gradients": True,
        "lr_schedule": "cosine",
        "actor_gradient": "score", "actor_samples": 4, "log_std_min": -4.0, "log_std_max": 1.0,
        "log_std_map": "tanh", "log_prob_epsilon": 1e-5, "alpha_loss": "alpha",
        "target_entropy_scale": 0.25, "initializer": "torch",
        "actor_lr": 1e-4, "critic_lr": 2e-4, "alpha_lr": 0.0, "gamma": 0.5, "tau": 0.25,
        "target_entropy": -0.5, "initial_alpha": 0.125, "adam_b1": 0.5, "adam_b2": 0.75,
        "adam_eps": 1e-5, "weight_decay": 0.01, "max_gradient_norm": 2.0, "final_lr_scale": 0.25,
        "schedule_updates": 300.0,
    }  # fmt: skip
    # Refused beside prior data, so on a line of its own.
    assert parse_train("--frame-stack", "3").frame_stack == 3
    assert parse_train("--env-workers", "auto").env_workers == "auto"
    assert {"env", "frame_stack", *values} == {field.name for field in FIELDS}
    arguments = []
    for name, value in values.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            arguments += [f"--{option}" if value else f"--no-{option}"]
        elif name in ("wrapper", "log"):
            arguments += [word for each in value for word in (f"--{name}", each)]
        elif isinstance(value, dict):
            arguments += [f"--{option}", json.dumps(value)]
        else:
            parts = value if isinstance(value, tuple) else (value,)
            arguments += [f"--{option}", *map(str, parts)]
    parsed = parse_train(*arguments).to_json()
    listed = {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}
    assert parsed == {"env": "Pendulum-v1", "frame_stack": 1, **listed}
    others = parse_train("--forward", "joint", "--head", "quantile")  # not with a value network
    assert (others.agent.forward, others.agent.head) == ("joint", "quantile")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_gives_the_defaults_and_options_beside_it_count(name):
    preset = jaxsac.preset(name)
    config = parse_train("--preset", name)
    assert (config.agent, config.hyperparameters) == (preset.config, preset.hyperparameters)
    for field in preset._fields[2:]:
        assert getattr(config, field) == getattr(preset, field)
    small = parse_train(f"--preset={name}", "--learning-starts", "256", "--batch-size", "32")
    assert (small.batch_size, small.agent) == (32, preset.config)
    config = parse_train("--log-std-min", "-3", "--gamma", "0.5", "--preset", name, "--seeds", "2")
    assert config.agent == dataclasses.replace(preset.config, log_std_min=-3.0)
    assert config.hyperparameters == preset.hyperparameters.replace(gamma=0.5)
    assert config.seeds == 2


def test_what_a_preset_has_for_a_choice_goes_with_it():
    config = parse_train("--preset", "flashsac", "--lr-schedule", "constant")
    assert config.hyperparameters.final_lr_scale == 0.0
    with pytest.raises(ValueError, match=r"final_lr_scale 0\.25 has no effect"):
        parse_train("--preset", "flashsac", "--lr-schedule", "constant", "--final-lr-scale", "0.25")


def test_underscores_and_none_are_understood():
    assert parse_train("--target_entropy", "None").hyperparameters.target_entropy is None
    assert parse_train("--learning_starts", "500").learning_starts == 500


@pytest.mark.parametrize(
    "arguments",
    [
        ["--utd", "much"],
        ["--activation", "step"],
        ["--warp", "9"],
        ["--seeds"],
        ["--gamma", "None"],
        ["--preset", "sb2"],
    ],
)
def test_unusable_options_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        parse_train(*arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err


def test_the_environment_has_no_default(capsys):
    with pytest.raises(SystemExit) as stop:
        commands.parse(["train"])
    assert stop.value.code == 2
    assert "--env" in capsys.readouterr().err


def test_whole_numbers_and_sizes_are_written_in_any_usual_way():
    config = parse_train("--steps", "1e6", "--hidden-sizes", "256,128", "--batch-size", "2.56e2")
    assert (config.steps, config.agent.hidden_sizes, config.batch_size) == (10**6, (256, 128), 256)
    assert parse_train("--hidden-sizes", "64x32").agent.hidden_sizes == (64, 32)
    assert parse_train("--hidden-sizes", "64", "32").agent.hidden_sizes == (64, 32)
    sweep = commands.parse(
        ["sweep", "--env", "X", "--hidden-sizes", "4,4", "--set", "batch_size=1e2,2e2"]
    )
    assert run_config(sweep).agent.hidden_sizes == (4, 4)
    sizes = [group.config.batch_size for group in plan.groups(run_config(sweep), sweep.set)]
    assert sizes == [100, 200]


def test_a_mistyped_command_gets_a_suggestion(capsys):
    for typed, said in (("trian", "did you mean train?"), ("frobnicate", "there are train, sweep")):
        with pytest.raises(SystemExit) as stop:
            commands.parse([typed, "--env", "Pendulum-v1"])
        assert stop.value.code == 2
        assert said in capsys.readouterr().err


def test_the_default_directory_is_named_by_what_changes_learning():
    def name_of(*arguments):
        return str(settings.default_directory(parse_train(*arguments)))

    plain = name_of()
    assert re.fullmatch(r"runs/Pendulum-v1-[0-9a-f]{6}", plain)
    for same in (
        ["--steps", "5"], ["--seeds", "3"], ["--eval-every", "7"], ["--no-lock"],
        ["--gamma", "0.99"],
    ):  # fmt: skip
        assert name_of(*same) == plain
    others = [
        name_of(*other)
        for other in (
            ["--gamma", "0.9"], ["--seed", "1"], ["--hidden-sizes", "8"], ["--num-envs", "2"],
            ["--env-kwargs", '{"g": 9}'], ["--wrapper", "a:b"], ["--actor", "a:b"],
        )
    ]  # fmt: skip
    assert len({plain, *others}) == 8
    assert settings.file_name("mine:Farm/Robot-v0") == "mine-Farm-Robot-v0"


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--env", "NoSuchRobot-v0"], "unknown environment id 'NoSuchRobot-v0'"),
        (["--env", "CartPole-v1"], "Discrete(2)"),
        (["--env", "no_such_module:Robot-v0"], "no_such_module"),
        (["--target-entropy", "9"], "target_entropy 9.0 cannot be reached"),
        (["--replay-capacity", "1000000000000000"], "does not fit"),
    ],
)
def test_a_refusal_is_one_line_and_exit_status_1(arguments, reason, tmp_path, capsys):
    command = ["train", *SMALL, *arguments, "--run-dir", str(tmp_path / "run")]
    assert commands.run(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("jaxsac: ")
    assert reason in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--seeds", "0"], "seeds must be at least 1"),
        (["--gamma", "1.5"], "gamma must be between 0 and 1"),
        (["--num-critics", "0"], "num_critics must be at least 1"),
        (["--actor-samples", "0"], "actor_samples must be at least 1"),
        (["--hidden-sizes", "8", "0"], "hidden_sizes must be positive"),
        (["--batch-size", "1000"], "batch_size 1000 is more than replay holds"),
        (["--env-kwargs", "g=9"], 'g=9 is no JSON object, such as {"name": 1, "other": true}'),
    ],
)
def test_a_value_that_no_run_can_have_is_refused_in_a_persons_words(arguments, reason, capsys):
    with pytest.raises(SystemExit) as stop:
        sys.exit(commands.run(["train", *SMALL, *arguments]))
    assert stop.value.code in (1, 2)
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert reason in error
    assert "__" not in error


def test_a_directory_of_something_else_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert commands.run(["train", *SMALL, "--run-dir", str(tmp_path)]) == 1
    assert "is not a run directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "kind",
    [
        [],
        pytest.param(["--value-network", "--alpha-lr", "0"], marks=pytest.mark.slow),
    ],
)
def test_a_failed_update_is_replayed_from_what_the_run_said(tmp_path, capsys, kind):
    directory = tmp_path / "a run"
    huge = ["--env", "probe_environments:Huge-v0", "--num-envs", "2", *kind]
    assert commands.run(["train", *SMALL, *huge, "--run-dir", str(directory)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    folder = next((directory / "failures").iterdir())
    assert "an update was not finite and has been left out" in said
    assert "a run/failures/seed-0000' says why" in said.replace("` ", " ").replace("`", "")
    assert commands.run(["replay-failure", str(folder)]) == 0
    assert "first term that is not finite: critic_loss" in capsys.readouterr().out
    assert commands.run(["replay-failure", str(folder.with_name("seed-0099"))]) == 1
    assert "seed-0099" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["eval", "export", "play", "inspect"])
def test_policies_that_there_are_not_are_refused_with_those_that_there_are(command, capsys):
    assert commands.run([command, "runs/any", "--which", "bets"]) == 1
    said = "which must be latest, best or the step of a checkpoint, got 'bets'"
    assert said in capsys.readouterr().err


def test_eval_of_what_is_no_run_is_refused(tmp_path, capsys):
    assert commands.run(["eval", "--run-dir", str(tmp_path)]) == 1
    assert "is not a run directory" in capsys.readouterr().err


def test_a_directory_or_environment_in_its_place_or_by_the_option_of_the_other_commands():
    for given in (["X"], ["--run-dir", "X"], ["--run-dir=X"], ["--run_dir", "X"]):
        command = commands.parse(["eval", *given, "--episodes", "2"])
        assert (command.run_dir, command.episodes) == (Path("X"), 2)
    assert commands.parse(["eval", "--run-dir=-r2"]).run_dir == Path("-r2")
    for given in (["Pendulum-v1"], ["--env", "Pendulum-v1"], ["--env=Pendulum-v1"]):
        command = commands.parse(["check", *given, "--env-kwargs", '{"g": 9}'])
        assert (command.env, command.env_kwargs) == ("Pendulum-v1", {"g": 9})


def test_a_tilde_is_the_home_directory_where_no_shell_has_made_it_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for command in ("train", "sweep", "eval", "record"):
        env = ["--env", "Pendulum-v1"] if command in ("train", "sweep") else []
        assert commands.parse([command, *env, "--run-dir=~/run"]).run_dir == tmp_path / "run"
    assert commands.parse(["report", "~/a", "~/b"]).runs == (tmp_path / "a", tmp_path / "b")
    assert commands.parse(["eval", "~nosuchuser/a"]).run_dir == Path("~nosuchuser/a")
    export = commands.parse(["export", "~/run", "--output=~/policy"])
    assert (export.run_dir, export.output) == (tmp_path / "run", tmp_path / "policy")


def test_a_data_set_is_named_so_that_it_can_be_pasted(finished, tmp_path, capsys):
    file = tmp_path / "my data.npz"
    assert commands.run(["record", str(finished), "--output", str(file)]) == 0
    assert capsys.readouterr().out.endswith(f"--prior-data '{file}'\n")


def test_an_error_in_a_users_environment_keeps_its_traceback(tmp_path):
    command = ["train", *SMALL, "--env", "probe_environments:Broken-v0"]
    with pytest.raises(RuntimeError, match="the simulator broke"):
        commands.run([*command, "--run-dir", str(tmp_path / "run")])


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch, capsys):
    for missing in ("tyro", "safetensors"):
        monkeypatch.setitem(sys.modules, missing, None)
    assert main.main() == 1
    error = capsys.readouterr().err
    assert "needs safetensors, tyro: run `pip install 'jaxsac[cli]'`" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("streams", "code"),
    [(">&- 2>&- <&-", "assert print('×') is None"), (">/dev/null", "print('×')")],
)
def test_the_command_line_takes_any_output(streams, code):
    code = f"from jaxsac.cli import main; main._take_any_output(); {code}"
    command = f"{shlex.join([sys.executable, '-c', code])} {streams}"
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert subprocess.run(["sh", "-c", command], env=env, timeout=120).returncode == 0


def test_a_reader_that_goes_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    code = f"import sys; from jaxsac.cli import commands; sys.exit(commands.run({['--help']}))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=120)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_reader_of_a_table_that_goes_is_none_either():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Console(file=Gone()).print("a table")


# What the commands do.


def test_train_leaves_a_run_and_a_plot_and_says_where(tmp_path, capsys):
    directory = tmp_path / "run"
    assert commands.run(["train", *SMALL, "--run-dir", str(directory)]) == 0
    printed = capsys.readouterr().out
    assert f"run: {directory}\nlearning curve: {directory}/report/learning_curve.png" in printed
    assert "memory: 2 × " in printed
    assert printed.count("step 30 return") == 1
    assert json.loads((directory / "manifest.json").read_text())["finished"]
    assert (directory / "report" / "learning_curve.png").stat().st_size > 1000


def test_one_seed_of_a_group_alone_learns_what_it_learns_in_the_group(finished, capsys):
    assert commands.run(["train", *SMALL, "--run-dir", str(finished), "--only-seed", "1"]) == 0
    alone = finished.with_name(f"{finished.name}-seed-0001")
    assert f"run: {alone}\n" in capsys.readouterr().out
    in_group, by_itself = (
        [{**row, "wall_time": None} for row in metrics.read(directory / "metrics/seed-0001.csv")]
        for directory in (finished, alone)
    )
    assert by_itself == in_group
    assert not (alone / "metrics" / "seed-0000.csv").exists()


@pytest.mark.parametrize("written", [".", "../group", "other/.."])
def test_one_seed_is_beside_its_group_however_that_is_written(
    tmp_path, monkeypatch, capsys, written
):
    trained = []

    def train(config, directory, observe):
        trained.append(directory)
        raise ValueError("enough")

    monkeypatch.setattr(training, "train_group", train)
    (tmp_path / "group").mkdir()
    monkeypatch.chdir(tmp_path / "group")
    assert commands.run(["train", *SMALL, "--run-dir", written, "--only-seed", "1"]) == 1
    assert "enough" in capsys.readouterr().err
    assert trained == [tmp_path / "group-seed-0001"]


def test_a_figure_that_cannot_be_drawn_is_said_and_costs_nothing(finished, monkeypatch, capsys):
    def full(run):
        raise OSError("No space left on device")

    monkeypatch.setattr(training.learning_curve, "write", full)
    assert commands.run(["train", *SMALL, "--run-dir", str(finished)]) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith(f"run: {finished}\n")
    assert printed.err.startswith(f"jaxsac: the learning curve of {finished} could not be drawn")


def test_a_seed_that_the_group_does_not_have_is_refused(tmp_path, capsys):
    run = ["train", *SMALL, "--run-dir", str(tmp_path / "run"), "--only-seed", "2"]
    assert commands.run(run) == 1
    assert "only_seed 2 is not one of the group's, 0 to 1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_train_again_is_done_at_once(finished, capsys):
    assert commands.run(["train", *SMALL, "--run-dir", str(finished)]) == 0
    assert "complete: nothing to do" in capsys.readouterr().out


def test_the_default_directory_is_used(tmp_path, monkeypatch):
    asked = []

    def train(config, directory, observe):
        asked.append(directory)
        raise ValueError("enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "train_group", train)
    assert commands.run(["train", *SMALL]) == 1
    (directory,) = asked
    assert directory.parent == tmp_path / "runs"
    assert re.fullmatch(r"probe_environments-Drift-v0-[0-9a-f]{6}", directory.name)


def test_a_stopped_run_exits_with_130_and_says_what_resumes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/a folder/jaxsac"])
    command = ["train", *SMALL, "--env", "probe_environments:Interrupted-v0", "--seeds", "1"]
    assert commands.run(command) == 130
    printed = capsys.readouterr()
    (directory,) = Path("runs").glob("probe_environments-Interrupted-v0-*")
    assert f"run: {directory}\nlearning curve: {directory}/report/lear" in printed.out
    assert (directory / "checkpoints" / "30" / "agent.safetensors").exists()
    said, *lines = printed.err.splitlines()
    assert said == "to resume:"
    assert max(map(len, lines)) <= 80
    assert all(line.startswith("    --") for line in lines[1:])
    # What a shell makes of it.
    words = shlex.split("\n".join(lines).replace("\\\n", ""))
    assert words == ["/a folder/jaxsac", *command, "--run-dir", str(directory)]
    assert commands.run(words[1:]) == 0


def test_what_is_ended_at_once_says_so_and_what_resumes_it(tmp_path, monkeypatch, capsys):
    def end(*arguments):
        raise KeyboardInterrupt

    ends = []
    monkeypatch.setattr(training, "train_group", end)
    monkeypatch.setattr(os, "_exit", ends.append)
    command = ["train", *SMALL, "--run-dir", str(tmp_path / "two words")]
    monkeypatch.setattr(sys, "argv", ["jaxsac", *command])
    main.main()
    assert ends == [130]
    error = capsys.readouterr().err
    assert error.startswith("jaxsac: ended at once; nothing more was saved.\nto resume:\n")
    assert shlex.split(error.split(":\n")[-1].replace("\\\n", ""))[-len(command) :] == command


def test_what_an_environment_ends_by_a_keyboard_interrupt_is_said_to_be_saved(monkeypatch, capsys):
    def end(*arguments):
        error = KeyboardInterrupt("window closed")
        error.add_note("All is saved.")
        raise error

    monkeypatch.setattr(training, "train_group", end)
    with pytest.raises(KeyboardInterrupt):
        commands.run(["train", *SMALL])
    assert capsys.readouterr().err.startswith("jaxsac: ended at once. All is saved.\nto resume:")


def test_ctrl_c_is_heard_while_a_program_is_compiled_and_it_is_kept_for_the_next_run(tmp_path):
    run = ["train", *SMALL, "--run-dir", str(tmp_path / "run")]
    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": os.pathsep.join(
            [os.path.dirname(probe_environments.__file__), os.environ.get("PYTHONPATH", "")]
        ),
    }
    del environment["JAX_COMPILATION_CACHE_DIR"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxsac.cli.main", *run], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "compiling" in line:
            break
    else:
        pytest.fail(process.communicate()[1])
    process.send_signal(signal.SIGINT)
    said = process.stdout.readline()
    assert said.startswith("Ctrl-C: stops after the compiler is done, with everything saved.")
    output, error = process.communicate()
    assert process.returncode == 130
    assert "stopped at step" in output
    assert "to resume:\n" in error
    assert list((tmp_path / "cache" / "jaxsac").glob("jit_compiled-*-cache"))


def test_eval_prints_a_row_for_every_seed(finished, capsys):
    assert commands.run(["eval", "--run-dir", str(finished), "--episodes", "2"]) == 0
    printed = capsys.readouterr().out
    assert "return of 2 episodes, latest policy" in " ".join(printed.split())
    rows = [line.replace("│", " ").split() for line in printed.splitlines() if "│" in line]
    assert [row[0] for row in rows] == ["0", "1"]
    for row in rows:
        step, mean, plus_minus, std, *sampled = row[1:]
        assert step == "60"
        assert float(mean) < 0 <= float(std)
        assert plus_minus == sampled[1] == "±"


@pytest.mark.slow  # test_resume.py trains with one, test_old_runs.py evaluates one
def test_a_run_with_a_value_network_is_trained_logged_and_evaluated(tmp_path, capsys):
    directory = tmp_path / "run"
    first_sac = ["--value-network", "--alpha-lr", "0", "--initial-alpha", "0.2"]
    assert commands.run(["train", *SMALL, *first_sac, "--run-dir", str(directory)]) == 0
    last = metrics.read(directory / "metrics" / "seed-0001.csv")[-1]
    assert last["value_loss"] > 0
    assert last["alpha"] == pytest.approx(0.2)
    assert commands.run(["eval", "--run-dir", str(directory), "--episodes", "2"]) == 0
    assert "return of 2 episodes, latest policy" in " ".join(capsys.readouterr().out.split())


def test_eval_of_a_step_that_was_not_saved_is_refused(finished, capsys):
    assert commands.run(["eval", str(finished), "--which", "12"]) == 1
    assert "holds none of step 12; those kept are: 60." in capsys.readouterr().err


def test_what_an_environment_raises_when_it_is_made_keeps_its_traceback(tmp_path):
    options = ["--env", "probe_environments:Unmade-v0", "--run-dir", str(tmp_path / "run")]
    with pytest.raises(ValueError, match="shapes do not match") as raised:
        commands.run(["train", *options])
    assert "making probe_environments:Unmade-v0" in raised.value.__notes__[0]


def test_the_module_can_be_run(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "jaxsac", "eval", "--run-dir", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("jaxsac: ")
    assert "Traceback" not in result.stderr


def test_modules_of_the_current_folder_register_environments(tmp_path):
    module = "import gymnasium, probe_environments\n"
    module += 'gymnasium.register("Mine-v0", probe_environments.Drift, max_episode_steps=5)\n'
    (tmp_path / "mine.py").write_text(module)
    program = "import sys; from jaxsac.cli.main import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-P", "-c", program, "check", "mine:Mine-v0"],
        cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(probe_environments.__file__).parent)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "episodes" in result.stdout


def test_a_preset_whose_batch_is_small_needs_no_more_warm_up_than_that():
    config = parse_train("--preset", "spinningup", "--learning-starts", "100")
    assert (config.batch_size, config.learning_starts) == (100, 100)


def test_no_ctrl_c_is_lost_where_python_drops_exceptions(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    main._hear_every_interrupt()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background

    class Collected:
        def __del__(self):
            raise KeyboardInterrupt

    def collect():
        Collected()
        time.sleep(1)

    try:
        with pytest.raises(KeyboardInterrupt):
            collect()
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_before_the_command_is_known_ends_without_a_traceback():
    program = (
        "import builtins, os, signal, sys\n"
        "from jaxsac.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "main.packages.check = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "main.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_no_arguments_are_other_arguments(monkeypatch):
    asked = []
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *given: asked.append(given[-1]) or 1 / 0)
    for given in ([], ["--env-kwargs", "{}"]):
        with pytest.raises(ZeroDivisionError):
            commands.run(["eval", "x", *given])
    assert asked == [{}, {"env_kwargs": {}}]
