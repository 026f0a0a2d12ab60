"""Optuna's TPE as a searcher of hwnas: any library that asks and tells fits the protocol so."""

import numpy as np
import optuna

from hwnas.costs import FeasibleSet


class TPE:
    """Suggests what Optuna's tree-structured Parzen estimator asks for, within the budgets."""

    def __init__(self, feasible: FeasibleSet, seed: int = 0):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.feasible, self.rng = feasible, np.random.default_rng(seed)
        self.study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        choices = [
            optuna.distributions.CategoricalDistribution(range(n)) for n in feasible.n_choices
        ]
        self.asked = {str(at): values for at, values in enumerate(choices)}
        self.told: dict[tuple[int, ...], float] = {}

    def suggest(self, count: int) -> np.ndarray:
        """New architectures; what breaks a budget is drawn anew, at last uniformly."""
        new: list[tuple[int, ...]] = []
        for _ in range(20 * count):
            trial = self.study.ask(self.asked)
            arch = tuple(int(trial.params[name]) for name in self.asked)
            kept = self.feasible.contains(np.array([arch]))[0]
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            if kept and arch not in self.told and arch not in new:
                new.append(arch)
            if len(new) == count:
                return np.array(new)
        drawn = map(tuple, self.feasible.sample(count, self.rng).tolist())
        new += [arch for arch in drawn if arch not in self.told and arch not in new]
        return np.array(new[:count], np.int64).reshape(-1, len(self.asked))

    def update(self, archs: np.ndarray, accuracies: np.ndarray) -> None:
        """Tell accuracies, 0 to 1; the study takes errors, the smaller the better."""
        for arch, accuracy in zip(archs.tolist(), accuracies, strict=True):
            self.told[tuple(arch)] = float(accuracy)
            params = dict(zip(self.asked, arch, strict=True))
            self.study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=self.asked, value=1 - float(accuracy)
                )
            )

    def best(self) -> tuple[np.ndarray, float]:
        """The most accurate architecture told, and its accuracy."""
        arch = max(self.told, key=self.told.__getitem__)
        return np.array(arch), self.told[arch]
