"""Which choices cost no time, as a regression is told."""

from hwnas import spaces
from hwnas.predictors.regression.regressor import _free


def test_an_identity_is_free_where_it_runs_nothing() -> None:
    space = spaces.space("darts-s1", channels=4, cells=3)
    free = _free(space).reshape(16, 7)
    skip = [op.token for op in space.decisions[0].choices].index("skip")
    assert not free[:, [c for c in range(7) if c != skip]].any()
    # in a reduction cell what reads an input of the cell is halved by a factorised reduction
    reads_an_input = [source in "01" for source in (d.name[-1] for d in space.decisions[8:])]
    assert free[:8, skip].all()
    assert (free[8:, skip] == [not halved for halved in reads_an_input]).all()


def test_a_node_of_two_identities_is_free() -> None:
    space = spaces.space("darts", channels=4, cells=3)
    free = _free(space)
    told = [c.token for d in space.decisions[:4] for c in d.choices]
    for token, value in zip(told, free, strict=False):
        assert value == all(part.endswith("skip") for part in token.split("+"))
