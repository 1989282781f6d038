"""Mirrors dlref/interpretation/images_from_networks/fooling.py. captum's attacks stand beside it."""

import re
from functools import partial

import pytest
import torch
from captum.robust import FGSM, PGD
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlref.interpretation import deepfool, fgsm, pgd


def network(seed: int = 0, classes: int = 4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, classes)).double().eval()


def examples(seed: int = 0, count: int = 5):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 3, 2, 2, dtype=torch.float64, generator=generator)
    return x, torch.randint(4, (count,), generator=generator)


def loss(outputs, target):
    return F.cross_entropy(outputs, target, reduction="none")


@pytest.mark.parametrize("targeted", [False, True])
def test_fgsm_is_captums(targeted):
    net, (x, target) = network(), examples()
    wanted = FGSM(net, loss, 0.0, 1.0).perturb(x.clone().requires_grad_(), 0.2, target, targeted=targeted)
    found = fgsm(net, x, target, epsilon=0.2, targeted=targeted, bounds=(0.0, 1.0))
    torch.testing.assert_close(found, wanted)
    assert not found.requires_grad


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients:UserWarning")  # between its steps
@pytest.mark.verifies("eq-ball-steps")
@pytest.mark.parametrize("targeted", [False, True])
def test_pgd_is_captums(targeted):
    net, (x, target) = network(), examples()
    settings = {"radius": 0.15, "step_size": 0.04, "targeted": targeted}
    wanted = PGD(net, loss, 0.0, 1.0).perturb(x.clone().requires_grad_(), step_num=6, target=target, **settings)
    torch.testing.assert_close(pgd(net, x, target, steps=6, bounds=(0.0, 1.0), **settings), wanted)


@pytest.mark.verifies("eq-worst-step")
@given(st.integers(0, 10**6))
def test_of_a_linear_network_no_change_of_that_size_is_worse(seed):
    generator = torch.Generator().manual_seed(seed)
    net = nn.Linear(6, 2, bias=False).double().eval()
    w = torch.randn(6, dtype=torch.float64, generator=generator)
    net.weight.data.copy_(torch.stack([w, torch.zeros(6)]))
    x = torch.randn(1, 6, dtype=torch.float64, generator=generator)
    worst = fgsm(net, x, torch.tensor([1]), epsilon=0.3) - x
    assert (worst @ w).item() == pytest.approx(0.3 * w.abs().sum().item())
    others = 0.3 * (2 * torch.rand(200, 6, dtype=torch.float64, generator=generator) - 1)
    assert (others @ w).max() <= (worst @ w).item()


def test_epsilon_for_each_channel():
    net, (x, target) = network(), examples()
    sizes = torch.tensor([0.1, 0.0, 0.3], dtype=torch.float64)[:, None, None]
    change = fgsm(net, x, target, epsilon=sizes) - x
    torch.testing.assert_close(change.abs(), sizes.expand_as(x))
    change = pgd(net, x, target, radius=sizes, step_size=sizes, steps=3) - x
    assert (change.abs() <= sizes + 1e-12).all()


@given(st.integers(0, 10**6), st.sampled_from(["inf", "2"]), st.booleans(), st.booleans())
def test_pgd_stays_in_the_ball_and_the_bounds(seed, norm, targeted, random_start):
    net, (x, target) = network(seed), examples(seed)
    generator = torch.Generator().manual_seed(seed)
    found = pgd(
        net, x, target, radius=0.3, step_size=0.2, steps=4, norm=norm, targeted=targeted,
        random_start=random_start, bounds=(0.05, 0.9), generator=generator,
    )  # fmt: skip
    inside = x.clamp(0.05, 0.9)  # what is outside of the bounds is brought in
    change = (found - x).flatten(1)
    reach = change.abs().amax(1) if norm == "inf" else change.norm(dim=1)
    outside = (inside - x).flatten(1)
    slack = outside.abs().amax(1) if norm == "inf" else outside.norm(dim=1)
    assert (reach <= 0.3 + slack + 1e-9).all()
    assert found.min() >= 0.05
    assert found.max() <= 0.9


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_the_loss_rises_or_falls(norm):
    net, (x, target) = network(), examples(count=40)
    before = loss(net(x), target).mean()
    settings = {"radius": 0.3, "step_size": 0.1, "steps": 8, "norm": norm}
    assert loss(net(pgd(net, x, target, **settings)), target).mean() > before
    assert loss(net(pgd(net, x, target, targeted=True, **settings)), target).mean() < before


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_a_faint_slope_is_followed_as_well(norm):
    net, (x, target) = network().float(), examples()
    x, settings = x.float(), {"radius": 0.3, "step_size": 0.1, "steps": 1, "norm": norm}
    net[-1].weight.data *= 1e-25  # the loss hardly depends on the input
    change = (pgd(net, x, target, **settings) - x).flatten(1)
    length = change.abs().amax(1) if norm == "inf" else change.norm(dim=1)
    torch.testing.assert_close(length, torch.full((5,), 0.1))


