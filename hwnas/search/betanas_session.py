"""A whole BetaNAS search: train weights and alpha, choose, verify, and leave the same files."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.arrays import IntArray
from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet
from hwnas.data import ArrayDataset
from hwnas.predictors import AdditivePredictor
from hwnas.progress import Progress, silent
from hwnas.search.beta import Beta, FixedBeta, Steering
from hwnas.search.betanas import Alphas, history, likeliest, train_alphas
from hwnas.search.constraints import constraints_for
from hwnas.search.drop import DropRule, living_choices
from hwnas.search.images import validation_evaluator
from hwnas.search.outcome import conclude, exporter
from hwnas.search.plots import plot_alphas
from hwnas.search.run import Run
from hwnas.search.session import RANDOM_PATHS
from hwnas.search.spos import LoggedEvaluation
from hwnas.search.verification import Measure, verify_proposals
from hwnas.spaces import SearchSpace
from hwnas.supernet import OptimizerKind, Sharing, Supernet

__all__ = ["betanas_session", "random_living"]

_PLOT = "alpha.png"


def betanas_session(
    run: Run,
    deployed: SearchSpace,
    trained: SearchSpace,
    data: ArrayDataset,
    predictor: AdditivePredictor,
    budgets: Sequence[Budget],
    measure: Measure | None,
    *,
    beta: Mapping[str, float] | None = None,
    rule: DropRule,
    seed: int = 0,
    sharing: Sharing = "slices",
    steps: int = 600,
    train_batch: int = 128,
    optimizer: OptimizerKind = "adam",
    base_rate: float = 2e-3,
    warm_up: float = 0.25,
    alpha_every: int = 2,
    alpha_rate: float = 0.05,
    alpha_batch: int = 64,
    confidence: float | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Search, and write ``result.json``, ``best.onnx`` and the plots.

    Args:
        run: the folder, which may hold a part of this very search.
        deployed: the space whose latency counts.
        trained: a space with the same decisions, whose supernet is trained; may be ``deployed``.
        data: images at the input size of ``trained``; the validation images train alpha.
        predictor: of the latency of ``deployed``.
        budgets: all of them are kept.
        measure: asks the device; None where it is not at hand, so that nothing is verified.
        beta: quantity -> nats per unit, the terms of eq. 6 with fixed weights; None steers a term
            for each budget.
        rule: which choices are dropped.
        seed: of everything random.
        sharing, steps, train_batch, optimizer, base_rate: of the supernet and its training.
        warm_up, alpha_every, alpha_rate, alpha_batch: see `hwnas.search.betanas.train_alphas`.
        confidence: that the latency budget is kept, see `constraints_for`.
        progress: told all along.

    Returns:
        The content of ``result.json``.

    Raises:
        InfeasibleBudgetError: no architecture keeps the budgets; nothing was trained.
        BudgetMissedError: no network kept the latency budget on the device.
        OptionError: a fixed beta below 0, or no step left for alpha.
    """
    constraints = constraints_for(
        budgets, deployed, predictor, confidence, measured=measure is not None
    )
    FeasibleSet(constraints, deployed.format)
    terms, betas = _terms(constraints, beta, deployed, predictor)

    supernet = Supernet(trained, sharing=sharing, seed=seed)
    alphas = train_alphas(
        run,
        supernet,
        data,
        terms,
        betas,
        rule,
        constraints,
        steps=steps,
        batch=train_batch,
        optimizer=optimizer,
        base_rate=base_rate,
        warm_up=warm_up,
        alpha_every=alpha_every,
        alpha_rate=alpha_rate,
        alpha_batch=alpha_batch,
        seed=seed,
        progress=progress,
    )

    validation = validation_evaluator(supernet, data)
    evaluate = LoggedEvaluation(run, deployed, validation.accuracies, progress)
    drawn = evaluate(random_living(alphas, constraints, RANDOM_PATHS, seed=seed))

    def propose(tightened: Sequence[Constraint], attempt: int) -> tuple[IntArray, float]:
        # drops were made for the budget; few living choices may be left near a tighter limit
        arch = likeliest(alphas, tightened, dropped=attempt > 0)
        return arch, float(evaluate(arch[None])[0])

    found = verify_proposals(
        run,
        deployed,
        constraints,
        propose,
        exporter(deployed, data, validation, predictor, seed),
        measure,
        interval_ms=predictor.predict_interval,
        progress=progress,
    )
    past = history(run)
    tokens = {d.name: [op.token for op in d.choices] for d in deployed.decisions}
    plot_alphas(run.folder / _PLOT, past, tokens, title=f"BetaNAS, {deployed.name}, {data.name}")
    probability = alphas.probabilities[np.arange(len(found.architecture)), found.architecture]
    taken = int((probability == 0).sum())
    facts = {
        "method": "betanas",
        "beta": dict(beta) if beta else "steered",
        "last_betas": past[-1]["beta"],
        "last_expected": past[-1]["expected"],
        "living_choices": [len(row) for row in living_choices(alphas.alive)],
        "log_probability": None if taken else float(np.log(probability).sum()),
        "dropped_choices_taken": taken,
        "most_probable": deployed.format(likeliest(alphas)),
        "files": {"architecture parameters": _PLOT},
    }
    return conclude(
        run, deployed, data, predictor, budgets, validation, evaluate, found, drawn, facts, seed
    )


def random_living(
    alphas: Alphas, constraints: Sequence[Constraint], count: int, *, seed: int
) -> IntArray:
    """Uniform draws (count, n_decisions) of living architectures that keep all budgets."""
    living = living_choices(alphas.alive)
    left = FeasibleSet([Constraint(c.budget, c.cost.restrict(living)) for c in constraints])
    positions = left.sample(count, np.random.default_rng([seed, 0xBE7A]))
    columns = zip(living, positions.T, strict=True)
    return np.stack([choices[column] for choices, column in columns], axis=1)


def _terms(
    constraints: Sequence[Constraint],
    beta: Mapping[str, float] | None,
    space: SearchSpace,
    predictor: AdditivePredictor,
) -> tuple[list[AdditiveCost], Beta]:
    """The costs in the loss, and what weighs them: those of the budgets, or those of fixed betas.

    Both are the very costs that the budgets limit. A budget that no architecture breaks says
    nothing of where to end, and is no term.
    """
    if beta is None:
        binding = [c for c in constraints if c.cost.maximum()[1] > c.budget.limit]
        costs = [constraint.cost for constraint in binding]
        if not costs:
            return [], FixedBeta([])
        return costs, Steering([constraint.budget.limit for constraint in binding])
    named = constraints_for([Budget(name, 1.0) for name in beta], space, predictor)
    return [constraint.cost for constraint in named], FixedBeta(list(beta.values()))
