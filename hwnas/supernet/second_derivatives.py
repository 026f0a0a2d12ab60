"""Batch-norms and grouped convolutions whose second derivatives cost what their first ones do.

torch differentiates a batch-norm twice, correctly, but by thirty small operations, which take a
third of a product with a Hessian. The backward pass of a batch-norm maps gradients linearly and is
symmetric, so it is its own derivative by the gradient; how it changes with the input is a sum of
three terms with one factor a channel. A mixed edge multiplies what a batch-norm gives by a number:
that is a batch-norm of another scale, for which neither the values before nor their gradient are
kept.

torch differentiates a grouped convolution twice group by group, so that a depthwise one takes as
many small convolutions as it has channels. But it is linear in its input and in its weights: the
derivatives of its gradients are two convolutions and one backward pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from hwnas.errors import OptionError

__all__ = ["twice_differentiable"]


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Forward passes inside can be differentiated twice, and no further, at less cost.

    Batch-norms in training mode are replaced, convolutions of groups, and hard sigmoids. What they
    give is the same but for rounding, and running statistics move as ever.
    """
    with _Replaced():
        yield


class _Replaced(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is F.batch_norm:
            return _batch_norm(*args, **given)
        if func is F.conv2d:
            return _conv2d(*args, **given)
        if func is Tensor.mul and not given:
            return _product(*args)
        if func is F.hardsigmoid:  # torch's own has no second derivative at all
            return (args[0] / 6 + 0.5).clamp(0.0, 1.0)
        return func(*args, **given)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    w = None if weight is None or _held_at(weight, 1.0) else weight
    y: Tensor = _Normalise.apply(x, w, running_mean, running_var, momentum, eps)  # type: ignore[no-untyped-call]
    return y if bias is None or _held_at(bias, 0.0) else y + _column(bias)


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    if groups == 1 or isinstance(padding, str) or x.ndim != 4:
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    how = [_pair(stride), _pair(padding), _pair(dilation), groups]
    y: Tensor = _Convolve.apply(x, weight, *how)  # type: ignore[no-untyped-call]
    return y if bias is None else y + _column(bias)


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value] * 2 if isinstance(value, int) else list(value) * (2 // len(value))


def _product(a: Any, b: Any) -> Any:
    """``a * b``; of a number and a batch-norm's values, a batch-norm of another scale."""
    made_by: Any = b.grad_fn if isinstance(b, Tensor) else None
    of = getattr(made_by, "_forward_cls", None)
    if of is _Normalise and isinstance(a, Tensor) and a.ndim == 0:
        x, w, mean, r = made_by.saved_tensors
        if a.dtype == x.dtype == mean.dtype and a.device == x.device:
            scale = a.expand_as(mean) if w is None else a * w
            factors = a.detach(), b.detach()
            return _Rescaled.apply(x, scale, mean, r, factors, made_by.eps)  # type: ignore[no-untyped-call]
    return a * b


def _held_at(parameter: Tensor, value: float) -> bool:
    """Whether a parameter is not trained and has this value, so that it can be left out."""
    return not parameter.requires_grad and bool((parameter == value).all())


def _column(values: Tensor) -> Tensor:
    """One value a channel, beside images."""
    return values.reshape(1, -1, 1, 1)


class _Normalise(torch.autograd.Function):
    """``w z``, with ``z = (x - mean) r`` by the statistics of the batch.

    ``r`` is one over the deviation; ``w`` is one number a channel, or None for 1.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor | None, *how: Any) -> Tensor:
        running_mean, running_var, momentum, eps = how
        y, mean, r = torch.native_batch_norm(
            x, w, None, running_mean, running_var, True, momentum, eps
        )
        ctx.save_for_backward(x, w, mean, r)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, w, mean, r = ctx.saved_tensors
        of_x, of_w = _Slope.apply(*grads, x, w, mean, r, ctx.eps)  # type: ignore[no-untyped-call]
        return of_x, None if w is None else of_w, None, None, None, None


class _Rescaled(_Normalise):
    """The same of known statistics, as the product of a number and earlier values."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor | None, *how: Any) -> Tensor:
        mean, r, (number, values), ctx.eps = how
        ctx.save_for_backward(x, w, mean, r)
        y: Tensor = number * values
        return y


class _Slope(torch.autograd.Function):
    """The gradients by x, ``w S g`` with ``S g = r (g - mean(g) - z mean(g z))``, and by w."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, *how: Any) -> tuple[Tensor, Tensor]:
        x, w, mean, r, ctx.eps = how
        of_x, gz, total = _slope(g, x, w, mean, r, ctx.eps)
        ctx.save_for_backward(g, x, w, mean, r, gz, total)
        ctx.set_materialize_grads(False)
        return of_x, gz

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        _refuse_third()
        g, x, w, mean, r, gz, total = ctx.saved_tensors
        h, v = grads  # what is varied is <h, w S g> + <v, sum(g z)>
        of_g = of_x = of_w = None
        if h is not None:
            count = x.numel() / len(mean)
            of_g, hz, total_of_h = _slope(h, x, w, mean, r, ctx.eps)
            a, b, c, d = (part / count for part in (total, gz, total_of_h, hz))
            gh = (g * h).sum((0, 2, 3)) / count
            # -r^2 (b (h - c) + d (g - a) + k z), where a, b, c, d are the means of g, gz, h and hz
            k = gh - a * c - 3 * b * d
            square = r * r if w is None else w * r * r
            shift = square * (b * c + d * a + k * r * mean)
            of_x = torch.addcmul(_column(shift), h, _column(-square * b))
            of_x.addcmul_(g, _column(-square * d)).addcmul_(x, _column(-square * k * r))
            of_w = None if w is None else count * r * (gh - a * c - b * d)  # <h, S g>
        if v is not None:
            z = (x - _column(mean)).mul_(_column(r * v))
            of_g = z if of_g is None else of_g.add_(z)
            along = _slope(g, x, v, mean, r, ctx.eps)[0]
            of_x = along if of_x is None else of_x.add_(along)
        return of_g, of_x, of_w, None, None, None


def _slope(
    g: Tensor, x: Tensor, w: Tensor | None, mean: Tensor, r: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient by x, ``sum(g z)`` and ``sum(g)`` of each channel."""
    scale = None if w is None else w.contiguous()  # its strides are not looked at
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
        g, x, scale, None, None, mean, r, True, eps, [True, True, True]
    )
    return found


