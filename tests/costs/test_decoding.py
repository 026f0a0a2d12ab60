import itertools

import numpy as np
import pytest

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet, ListedSet, decode

ENTRIES = [[3, 1, 7], [2, 9], [0, 4, 4, 8], [5, 1]]
ALL = np.array(list(itertools.product(*(range(len(row)) for row in ENTRIES))))


def limited(*limits):
    """The sum of the entries, and of the entries in reverse, within limits."""
    entries = [ENTRIES, [row[::-1] for row in ENTRIES]]
    names = ["macs", "params"]
    return FeasibleSet(
        [
            Constraint(Budget(name, limit), AdditiveCost.from_integers(2, rows))
            for name, rows, limit in zip(names, entries, limits, strict=False)
        ]
    )


def flat(decided):
    return np.zeros((len(decided), len(ENTRIES[decided.shape[1]])))


@pytest.mark.parametrize("limit", [6, 9, 14, 30])
def test_a_choice_is_allowed_exactly_where_a_completion_keeps_the_limit(limit):
    feasible = limited(limit)
    kept = ALL[feasible.contains(ALL)]
    for depth in range(len(ENTRIES)):
        for decided in {tuple(arch[:depth]) for arch in kept.tolist()}:
            found = {a[depth] for a in kept.tolist() if tuple(a[:depth]) == decided}
            allowed = feasible.allowed(np.array([decided], np.int64).reshape(1, depth))
            assert set(np.flatnonzero(allowed[0]).tolist()) == found


def test_among_listed_architectures_it_is_exact_whatever_they_cost():
    rng = np.random.default_rng(0)
    listed = ALL[rng.random(len(ALL)) < 0.4]
    constraint = Constraint(Budget("macs", 14), AdditiveCost.from_integers(2, ENTRIES))
    feasible = ListedSet([constraint], listed)
    archs, _ = decode(feasible, flat, 2000, rng)
    assert feasible.contains(archs).all()
    assert len(np.unique(archs, axis=0)) == feasible.count < len(listed)
    for depth in range(len(ENTRIES)):
        for decided in {tuple(arch[:depth]) for arch in ALL.tolist()}:
            found = {a[depth] for a in feasible.kept.tolist() if tuple(a[:depth]) == decided}
            allowed = feasible.allowed(np.array([decided], np.int64).reshape(1, depth))
            assert set(np.flatnonzero(allowed[0]).tolist()) == found


def test_what_is_decoded_keeps_the_limit_and_reaches_everything_that_does():
    feasible = limited(12)
    archs, masked = decode(feasible, flat, 4000, np.random.default_rng(0))
    assert feasible.contains(archs).all()
    assert len(np.unique(archs, axis=0)) == feasible.count
    assert 0 < masked.mean() < 1


def test_without_a_limit_nothing_is_masked_and_draws_follow_the_scores():
    wanted = np.log([0.2, 0.5, 0.3])

    def scores(decided):
        return np.tile(wanted, (len(decided), 1)) if decided.shape[1] == 0 else flat(decided)

    archs, masked = decode(limited(99), scores, 20_000, np.random.default_rng(0))
    assert not masked.any()
    shares = np.bincount(archs[:, 0]) / len(archs)
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.02)


def test_without_a_generator_the_highest_score_that_is_left_is_taken():
    def dear(decided):
        return np.array([ENTRIES[decided.shape[1]]], float)

    archs, masked = decode(limited(99), dear, 1)
    assert (archs.tolist(), masked.tolist()) == ([[2, 1, 3, 0]], [False])
    archs, masked = decode(limited(14), dear, 1)
    assert masked.all()
    assert archs.tolist() == [[2, 0, 0, 1]]  # 2 + 7 + 2 of 14: 3 are left


def test_several_limits_are_looked_at_one_by_one():
    feasible = limited(20, 20)
    archs, _ = decode(feasible, flat, 500, np.random.default_rng(0))
    for cost, limit in feasible.sums:
        assert (cost(archs) <= limit).mean() > 0.9
    assert feasible.contains(archs).any()
