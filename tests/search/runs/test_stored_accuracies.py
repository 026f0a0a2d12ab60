"""What a search of a trained supernet may take over from the run that trained it."""

from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun
from hwnas.spaces import space


def test_accuracies_are_those_of_the_weights_that_the_supernet_ended_with(tmp_path):
    deployed = space("nasbench201")
    one, other, third = (deployed.format(a) for a in deployed.sample(3, seed=0))
    with Run(tmp_path, {}) as run:  # two rounds of Balanced NAO
        run.log("trained", step=10, loss=2.0)
        run.log("evaluated", architecture=one, accuracy=0.2)
        run.log("evaluated", architecture=third, accuracy=0.1)
        run.log("trained", step=20, loss=1.0)
        run.log("evaluated", architecture=other, accuracy=0.5)
        run.log("evaluated", architecture=third, accuracy=0.4)
    source = StoredRun(tmp_path, {}, tmp_path, deployed, deployed)
    assert source.accuracies() == {other: 0.5, third: 0.4}