class _Convolve(torch.autograd.Function):
    """``x * w``, a convolution of groups."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, *how: Any) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.how = how
        return F.conv2d(x, w, None, *how)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        slopes = _ConvolveSlope.apply(*grads, *ctx.saved_tensors, ctx.needs_input_grad[:2], ctx.how)  # type: ignore[no-untyped-call]
        return *slopes, *(None for _ in ctx.how)


class _ConvolveSlope(torch.autograd.Function):
    """The gradients by x and w, both linear in ``g``: one bilinear in g and w, one in g and x."""

    @staticmethod
    def forward(
        ctx: Any, g: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool], how: tuple[Any, ...]
    ) -> tuple[Tensor | None, Tensor | None]:
        ctx.save_for_backward(g, x, w)
        ctx.how = how
        ctx.set_materialize_grads(False)
        return _slopes(g, x, w, wanted, how)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        _refuse_third()
        g, x, w = ctx.saved_tensors
        of_x, of_w = grads  # what <of_x, gradient by x> + <of_w, gradient by w> varies with
        parts = [
            F.conv2d(a, b, None, *ctx.how)
            for a, b in ((of_x, w), (x, of_w))
            if a is not None and b is not None
        ]
        of_g = parts[0].add_(parts[1]) if len(parts) == 2 else parts[0]
        wanted = of_w is not None and ctx.needs_input_grad[1], of_x is not None
        by_x, by_w = _slopes(
            g, x if of_x is None else of_x, w if of_w is None else of_w, wanted, ctx.how
        )
        return of_g, by_x, by_w, None, None


def _slopes(
    g: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool], how: tuple[Any, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of ``<g, x * w>`` by x and by w, those that are wanted."""
    stride, padding, dilation, groups = how
    found: tuple[Tensor | None, ...] = torch.ops.aten.convolution_backward(
        *(g, x, w, None, stride, padding, dilation, False, [0, 0], groups, [*wanted, False])
    )
    return found[0], found[1]


def _refuse_third() -> None:
    if torch.is_grad_enabled():  # a graph is wanted, which would lack terms
        raise OptionError("a pass of twice_differentiable has no third derivatives")
