"""A searcher of a kind by name; what each needs is imported when it is made."""

from dataclasses import replace

from hwnas.costs import FeasibleSet
from hwnas.search.problem import Problem
from hwnas.search.searchers.searcher import Searcher
from hwnas.search.shared_settings import EvolutionSettings

__all__ = ["make_searcher"]


def make_searcher(
    settings: EvolutionSettings,
    problem: Problem,
    feasible: FeasibleSet | None = None,
    misses: int = 0,
) -> Searcher:
    """The searcher that settings name, for a problem.

    Args:
        settings: ``searcher`` and what it takes.
        problem: what is searched.
        feasible: what may be suggested; by default what keeps the budgets of the problem.
        misses: searches before this one, whose winners missed their budget; they change the seed.
    """
    feasible, seed = feasible or problem.feasible, problem.seed + misses
    canonical, share = problem.space.canonical, settings.neighbour_share or 0.0
    if settings.searcher == "random":
        from hwnas.search.searchers.random_search import RandomSearch

        return RandomSearch(feasible, seed)
    if settings.searcher == "trees":
        from hwnas.search.searchers.trees import Trees

        return Trees(feasible, seed, canonical=canonical, neighbour_share=share)
    if settings.searcher == "nao":
        from hwnas.search.searchers.nao import QUICK, MapSearch

        ascent = replace(QUICK, ranked_draws=settings.ranked_draws or 0)
        return MapSearch(feasible, seed, ascent=ascent, canonical=canonical, neighbour_share=share)
    if settings.searcher == "vae":
        from hwnas.search.searchers.vae_search import VAESearch, VAESearchSettings

        return VAESearch(feasible, VAESearchSettings(neighbour_share=share), seed=seed)
    from hwnas.search.searchers.archive import Choose
    from hwnas.search.searchers.evolution import Evolution

    return Evolution(
        feasible,
        parents=settings.parents,
        mutation=settings.mutation,
        seed=seed,
        choose=Choose(settings.largest_of, problem.space.macs),
    )
