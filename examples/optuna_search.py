"""Searches learning rates and τ with Optuna, which ends the runs that fall behind.

Needs `pip install 'jaxsac[cli]' optuna`. A second call with the same --study goes on with it.

    python examples/optuna_search.py --env Pendulum-v1 --trials 20 --steps 10000
"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

import optuna  # pyright: ignore[reportMissingImports]

import jaxsac


def objective(trial: optuna.Trial, args: argparse.Namespace) -> float:
    """The mean return of a trial's seeds at its last evaluation."""
    returns = defaultdict(list)  # of the seeds, by step

    def on_row(row: dict) -> bool:
        """Hears of every row of every seed; True stops the run, with everything saved."""
        step, found = row["step"], row.get("eval_return")
        if found is None:
            return False
        returns[step].append(found)
        if len(returns[step]) < args.seeds:
            return False
        trial.report(statistics.fmean(returns[step]), step)
        return trial.should_prune()

    names = ("actor_lr", "critic_lr", "tau")  # numbers that nothing is compiled anew for
    chosen = {name: trial.suggest_float(name, 1e-4, 3e-2, log=True) for name in names}
    run = jaxsac.train(
        args.env, directory=Path(args.study) / f"trial-{trial.number:04d}", seeds=args.seeds,
        steps=args.steps, learning_starts=args.steps // 10, eval_every=args.steps // 10,
        checkpoint_every=0, keep_replay=False, on_row=on_row, progress=False, **chosen,
    )  # fmt: skip
    if not run.complete:  # by Ctrl-C it is all that ends
        raise optuna.TrialPruned if trial.should_prune() else KeyboardInterrupt
    return statistics.fmean(returns[max(returns)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Search with Optuna.")
    parser.add_argument("--env", default="Pendulum-v1")
    parser.add_argument("--study", default="runs/optuna", help="directory of the trials' runs")
    for name, default in (("trials", 20), ("seeds", 2), ("steps", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    Path(args.study).mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{args.study}/study.db"
    study = optuna.create_study(
        study_name=args.env, storage=storage, load_if_exists=True, direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=args.steps // 5),
    )  # fmt: skip
    study.optimize(lambda trial: objective(trial, args), n_trials=args.trials)
    print(f"best of {len(study.trials)} trials: {study.best_value:,.1f} with {study.best_params}")
