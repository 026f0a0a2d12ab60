"""A runtime of a person's own: it reads a model and says what it would take."""

from hwnas.latency_tables import Target
from hwnas.testing import SyntheticRuntime


class Paper(SyntheticRuntime):
    """Times that follow from nodes and weights, with a little noise."""

    def __init__(self, threads: int):
        super().__init__(noise=0.002, spell=1.0, outliers=0.0, slow_first=1.0)
        self.threads = threads

    def target(self, precision: str, batch: int) -> Target:
        return Target("cpu", "paper", "0", "paper", "1", precision, batch, self.threads)
