"""Mirrors dlref/optimization/gradient_descent.py, and _states.py behind it."""

import copy
import itertools
import re
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from dlref.optimization import (
    SGD,
    SURFACES,
    Adagrad,
    Adam,
    AdamW,
    Descent,
    Momentum,
    Nesterov,
    RMSProp,
    Surface,
    flat_loss,
    minibatches,
    trajectory,
)

CASES = {
    "plain": {"lr": 0.1},
    "decayed": {"lr": 0.05, "weight_decay": 0.1},
    "climbing": {"lr": 1e-4, "maximize": True},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_follows_torch_for_300_steps(case, dtype, tolerance, follows_torch):
    follows_torch(SGD, torch.optim.SGD, CASES[case], CASES[case], dtype, tolerance)


@pytest.mark.verifies("eq-taylor")
def test_expansion_is_off_by_the_cube_of_the_step():
    f = SURFACES["Rosenbrock"].f
    theta = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    g, H = torch.func.grad(f)(theta), torch.func.jacrev(torch.func.grad(f))(theta)
    errors = []
    for size in (1e-2, 1e-3):
        delta = size * torch.tensor([0.6, 0.8], dtype=torch.float64)
        errors.append((f(theta + delta) - (f(theta) + g @ delta + delta @ H @ delta / 2)).abs().item())
    assert errors[0] / errors[1] == pytest.approx(1000, rel=0.05)


@pytest.mark.verifies("eq-steepest")
@given(st.integers(0, 10_000))
def test_no_step_of_that_length_goes_down_more_than_the_gradients(number):
    generator = torch.Generator().manual_seed(number)
    g, other = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    length = 0.3
    steepest = -length / g.norm() * g
    other = length / other.norm() * other
    assert g @ steepest == pytest.approx(-length * g.norm().item())
    assert g @ other >= g @ steepest - 1e-12


@pytest.mark.verifies("eq-descent-lemma")
@pytest.mark.parametrize("share", [0.1, 1.0, 1.9, 2.0])
def test_each_step_goes_down_by_what_the_bound_says(share):
    A = torch.diag(torch.tensor([1.0, 3.0, 7.0], dtype=torch.float64))

    def f(theta):
        return theta @ A @ theta / 2 + theta.cos().sum()  # curvature at most 7 + 1

    L, theta = 8.0, torch.tensor([2.0, -1.0, 0.7], dtype=torch.float64)
    eta = share / L
    path = trajectory(f, theta, lambda p: SGD(p, lr=eta), steps=20)
    for before, after in itertools.pairwise(path):
        g = torch.func.grad(f)(before)
        assert f(after) <= f(before) - eta * (1 - eta * L / 2) * g @ g + 1e-12


@pytest.mark.verifies("eq-shrink")
@pytest.mark.parametrize("eta", [0.01, 0.5, 0.9, 1.5])
def test_on_a_parabola_each_step_is_a_factor(eta, close):
    h = 1.3
    start = torch.tensor([2.0], dtype=torch.float64)
    path = trajectory(lambda t: h / 2 * t.square().sum(), start, lambda p: SGD(p, lr=eta), steps=10)
    close(path[:, 0], 2 * (1 - eta * h) ** torch.arange(11, dtype=torch.float64))


@pytest.mark.verifies("eq-perpendicular")
@pytest.mark.parametrize("name", SURFACES)
def test_gradient_stands_on_the_contour(name):
    """Follow a contour by Newton's method, and look at the chord."""
    f, theta = SURFACES[name].f, torch.tensor([0.4, 0.3], dtype=torch.float64)
    g = torch.func.grad(f)(theta)
    along = torch.stack([-g[1], g[0]]) / g.norm() * 1e-4
    beside = theta + along
    for _ in range(3):  # back to the height of theta
        slope = torch.func.grad(f)(beside)
        beside = beside - (f(beside) - f(theta)) * slope / slope.dot(slope)
    chord = beside - theta
    assert f(beside).item() == pytest.approx(f(theta).item(), abs=1e-12)
    assert abs(g @ chord) / (g.norm() * chord.norm()) < 1e-2


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_have_their_lowest_value_where_it_should_be(name):
    surface = SURFACES[name]
    assert isinstance(surface, Surface)
    x, y = np.meshgrid(*(np.linspace(*limits, 201) for limits in surface.window.values()))
    heights = surface.height(x, y)
    assert heights.shape == (201, 201)
    assert surface.lowest - 1e-9 <= heights.min() < surface.lowest + 0.05
    start = torch.tensor(surface.start)
    assert surface.f(start).item() > surface.lowest + 0.2
    low, high = np.array(list(surface.window.values())).T
    assert (low < surface.start).all()
    assert (surface.start < high).all()
    u, v = 0.5, -0.25
    assert surface.height(np.array(u), np.array(v)) == pytest.approx(surface.f(torch.tensor([u, v])).item())


def test_surfaces_by_hand():
    point = torch.tensor([2.0, 3.0])
    assert SURFACES["ravine"].f(point) == 2 + 225
    assert SURFACES["saddle"].f(point) == 2 - 4.5 + 81 / 4
    assert SURFACES["plateau"].f(point).item() == pytest.approx(1 - np.exp(-6.5))
    assert SURFACES["Rosenbrock"].f(point) == 1 + 100
    assert SURFACES["saddle"].f(torch.tensor([0.0, 1.0])) == SURFACES["saddle"].lowest
    assert [surface.start for surface in SURFACES.values()] == [(-9.0, 1.2), (-1.8, 1e-3), (-3.4, 2.4), (-1.2, 1.0)]
    assert SURFACES["ravine"].window == {"xlim": (-10.0, 6.0), "ylim": (-2.0, 2.0)}


@given(st.integers(1, 40), st.data())
def test_without_replacement_each_example_is_in_one_batch(size, data):
    batch_size = data.draw(st.integers(1, size))
    batches = list(minibatches(size, batch_size, generator=torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= batch_size
    assert sorted(torch.cat(batches).tolist()) == list(range(size))


def test_with_replacement_batches_are_drawn_anew():
    batches = list(minibatches(10, 4, replacement=True, generator=torch.Generator().manual_seed(1)))
    assert [len(batch) for batch in batches] == [4, 4, 4]
    drawn = torch.cat(list(minibatches(5, 5, replacement=True, generator=torch.Generator().manual_seed(2))))
    assert len(drawn.unique()) < 5
    many = torch.cat([torch.cat(list(minibatches(6, 6, replacement=True))) for _ in range(500)])
    assert stats.chisquare(torch.bincount(many, minlength=6).numpy()).pvalue > 1e-4


@pytest.mark.parametrize("replacement", [True, False])
def test_generator_fixes_the_order(replacement):
    def order(number):
        generator = torch.Generator().manual_seed(number)
        return torch.cat(list(minibatches(50, 8, replacement=replacement, generator=generator))).tolist()

    assert order(3) == order(3) != order(4)


def test_order_of_an_epoch_is_shuffled_evenly():
    firsts = torch.stack([next(minibatches(5, 1)) for _ in range(1000)]).flatten()
    assert stats.chisquare(torch.bincount(firsts, minlength=5).numpy()).pvalue > 1e-4


@pytest.mark.verifies("eq-batch-variance")
@pytest.mark.parametrize("replacement", [True, False])
def test_error_of_a_mean_over_a_batch(replacement):
    values = torch.tensor([1.0, 4.0, 9.0, -3.0, 0.5, 7.0])
    m, B = 6, 3
    generator = torch.Generator().manual_seed(0)
    means = torch.stack([
        values[batch].mean()
        for _ in range(6000)
        for batch in minibatches(m, B, replacement=replacement, generator=generator)
    ])  # fmt: skip
    expected = values.var(correction=0) / B * (1 if replacement else (m - B) / (m - 1))
    assert means.var().item() == pytest.approx(expected.item(), rel=0.05)
    assert means.mean().item() == pytest.approx(values.mean().item(), abs=0.06)


@pytest.mark.verifies("eq-goe")
def test_random_matrices_are_rarely_positive_definite():
    """Exact for two dimensions; and minus the logarithm grows like log(3) / 4 times the square of the dimension."""
    rng, information = np.random.default_rng(0), {1: np.log(2)}
    for D in (2, 3, 4):
        A = rng.normal(size=(300_000, D, D))
        information[D] = -np.log((np.linalg.eigvalsh(A + A.transpose(0, 2, 1))[:, 0] > 0).mean())
    assert np.exp(-information[2]) == pytest.approx((2 - 2**0.5) / 4, abs=0.003)
    bends = np.diff(list(information.values()), n=2)
    np.testing.assert_allclose(bends, 2 * np.log(3) / 4, atol=0.08)


def test_trajectory_leaves_the_start_and_returns_each_point():
    start = torch.tensor([1.0, 2.0])
    path = trajectory(lambda x: x.square().sum(), start, lambda p: SGD(p, lr=0.25), steps=3)
    assert path.tolist() == [[1, 2], [0.5, 1], [0.25, 0.5], [0.125, 0.25]]
    assert start.tolist() == [1, 2]
    assert not path.requires_grad


def test_flat_loss_is_the_networks_loss_with_its_gradient(close):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = torch.randn(7, 3, dtype=torch.float64), torch.randn(7, 2, dtype=torch.float64)
    f, theta = flat_loss(model, nn.functional.mse_loss, x, y)
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    close(f(theta), loss)
    close(torch.func.grad(f)(theta), torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert not theta.requires_grad
    before = [p.clone() for p in model.parameters()]
    other = torch.randn_like(theta)
    value = f(other)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    nn.utils.vector_to_parameters(other, model.parameters())
    close(value, nn.functional.mse_loss(model(x), y))


def test_a_rule_without_update_says_so():
    theta = nn.Parameter(torch.ones(2))
    theta.grad = torch.ones(2)
    rule = Descent([theta], {"lr": 0.1, "weight_decay": 0.0, "maximize": False})
    with pytest.raises(NotImplementedError):
        rule.step()


def test_defaults_are_written_down():
    group = SGD([nn.Parameter(torch.ones(1))]).param_groups[0]
    assert {k: v for k, v in group.items() if k != "params"} == {
        "lr": 1e-3, "weight_decay": 0.0, "maximize": False
    }  # fmt: skip


def test_state_with_momentum_is_refused_and_nothing_taken():
    theta = nn.Parameter(torch.ones(2))
    rule = SGD([theta], lr=0.1)
    saved = torch.optim.SGD([theta], lr=0.5, momentum=0.9).state_dict()
    with pytest.raises(ValueError, match=r"^momentum must be a number in \[0, 0\], got 0\.9$"):
        rule.load_state_dict(saved)
    assert rule.param_groups[0]["lr"] == 0.1


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", [SGD])
def test_complex_parameters_are_refused_and_leave_no_group(kind):
    rule = kind([nn.Parameter(torch.ones(2))])
    with pytest.raises(TypeError, match=r"^params must be real, got torch\.complex64 tensor of shape \(3,\)$"):
        rule.add_param_group({"params": [nn.Parameter(torch.ones(3, dtype=torch.complex64))]})
    assert len(rule.param_groups) == 1


def test_hyperparameters_have_their_intervals(refuses_outside):
    refuses_outside(SGD, {"lr": "[0, inf)", "weight_decay": "[0, inf)"})


def test_steps_as_every_rule(steps_as_told, exchanges_state):
    steps_as_told(SGD)
    exchanges_state(SGD, torch.optim.SGD, {"lr": 0.1}, {"lr": 0.1})


THETA = torch.ones(2)
REFUSED = {
    "theta": (lambda t: trajectory(torch.sum, t, SGD, steps=1), (THETA[None],), ValueError, "theta must have shape (D"),
    "steps": (lambda n: trajectory(torch.sum, THETA, SGD, steps=n), (0,), ValueError, "steps must be an integer >= 1"),
    "size": (minibatches, (0, 1), ValueError, "size must be an integer >= 1, got 0"),
    "batch size": (minibatches, (5, 6), ValueError, "batch_size must be an integer in [1, 5], got 6"),
    "no batch": (minibatches, (5, 0), ValueError, "batch_size must be an integer in [1, 5], got 0"),
    "no parameters": (
        flat_loss, (nn.ReLU(), nn.functional.mse_loss, THETA, THETA), ValueError,
        "model must have parameters, got ReLU without any",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


def test_sparse_gradients_are_refused():
    table = nn.Embedding(4, 2, sparse=True)
    rule = SGD(table.parameters())
    table(torch.tensor([1])).sum().backward()
    message = re.escape("params must have dense gradients, got a torch.sparse_coo one")
    with pytest.raises(TypeError, match=f"^{message}$"):
        rule.step()


RULES = {
    "SGD": SGD, "Momentum": Momentum, "Nesterov": Nesterov, "Adagrad": partial(Adagrad, lr_decay=0.1),
    "RMSProp": partial(RMSProp, momentum=0.5, centered=True), "Adam": partial(Adam, amsgrad=True), "AdamW": AdamW,
}  # fmt: skip


def moved(rule, parameters, steps=3, begin=0):
    for t in range(begin, begin + steps):
        for theta in parameters:
            theta.grad = torch.sin(theta.detach() + t)
        rule.step()
    return [theta.detach().clone() for theta in parameters]


def parameters():
    return [nn.Parameter(torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3)), nn.Parameter(torch.tensor(0.5))]


@pytest.mark.parametrize("name", RULES)
def test_states_of_older_torch_are_filled_in(name, close):
    ours = RULES[name](mine := parameters(), lr=0.1)
    moved(ours, mine)
    state = copy.deepcopy(ours.state_dict())
    for group in state["param_groups"]:
        for late in {"maximize", "decoupled_weight_decay"} & set(group):
            del group[late]
    for entry in state["state"].values():
        if "step" in entry:
            entry["step"] = int(entry["step"])
    other = RULES[name](others := [nn.Parameter(p.detach().clone()) for p in mine], lr=0.5)
    other.load_state_dict(state)
    assert other.param_groups[0]["maximize"] is False
    assert all(torch.is_tensor(entry["step"]) for entry in other.state.values() if "step" in entry)
    close(moved(other, others, 2, 3), moved(ours, mine, 2, 3))


def test_a_rule_stays_what_its_class_is(close):
    """Whatever the state says: Adam's in AdamW, the heavy ball's in Nesterov's form."""
    adam = Adam(mine := parameters(), lr=0.1, weight_decay=0.3)
    moved(adam, mine)
    adamw = AdamW(others := [nn.Parameter(p.detach().clone()) for p in mine])
    adamw.load_state_dict(copy.deepcopy(adam.state_dict()))
    twin = torch.optim.AdamW(theirs := [nn.Parameter(p.detach().clone()) for p in mine])
    twin.load_state_dict(copy.deepcopy(adam.state_dict()))
    close(moved(adamw, others, 2, 3), moved(twin, theirs, 2, 3))
    for kind, foreign, wrong in (
        (Nesterov, Momentum, "with nesterov=True, got nesterov=False"),
        (Momentum, Nesterov, "with nesterov=False, got nesterov=True"),
        (Adam, AdamW, "with decoupled_weight_decay=False, got decoupled_weight_decay=True"),
    ):
        with pytest.raises(ValueError, match=f"^state_dict must be of an optimizer {wrong}$"):
            kind(parameters()).load_state_dict(foreign(parameters()).state_dict())


def test_states_of_another_rule_are_refused_and_nothing_changes():
    rules = {name: make(parameters(), lr=0.1) for name, make in RULES.items()}
    for rule in rules.values():
        moved(rule, rule.param_groups[0]["params"])
    for name, foreign, message in (
        ("SGD", "Adam", "state_dict must hold nothing of each parameter, got exp_avg"),
        ("SGD", "Momentum", "momentum must be a number in [0, 0], got 0.9"),
        ("Momentum", "Adam", "state_dict must hold momentum in each group, got one of another optimizer"),
        ("Adam", "RMSProp", "state_dict must hold decoupled_weight_decay in each group, got one of"),
        ("RMSProp", "Adam", "state_dict must hold alpha in each group, got one of another optimizer"),
        ("Adagrad", "SGD", "state_dict must hold lr_decay in each group, got one of another optimizer"),
    ):
        before = copy.deepcopy(rules[name].state_dict())
        state = rules[foreign].state_dict()
        if (name, foreign) == ("Adam", "RMSProp"):
            message = "betas must be two numbers in [0, 1), got None"
        with pytest.raises((ValueError, TypeError), match="^" + re.escape(message)):
            rules[name].load_state_dict(state)
        torch.testing.assert_close(rules[name].state_dict(), before)
    state = copy.deepcopy(rules["Adam"].state_dict())
    del state["state"][0]["exp_avg_sq"]
    with pytest.raises(ValueError, match=r"^state_dict must hold exp_avg_sq of each parameter, got 'exp_avg'"):
        Adam(parameters(), amsgrad=True).load_state_dict(state)
    state = copy.deepcopy(rules["Momentum"].state_dict())
    state["state"][0]["momentum_buffer"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"^state_dict must hold momentum_buffer of shape \(2, 3\), got \(3,\)$"):
        Momentum(parameters()).load_state_dict(state)


def test_sgd_has_no_momentum_that_a_schedule_could_change():
    rule = SGD(parameters(), lr=0.1)
    assert "momentum" not in rule.param_groups[0]
    exported = rule.state_dict()["param_groups"][0]
    assert (exported["momentum"], exported["dampening"], exported["nesterov"]) == (0, 0, False)
    twin = torch.optim.SGD(parameters())
    twin.load_state_dict(rule.state_dict())
    moved(twin, twin.param_groups[0]["params"])
    rule.load_state_dict(twin.state_dict())
    assert "momentum" not in rule.param_groups[0]


def test_rate_may_be_a_tensor(close):
    for make in RULES.values():
        want = moved(make(a := parameters(), lr=0.25), a)
        close(moved(make(b := parameters(), lr=torch.tensor(0.25)), b), want)
    with pytest.raises(ValueError, match=r"^lr must be a number in \[0, inf\), got -1.0$"):
        SGD(parameters(), lr=torch.tensor(-1.0))
    with pytest.raises(TypeError, match=r"^lr must be a number"):
        SGD(parameters(), lr=torch.ones(2))


def test_nothing_moves_where_one_gradient_is_refused():
    table = nn.Embedding(4, 2, sparse=True)
    mine = [*parameters(), table.weight]
    rule = SGD(mine, lr=0.1)
    before = [theta.detach().clone() for theta in mine]
    mine[0].grad = torch.ones(2, 3, dtype=torch.float64)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(TypeError, match=r"^params must have dense gradients"):
        rule.step()
    torch.testing.assert_close([theta.detach() for theta in mine], before, rtol=0, atol=0)


def test_what_a_state_lacks_is_said_in_full():
    theta = torch.nn.Parameter(torch.ones(2))
    rule = Adam([theta])
    rule.state[theta] = {"step": torch.tensor(1.0), "exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2)}
    kept = rule.state_dict()
    kept["state"][0]["other"] = torch.ones(2)
    names = "step, exp_avg, exp_avg_sq, max_exp_avg_sq"
    with pytest.raises(ValueError, match=f"^state_dict must hold {names} of each parameter, got other$"):
        rule.load_state_dict(kept)
    del kept["state"][0]["other"], kept["state"][0]["exp_avg_sq"]
    with pytest.raises(ValueError, match=r"^state_dict must hold exp_avg_sq of each parameter, got 'step', 'exp_avg'$"):
        rule.load_state_dict(kept)


def test_steps_are_counted_from_zero_in_single_precision():
    """Older states have them as plain numbers."""
    theta = torch.nn.Parameter(torch.ones(2))
    rule = Adam([theta])
    theta.grad = torch.ones(2)
    rule.step()
    assert rule.state[theta]["step"].item() == 1
    kept = rule.state_dict()
    for value in (7, 7.0):
        kept["state"][0]["step"] = value
        rule.load_state_dict(kept)
        assert rule.state[theta]["step"].dtype == torch.float32
        assert rule.state[theta]["step"].item() == 7