def test_a_step_of_length():
    net, (x, target) = network(), examples()
    found = pgd(net, x, target, radius=9.0, step_size=0.25, steps=1, norm="2")
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(net(leaf), target).sum(), leaf)
    torch.testing.assert_close((found - x).flatten(1).norm(dim=1), torch.full((5,), 0.25, dtype=torch.float64))
    torch.testing.assert_close(F.cosine_similarity((found - x).flatten(1), slope.flatten(1)), torch.ones(5).double())


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_random_starts_fill_the_ball(norm):
    net, x = network(), torch.zeros(4000, 3, 2, 2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    settings = {"radius": 2.0, "step_size": 0.0, "steps": 1, "norm": norm, "random_start": True}
    found = pgd(net, x, torch.zeros(4000, dtype=torch.long), generator=generator, **settings).flatten(1)
    if norm == "inf":
        assert found.abs().max() <= 2
        assert found.abs().mean().item() == pytest.approx(1.0, abs=0.02)
    else:
        inner = (found.norm(dim=1) < 2 * 0.5 ** (1 / 12)).double().mean().item()
        assert inner == pytest.approx(0.5, abs=0.03)  # half of the volume
        assert found.norm(dim=1).max() <= 2
        assert found.mean(0).abs().max() < 0.05


# ------------------------------------------------------------------------------------------------ DeepFool


@pytest.mark.verifies("eq-nearest-border")
@given(st.integers(0, 10**6))
def test_of_a_linear_network_the_change_is_the_smallest(seed):
    torch.manual_seed(seed)
    net = nn.Linear(6, 4).double().eval()
    x = torch.randn(7, 6, dtype=torch.float64)
    found = deepfool(net, x, overshoot=0.0)
    with torch.no_grad():
        scores = net(x)
    for k, answer in enumerate(scores.argmax(1)):
        gaps = [
            ((scores[k, answer] - scores[k, j]) / (net.weight[j] - net.weight[answer]).norm()).item()
            for j in range(4)
            if j != answer
        ]
        assert (found[k] - x[k]).norm().item() == pytest.approx(min(gaps), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("classes", [1, 3, 10])
def test_the_answer_changes(classes):
    net, (x, _) = network(), examples(count=40)
    found = deepfool(net, x, classes=classes)
    assert (net(found).argmax(1) != net(x).argmax(1)).all()
    half = x + 0.5 * (found - x)
    assert (net(half).argmax(1) == net(x).argmax(1)).double().mean() > 0.8


def test_it_is_shorter_than_a_step_that_does_the_same():
    net, (x, _) = network(), examples(count=40)
    answer = net(x).argmax(1)
    shortest = (deepfool(net, x) - x).flatten(1).norm(dim=1)
    for epsilon in (0.02, 0.05, 0.1, 0.2, 0.4):
        by_sign = fgsm(net, x, answer, epsilon=epsilon)
        flipped = net(by_sign).argmax(1) != answer
        assert (shortest <= (by_sign - x).flatten(1).norm(dim=1) * 1.05)[flipped].all()


def test_those_that_have_changed_rest():
    net, (x, _) = network(), examples(count=10)
    one_by_one = torch.cat([deepfool(net, x[k : k + 1]) for k in range(10)])
    torch.testing.assert_close(deepfool(net, x), one_by_one)


def test_as_far_as_the_steps_reach():
    net, (x, _) = network(), examples()
    first = deepfool(net, x, steps=1, overshoot=0.0)
    assert torch.equal(first, deepfool(net, x, steps=1, overshoot=0.0))
    further = (deepfool(net, x, steps=1, overshoot=0.5) - x).flatten(1).norm(dim=1)
    torch.testing.assert_close(further, 1.5 * (first - x).flatten(1).norm(dim=1))


# ------------------------------------------------------------------------------------------------ refused


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("attack", [
    lambda net, x, t: fgsm(net, x, t, epsilon=0.1),
    lambda net, x, t: pgd(net, x, t, radius=0.1, step_size=0.1, steps=1),
])  # fmt: skip
def test_targets_and_models_are_refused(attack):
    net, (x, target) = network(), examples()
    for wrong, message in (
        (target[:3], "target must hold 5 classes (int64), got"),
        (target.double(), "target must hold 5 classes (int64), got"),
        (2, "target must hold 5 classes (int64), got 2 (int)"),
        (0 * target + 4, "target must be classes from 0 to 3, got"),
        (target - 4, "target must be classes from 0 to 3, got"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            attack(net, x, wrong)
    with pytest.raises(ValueError, match="model must be in evaluation mode"):
        attack(network().train(), x, target)
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module"):
        attack(print, x, target)
    with pytest.raises(ValueError, match=r"^model must give scores of two or more classes, got .* of shape \(5, 1\)"):
        attack(network(classes=1), x, 0 * target)
    with pytest.raises(ValueError, match=r"^model must give scores of two or more classes, got .* of shape \(60,\)"):
        attack(nn.Flatten(0).eval(), x, target)
    with pytest.raises(TypeError, match="x must hold floating-point numbers"):
        attack(net, x.long(), target)


@pytest.mark.parametrize(
    ("attack", "settings", "error", "message"),
    [
        (fgsm, {"epsilon": -0.1}, ValueError, "epsilon must be a number in [0, inf), got -0.1"),
        (fgsm, {"epsilon": "a"}, TypeError, "epsilon must be a number"),
        (fgsm, {"epsilon": torch.tensor([-1.0])}, ValueError,
         "epsilon must not be negative, got torch.float32 tensor of shape (1,)"),
        (fgsm, {"epsilon": torch.ones(5)}, ValueError,
         "epsilon must be a number or fit the shape (5, 3, 2, 2), got torch.float32 tensor of shape (5,)"),
        (fgsm, {"epsilon": 0.1, "bounds": (1.0, 0.0)}, ValueError, "bounds must be (least, largest)"),
        (pgd, {"norm": "1"}, ValueError, "norm must be one of 'inf', '2', got '1'"),
        (pgd, {"steps": 0}, ValueError, "steps must be an integer >= 1, got 0"),
        (pgd, {"radius": -1.0}, ValueError, "radius must be a number in [0, inf)"),
        (pgd, {"step_size": float("nan")}, ValueError, "step_size must be a number in [0, inf)"),
        (pgd, {"norm": "2", "radius": torch.ones(3, 1, 1)}, ValueError,
         "radius and step_size must be numbers for the norm '2'"),
        (pgd, {"norm": "2", "step_size": torch.ones(3, 1, 1)}, ValueError, "radius and step_size must be numbers"),
        (deepfool, {"steps": 0}, ValueError, "steps must be an integer >= 1, got 0"),
        (deepfool, {"overshoot": -0.1}, ValueError, "overshoot must be a number in [0, inf), got -0.1"),
        (deepfool, {"classes": 0}, ValueError, "classes must be an integer >= 1, got 0"),
    ],
)  # fmt: skip
def test_settings_of_attacks_are_refused(refuses, attack, settings, error, message):
    x, target = examples()
    given = [] if attack is deepfool else [target]
    if attack is pgd:
        settings = {"radius": 0.1, "step_size": 0.1, "steps": 1} | settings
    refuses(partial(attack, **settings), [network(), x, *given], error, message)


def test_pictures_of_deepfool_are_refused(refuses):
    whole = torch.zeros(5, 3, 2, 2).long()
    refuses(deepfool, [network(), whole], TypeError, "x must hold floating-point numbers, got torch.int64")
    refuses(deepfool, [network(), "x"], TypeError, "x must be a torch.Tensor of shape (... W), got 'x' (str)")


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_the_generator_alone_decides_where_it_starts(norm):
    net, (x, target) = network(), examples()
    found = []
    for own, common in ((0, 0), (0, 1), (1, 1)):
        torch.manual_seed(common)
        generator = torch.Generator().manual_seed(own)
        settings = {"radius": 0.3, "step_size": 1e-6, "steps": 1, "norm": norm, "random_start": True}
        found.append(pgd(net, x, target, generator=generator, **settings))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[1], found[2], atol=1e-3)


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_the_model_never_sees_what_is_out_of_bounds(norm):
    net, (x, target) = network(), examples()
    seen = []
    net.register_forward_pre_hook(lambda _, inputs: seen.append((inputs[0].min().item(), inputs[0].max().item())))
    settings = {"radius": 2.0, "step_size": 0.5, "steps": 3, "norm": norm, "random_start": True}
    pgd(net, x, target, bounds=(0.0, 1.0), **settings)
    assert min(low for low, _ in seen) >= 0
    assert max(high for _, high in seen) <= 1
