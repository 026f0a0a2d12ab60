"""How often the amended term points the way of the exact one (Amended-DARTS, section 3.4).

Small networks with one mixed edge are trained to their optimum, to a gradient below 1e-10, in
double precision; H and M are written out, so the exact term g2 = -M H^-1 v is known. Each draw has
its own data, alpha and first weights. Weight decay belongs to the training loss, and says how well
H is conditioned. The paper's equation 8 says that <g2', g2> is never negative; it is no proof, and
section 3.4 also says that for g2'', identity in place of H, there is no guarantee.

python benchmarks/amended_angle.py [DRAWS]
"""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.functional import hessian, jacobian
from torch.nn import functional as F

FEATURES, HIDDEN, CLASSES, EXAMPLES = 4, 4, 3, 40
DECAYS = (1e-3, 1e-2, 1e-1, 1.0)
SHAPES = ((FEATURES, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, CLASSES))


@dataclass(frozen=True)
class Draw:
    """Cosines of the two terms with the exact one, and the condition number of H."""

    amended: float
    second: float
    condition: float


def logits(weights: Tensor, alpha: Tensor, x: Tensor) -> Tensor:
    """An edge that mixes the identity with two layers, between a first and a last layer."""
    sizes = [rows * columns for rows, columns in SHAPES]
    first, left, right, last = (
        part.view(shape) for part, shape in zip(weights.split(sizes), SHAPES, strict=True)
    )
    p, hidden = alpha.softmax(0), torch.tanh(x @ first)
    mixed = p[0] * hidden + p[1] * torch.tanh(hidden @ left) + p[2] * torch.sin(hidden @ right)
    return mixed @ last


def draw(seed: int, decay: float) -> Draw | None:
    """One draw; None where training ended in no minimum."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, others = random(EXAMPLES, FEATURES), random(EXAMPLES, FEATURES)
    teacher = random(FEATURES, CLASSES)
    labels, answers = (
        (part @ teacher + random(EXAMPLES, CLASSES)).argmax(1) for part in (x, others)
    )
    alpha = random(3)
    weights = (0.5 * random(sum(a * b for a, b in SHAPES))).requires_grad_()

    def train(weights: Tensor, alpha: Tensor) -> Tensor:
        loss = F.cross_entropy(logits(weights, alpha, x), labels)
        return loss + decay / 2 * weights.square().sum()

    search = torch.optim.LBFGS(
        [weights], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-9
    )

    def closure() -> Tensor:
        search.zero_grad()
        loss = train(weights, alpha)
        loss.backward()
        return loss

    search.step(closure)
    w = weights.detach()
    for _ in range(6):  # Newton, from nearby
        slope = jacobian(lambda w: train(w, alpha), w)
        curved = hessian(lambda w: train(w, alpha), w)
        if slope.norm() < 1e-10:
            break
        w = w - torch.linalg.solve(curved, slope)
    values = torch.linalg.eigvalsh(curved)
    if slope.norm() > 1e-10 or values[0] <= 0:
        return None
    mixed = jacobian(lambda a: jacobian(lambda w: train(w, a), w, create_graph=True), alpha).T
    v = jacobian(lambda w: F.cross_entropy(logits(w, alpha, others), answers), w)
    exact = -mixed @ torch.linalg.solve(curved, v)
    cosines = [F.cosine_similarity(exact, -mixed @ u, 0).item() for u in (curved @ v, v)]
    return Draw(cosines[0], cosines[1], float(values[-1] / values[0]))


def main(draws: int) -> None:
    torch.set_num_threads(1)
    print(f"{'decay':>6} {'condition':>9} {'minima':>6} {'amended >= 0':>12} {'second >= 0':>11}")
    for decay in DECAYS:
        found = [one for seed in range(draws) if (one := draw(seed, decay)) is not None]
        condition = sorted(one.condition for one in found)[len(found) // 2]
        amended, second = (
            sum(getattr(one, k) >= 0 for one in found) for k in ("amended", "second")
        )
        print(f"{decay:>6g} {condition:>9.0f} {len(found):>6} {amended:>12} {second:>11}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
