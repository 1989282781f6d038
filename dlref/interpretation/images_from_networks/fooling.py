"""Small changes of an input that change the answer.

Shape legend: B inputs, K classes, ... any further axes.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref.interpretation.features.layers import asked
from dlref.interpretation.images_from_networks.optimizing import Bounds, bounds_of

__all__ = ["deepfool", "fgsm", "pgd"]

Size = Float[Tensor, "..."] | float


def fgsm(
    model: nn.Module,
    x: Float[Tensor, "B ..."],
    target: Int[Tensor, " B"],
    *,
    epsilon: Size,
    targeted: bool = False,
    bounds: Bounds | None = None,
) -> Float[Tensor, "B ..."]:
    r"""One step of a given size for every value, so that the loss rises fastest.

    .. math:: x + \epsilon \, \operatorname{sign} \frac{\partial L(f(x), t)}{\partial x}

    with :math:`L` the cross-entropy. Of all changes with no value above epsilon, this
    one raises the linearised loss most. Where the loss has no slope in its
    precision, x stays; that does not make a network robust.

    Args:
        model: in evaluation mode; (B, ...) to scores (B, K).
        x: inputs.
        target: classes to be left, or to be reached if ``targeted``.
        epsilon: size of the step in units of the input: a number, or a tensor that
            fits, such as 8/255 divided by each channel's standard deviation.
        targeted: go down instead, towards the classes.
        bounds: least and largest values, as for :func:`optimize_image`.

    Raises:
        TypeError, ValueError: if the model is no module or in training mode, a target
            is no class, or a setting is out of range.

    Source:
        Goodfellow, Shlens & Szegedy (2015), arXiv:1412.6572.

    Example:
        >>> net = nn.Linear(2, 2, bias=False).eval()
        >>> _ = net.weight.data.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
        >>> fgsm(net, torch.zeros(1, 2), torch.tensor([0]), epsilon=0.25)
        tensor([[-0.2500,  0.2500]])
    """
    size = _size("epsilon", epsilon, x)
    low, high = bounds_of(bounds, x)
    slope = _slope(model, x, target)
    step = size * slope.sign()
    return (x.detach() + (-step if targeted else step)).clamp(low, high)


def pgd(
    model: nn.Module,
    x: Float[Tensor, "B ..."],
    target: Int[Tensor, " B"],
    *,
    radius: Size,
    step_size: Size,
    steps: int,
    norm: str = "inf",
    targeted: bool = False,
    random_start: bool = False,
    bounds: Bounds | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "B ..."]:
    r"""Many steps that raise the loss, each followed by the way back into a ball.

    For the norm ``"inf"`` a step is that of :func:`fgsm`, and no value may differ from
    the input's by more than ``radius``; for ``"2"`` it goes along the gradient, with
    the length ``step_size``, and the difference as a whole is no longer than
    ``radius``.

    Args:
        model: in evaluation mode; (B, ...) to scores (B, K).
        x: inputs.
        target: classes to be left, or to be reached if ``targeted``.
        radius, step_size: in units of the input; numbers, or for ``"inf"`` also tensors
            that fit.
        steps: how many.
        norm: ``"inf"`` or ``"2"``.
        targeted: go down instead, towards the classes.
        random_start: begin at a random point of the ball instead of its centre.
        bounds: least and largest values, as for :func:`optimize_image`.
        generator: source of the random start; torch's own by default.

    Raises:
        TypeError, ValueError: if the model is no module or in training mode, a target
            is no class, or a setting is out of range.

    Source:
        Madry, Makelov, Schmidt, Tsipras & Vladu (2018), arXiv:1706.06083; Kurakin,
        Goodfellow & Bengio (2017), arXiv:1607.02533.

    Example:
        >>> net = nn.Linear(2, 2).eval()
        >>> x, target = torch.zeros(1, 2), torch.tensor([0])
        >>> found = pgd(net, x, target, radius=0.3, step_size=0.2, steps=5)
        >>> found.abs()
        tensor([[0.3000, 0.3000]])
    """
    _check.one_of("norm", norm, ("inf", "2"))
    steps = _check.integer("steps", steps, 1)
    ball, step = _size("radius", radius, x), _size("step_size", step_size, x)
    if norm == "2" and (ball.ndim or step.ndim):
        raise ValueError("radius and step_size must be numbers for the norm '2'")
    low, high = bounds_of(bounds, x)
    centre = x.detach()
    at = centre
    if random_start:
        at = (centre + _random(ball, centre, norm, generator)).clamp(low, high)
    for _ in range(steps):
        slope = _slope(model, at, target) * (-1 if targeted else 1)
        direction = slope.sign() if norm == "inf" else _unit(slope)
        change = at + step * direction - centre
        change = (
            change.clamp(-ball, ball)
            if norm == "inf"
            else change * (ball / _length(change)).clamp(max=1)
        )
        at = (centre + change).clamp(low, high)
    return at


def deepfool(
    model: nn.Module,
    x: Float[Tensor, "B ..."],
    *,
    steps: int = 50,
    overshoot: float = 0.02,
    classes: int = 10,
) -> Float[Tensor, "B ..."]:
    r"""A nearly smallest change, by its length, that changes the answer.

    Values are not held to any bounds. In each step the network is replaced by its
    linear approximation, for which the
    smallest change is known: to the nearest of the borders to other classes k,

    .. math:: r_k = \frac{f_y - f_k}{\lVert w_k \rVert^2} \, w_k,
        \qquad w_k = \frac{\partial (f_k - f_y)}{\partial x}

    Args:
        model: in evaluation mode; (B, ...) to scores (B, K).
        x: inputs.
        steps: at most; an input whose answer has not changed by then is returned as far
            as it came.
        overshoot: share of the change that is added, so that the border is crossed.
        classes: only the borders to so many of the likeliest other classes are looked
            at.

    Raises:
        TypeError, ValueError: if the model is no module or in training mode, or a
            setting is out of range.

    Source:
        Moosavi-Dezfooli, Fawzi & Frossard (2016), arXiv:1511.04599.

    Example:
        >>> net = nn.Linear(2, 2, bias=False).eval()
        >>> _ = net.weight.data.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        >>> deepfool(net, torch.tensor([[3.0, 5.0]]), overshoot=0.5)
        tensor([[-1.5000,  5.0000]])
    """
    steps = _check.integer("steps", steps, 1)
    overshoot = _check.real("overshoot", overshoot, "[0, inf)")
    classes = _check.integer("classes", classes, 1)
    _check.tensor("x", x, "... W")
    centre = x.detach()
    with torch.no_grad():
        scores = _scores(model, centre)
    answer = scores.argmax(1, keepdim=True)
    others = scores.scatter(1, answer, -torch.inf)
    rivals = others.topk(min(classes, scores.shape[1] - 1), 1).indices
    change = torch.zeros_like(centre)
    for _ in range(steps):
        at = (centre + (1 + overshoot) * change).requires_grad_()
        with torch.enable_grad():
            scores = _scores(model, at)
            gaps = scores.gather(1, rivals) - scores.gather(1, answer)
        left = scores.argmax(1, keepdim=True) == answer
        if not left.any():
            break
        best = torch.full_like(gaps[:, 0], torch.inf)
        step = torch.zeros_like(centre)
        for gap in gaps.unbind(1):
            (slope,) = torch.autograd.grad(gap.sum(), at, retain_graph=True)
            length = _length(slope)
            distance = gap.detach().abs() / length.flatten()
            nearer = _like(distance < best, x)
            way = _like(distance + 1e-6, x) * slope / length
            step = torch.where(nearer, way, step)
            best = torch.minimum(best, distance)
        change = change + torch.where(_like(left[:, 0], x), step, 0)
    return centre + (1 + overshoot) * change


def _like(value: Tensor, x: Tensor) -> Tensor:
    """A number for each input, with the axes of the inputs."""
    return value.reshape(-1, *[1] * (x.ndim - 1))


def _length(value: Tensor) -> Tensor:
    """Euclidean length of each input, (B, 1, ...), not quite zero."""
    return _like(value.flatten(1).norm(dim=1).clamp(min=1e-12), value)


def _unit(value: Tensor) -> Tensor:
    """Each input with length one, even a tiny one; zero stays zero."""
    largest = _like(value.flatten(1).abs().amax(1), value)
    value = value / largest.clamp(min=torch.finfo(value.dtype).tiny)
    return value / _length(value)


def _random(
    ball: Tensor, centre: Tensor, norm: str, generator: torch.Generator | None
) -> Tensor:
    """A point of the ball, all of its parts equally likely."""
    settings = {"dtype": centre.dtype, "device": centre.device}
    if norm == "inf":
        return ball * (
            2 * torch.rand(centre.shape, generator=generator, **settings) - 1
        )
    direction = torch.randn(centre.shape, generator=generator, **settings)
    share = torch.rand(len(centre), generator=generator, **settings)
    far = ball * share ** (1 / max(1, centre[0].numel()))
    return _like(far, centre) * _unit(direction)


def _size(name: str, value: Size, x: Tensor) -> Tensor:
    """A size in units of the input: a number, or a tensor that fits."""
    _check.tensor("x", x, "... W")
    if not isinstance(value, Tensor):
        value = _check.real(name, value, "[0, inf)")
    found = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    if not (found >= 0).all() or found.numel() == 0:
        raise ValueError(f"{name} must not be negative, got {_check.describe(value)}")
    try:
        found.expand_as(x)
    except RuntimeError:
        raise ValueError(
            f"{name} must be a number or fit the shape {tuple(x.shape)}, "
            f"got {_check.describe(value)}"
        ) from None
    return found


def _scores(model: nn.Module, x: Tensor) -> Float[Tensor, "B K"]:
    out = asked(model, x)
    if not isinstance(out, Tensor) or out.ndim != 2 or out.shape[1] < 2:
        got = _check.describe(out)
        raise ValueError(f"model must give scores of two or more classes, got {got}")
    return out


def _slope(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Gradient of each input's cross-entropy."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        scores = _scores(model, x)
        known = isinstance(target, Tensor) and target.dtype == torch.long
        if not known or target.shape != scores.shape[:1]:
            got = _check.describe(target)
            raise ValueError(f"target must hold {len(x)} classes (int64), got {got}")
        if ((target < 0) | (target >= scores.shape[1])).any():
            raise ValueError(
                f"target must be classes from 0 to {scores.shape[1] - 1}, "
                f"got {target.min()} to {target.max()}"
            )
        loss = F.cross_entropy(scores, target, reduction="sum")
    (slope,) = torch.autograd.grad(loss, x)
    return slope
