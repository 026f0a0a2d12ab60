"""Problems whose truth is known: data that nobody looks at, predictors and devices of all kinds."""

import onnx

from hwnas.costs import parse_budget
from hwnas.predictors import load_predictor
from hwnas.search.problem import Problem


class Unseen:
    """Data of a space, of which no image is ever asked."""

    name, digest = "unseen", "0" * 16

    def __init__(self, space):
        self.input_shape, self.classes = space.input_shape, space.classes


class Plain:
    """A person's own predictor of a table's sums: it has no intervals and no expectation."""

    additive = True

    def __init__(self, predictor):
        self.cost = predictor.cost

    def predict(self, archs):
        return self.cost(archs)


class Bumpy:
    """A person's own predictor that is no sum: two equal choices at the ends cost a tenth more."""

    def __init__(self, predictor):
        self.sum = predictor.cost
        self.asked = 0

    def predict(self, archs):
        self.asked += len(archs)
        return self.sum(archs) * (1 + 0.1 * (archs[:, 0] == archs[:, -1]))


class Expecting(Bumpy):
    """The same with an expectation for a loss: that of independent decisions, exactly."""

    def expected(self, probabilities):
        first, last = probabilities[0], probabilities[-1]
        count = min(len(first), len(last))
        mean = self.sum.expected(probabilities)
        for choice in range(count):
            sure = [row.new_zeros(row.shape) for row in (first, last)]
            for row in sure:
                row[choice] = 1.0
            both = self.sum.expected([sure[0], *probabilities[1:-1], sure[1]])
            mean = mean + 0.1 * first[choice] * last[choice] * both
        return mean


class Device:
    """Takes so many times what is predicted; remembers what it was asked."""

    def __init__(self, space, predictor, factor=1.0):
        self.space, self.predictor, self.factor = space, predictor, factor
        self.asked = []

    def __call__(self, model, progress):
        about = {p.key: p.value for p in onnx.load_from_string(model).metadata_props}
        self.asked.append(about["architecture"])
        arch = self.space.parse(self.asked[-1])
        times = self.factor() if callable(self.factor) else self.factor
        return {"latency_ms": times * float(self.predictor.predict(arch)[0]), "runs": 7}


def problem(space, predictor, budgets, *, data=None, proxy=None, **options):
    """What is searched; ``predictor`` may be a table or an own object."""
    proxy = space if proxy is None else proxy
    data = Unseen(proxy) if data is None else data
    parsed = [parse_budget(b) if isinstance(b, str) else b for b in budgets]
    return Problem(space, proxy, data, load_predictor(predictor, space), parsed, **options)
