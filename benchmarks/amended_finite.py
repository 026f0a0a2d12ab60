"""How far differences are from the exact amended term in a network of ReLUs.

A mixed supernet of nasbench201 is trained for some steps at equal alpha. Then the amended term is
taken by exact products and by differences of several lengths, all in double precision, so that what
is seen is no rounding: where a ReLU bends between the two weights, the gradient leaps.

python benchmarks/amended_finite.py [STEPS] [DATA]
"""

import sys

import torch
from torch import Tensor
from torch.nn import functional as F

from hwnas import spaces
from hwnas.data import load_data
from hwnas.search.gradient import amended
from hwnas.supernet import Supernet, mixed_logits

PIXELS, CHANNELS, BATCH = 12, 4, 32
MOVES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)


def main(steps: int, spec: str) -> None:
    torch.set_num_threads(1)
    space = spaces.space("nasbench201", input_size=PIXELS, channels=CHANNELS, cells=1)
    start = {"initial_weights": "drawn", "batch_norms": "plain"}
    supernet = Supernet(space, sharing="separate", seed=0, **start).double().train()
    data = load_data(spec, input_size=PIXELS)
    weights = [weight for weight in supernet.parameters() if weight.requires_grad]
    alpha = torch.zeros(6, 5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD(weights, lr=0.025, momentum=0.9)

    def loss(step: int) -> Tensor:
        images, labels = map(torch.from_numpy, data.train_batch(step, BATCH, 0))
        logits = mixed_logits(supernet, images.double(), alpha.softmax(1))
        return F.cross_entropy(logits, labels)

    for step in range(steps):
        optimizer.zero_grad()
        loss(step).backward(inputs=weights)
        torch.nn.utils.clip_grad_norm_(weights, 5.0)
        optimizer.step()

    def second(products: amended.Products) -> Tensor:
        given = lambda: loss(steps), lambda: loss(steps + 1), weights, alpha
        return amended.amended_gradient(*given, eta=0.1, products=products).second

    exact = second("exact")
    print(f"after {steps} steps on {data.name}")
    print(f"{'length':>7} {'off by':>9} {'cosine':>7}")
    for move in MOVES:
        amended._MOVE = move
        found = second("finite")
        off = float((found - exact).norm() / exact.norm())
        cosine = F.cosine_similarity(found.flatten(), exact.flatten(), 0).item()
        print(f"{move:>7g} {off:>9.2g} {cosine:>7.2f}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(int(arguments[0]) if arguments else 150, arguments[1] if arguments[1:] else "digits")
