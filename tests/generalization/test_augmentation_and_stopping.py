"""Mirrors dlref/generalization/augmentation_and_stopping.py."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlref.generalization import (
    ColorJitter,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    Standardize,
    affine_matrix,
    transform,
)

DOUBLE = torch.float64
LAYERS = {
    "flip": RandomHorizontalFlip,
    "crop": lambda: RandomCrop(2),
    "affine": lambda: RandomAffine(20.0, 0.1, (0.8, 1.2), 10.0),
    "colour": lambda: ColorJitter(0.5, 0.5, 0.5),
}


def pictures(size=6, channels=3, height=9, width=9, dtype=DOUBLE):
    return torch.rand(size, channels, height, width, generator=torch.Generator().manual_seed(0), dtype=dtype)


def numbers(*values):
    return torch.tensor(values, dtype=DOUBLE)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_each_picture_its_own_way_in_training_and_none_in_evaluation(kind, dtype):
    x = pictures(1, dtype=dtype).repeat(12, 1, 1, 1)
    layer = LAYERS[kind]()
    torch.manual_seed(0)
    first = layer(x)
    torch.manual_seed(0)
    again = layer(x)
    assert torch.equal(first, again)
    assert first.shape == x.shape
    assert first.dtype == dtype
    assert len({tuple(picture.flatten().tolist()) for picture in first}) >= 2
    assert layer.eval()(x) is x


def test_flip_mirrors_about_as_often_as_told(close):
    x = pictures(2000, 1, 2, 3)
    mirrored = (RandomHorizontalFlip(0.3)(x) == x.flip(3)).flatten(1).all(1)
    assert mirrored.double().mean().item() == pytest.approx(0.3, abs=0.04)
    close(RandomHorizontalFlip(1.0)(x), x.flip(3))
    close(RandomHorizontalFlip(0.0)(x), x)
    assert RandomHorizontalFlip().p == 0.5


def test_crops_are_shifts_and_all_of_them_occur():
    x = pictures(3000, 2, 4, 5)
    cropped = RandomCrop(1, fill=7.0)(x)
    padded = nn.functional.pad(x, [1] * 4, value=7.0)
    seen = np.zeros(9)
    for i, (top, left) in enumerate((t, left) for t in range(3) for left in range(3)):
        seen[i] = (cropped == padded[:, :, top : top + 4, left : left + 5]).flatten(1).all(1).sum().item()
    assert seen.sum() == 3000
    assert seen.min() > 3000 / 9 * 0.8
    assert RandomCrop(1).fill == 0


@pytest.mark.verifies("eq-affine")
@given(st.floats(-180, 180), st.floats(0.5, 2), st.floats(-60, 60))
def test_matrix_is_scale_times_turn_times_shear(degrees, scale, shear):
    phi, psi = math.radians(degrees), math.radians(shear)
    turn = np.array([[math.cos(phi), -math.sin(phi)], [math.sin(phi), math.cos(phi)]])
    expected = scale * turn @ [[1, math.tan(psi)], [0, 1]]
    shift = numbers(0.3, -0.2)[None]
    found = affine_matrix(numbers(degrees), translate=shift, scale=numbers(scale), shear=numbers(shear))
    np.testing.assert_allclose(found[0, :, :2], expected, atol=1e-12)
    np.testing.assert_allclose(found[0, :, 2], [0.3, -0.2])


def test_matrix_of_nothing_is_the_identity(close):
    close(affine_matrix(torch.zeros(3, dtype=DOUBLE)), torch.eye(2, 3, dtype=DOUBLE).repeat(3, 1, 1))


@given(st.floats(-40, 40), st.floats(0.8, 1.5), st.floats(-20, 20), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_transform_is_scipys(degrees, scale, shear, across, down):
    """SciPy maps places of the result, as (row, column) in pixels, to places of the input."""
    x = pictures(1, 1, 11, 11)
    matrix = affine_matrix(
        numbers(degrees), translate=numbers(across, down)[None], scale=numbers(scale), shear=numbers(shear)
    )
    back = np.linalg.inv(matrix[0, :, :2].numpy())[::-1, ::-1]
    shift = matrix[0, :, 2].numpy()[::-1] * 5.5
    centre = np.array([5.0, 5.0])
    theirs = ndimage.affine_transform(
        np.pad(x[0, 0].numpy(), 3), back, centre - back @ (centre + shift) + 3, output_shape=(11, 11), order=1
    )
    np.testing.assert_allclose(transform(x, matrix)[0, 0], theirs, atol=1e-9)


def test_fill_comes_in_from_outside(close):
    x = pictures(1, 1, 8, 8)
    gone = transform(x, affine_matrix(numbers(0.0), translate=numbers(4.0, 0.0)[None]), fill=0.25)
    close(gone, torch.full_like(x, 0.25))
    right = transform(x, affine_matrix(numbers(0.0), translate=numbers(0.25, 0.0)[None]), fill=9.0)
    close(right[..., 1:], x[..., :-1])
    close(right[..., 0], torch.full((1, 1, 8), 9.0, dtype=DOUBLE))
    close(transform(x + 1, affine_matrix(numbers(0.0))), x + 1)


def test_affine_stays_within_its_bounds(monkeypatch):
    seen = []

    def spy(degrees, **others):
        seen.append((degrees, others))
        return affine_matrix(degrees, **others)

    monkeypatch.setattr("dlref.generalization.augmentation_and_stopping.affine_matrix", spy)
    x = pictures(5000, 1, 2, 2)
    RandomAffine(30.0, 0.2, (0.5, 1.5), 12.0)(x)
    (degrees, others), expected = seen[0], {"scale": (0.5, 1.5), "shear": (-12, 12)}
    for values, (low, high) in [(degrees, (-30, 30)), *((others[k], v) for k, v in expected.items())]:
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
    for axis in (0, 1):
        shift = others["translate"][:, axis]
        assert -0.4 <= shift.min() < -0.39
        assert 0.39 < shift.max() <= 0.4
    assert abs(np.corrcoef(others["translate"].T)[0, 1]) < 0.05


def test_affine_without_arguments_moves_nothing(close):
    x = pictures()
    close(RandomAffine()(x), x)
    outside = RandomAffine(translate=1.0, fill=5.0)(pictures(50))
    assert outside.max().item() == pytest.approx(5)
    assert RandomAffine().fill == 0


@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation"])
def test_colour_changes_what_it_says(kind, close):
    x = pictures(400, 3, 4, 4) * 0.4 + 0.3
    weights = numbers(0.299, 0.587, 0.114)[None, :, None, None]
    y = ColorJitter(**{kind: 0.2})(x)
    grey, grey_after = (x * weights).sum(1, keepdim=True), (y * weights).sum(1, keepdim=True)
    base = {"brightness": 0 * x, "contrast": grey.mean((2, 3), keepdim=True) + 0 * x, "saturation": grey + 0 * x}[kind]
    factor = (y - base).flatten(1).norm(dim=1) / (x - base).flatten(1).norm(dim=1)
    close(y, base + (x - base) * factor[:, None, None, None], rtol=1e-8, atol=1e-8)
    assert 0.8 <= factor.min() < 0.81
    assert 1.19 < factor.max() <= 1.2
    if kind == "saturation":
        close(grey_after, grey)


def test_colours_stay_in_range_and_grey_stays_grey(close):
    x = pictures(100)
    y = ColorJitter(1.0, 1.0, 1.0)(x)
    assert y.min() >= 0
    assert y.max() <= 1
    grey = pictures(20, 1).repeat(1, 3, 1, 1)
    found = ColorJitter(0.5, 0.5, 0.5)(grey)
    close(found[:, 0], found[:, 2])
    close(ColorJitter()(x), x)


@pytest.mark.verifies("eq-standardize")
def test_standardize_is_scikit_learns():
    rng = np.random.default_rng(0)
    train, test = rng.normal(5, 3, size=(40, 4)), rng.normal(9, 1, size=(10, 4))
    theirs = StandardScaler().fit(train)
    ours = Standardize().fit(torch.tensor(train))
    for part in (train, test):
        np.testing.assert_allclose(ours(torch.tensor(part)), theirs.transform(part))
    assert abs(ours(torch.tensor(test)).mean()) > 0.5  # a shifted test set does not end at mean 0


def test_constant_feature_becomes_zero_and_state_is_kept(close):
    x = torch.tensor([[1.0, 4.0], [1.0, 6.0]])
    layer = Standardize().fit(x)
    close(layer(x), torch.tensor([[0.0, -1.0], [0.0, 1.0]]))
    assert list(layer.state_dict()) == ["mean", "std"]
    assert not list(layer.parameters())
    close(Standardize(eps=2.0).fit(x).std, torch.tensor([1.0, 2.0]))
    assert Standardize().eps == 1e-8


@pytest.mark.verifies("eq-early-stopping")
def test_stopped_descent_is_a_filter_of_curvatures(close):
    torch.manual_seed(0)
    A = torch.randn(20, 5, dtype=DOUBLE)
    H, best = A.T @ A, torch.randn(5, dtype=DOUBLE)
    h, Q = torch.linalg.eigh(H)
    w, lr = torch.zeros(5, dtype=DOUBLE), 0.5 / h[-1].item()
    for _ in range(7):
        w = w - lr * H @ (w - best)
    close(Q.T @ w, (1 - (1 - lr * h) ** 7) * (Q.T @ best))


X = torch.zeros(2, 3, 4, 4)
REFUSED = {
    "degrees": (affine_matrix, ([1.0],), TypeError, "degrees must be a torch.Tensor of shape (B), got [1.0] (list)"),
    "translate": (
        lambda: affine_matrix(torch.zeros(2), translate=torch.zeros(2, 3)), (), ValueError,
        "translate must have shape (B=2, xy=2), got torch.float32 tensor of shape (2, 3)",
    ),
    "scale": (lambda: affine_matrix(torch.zeros(2), scale=torch.zeros(3)), (), ValueError, "scale must have shape (B="),
    "shear": (lambda: affine_matrix(torch.zeros(2), shear=torch.zeros(3)), (), ValueError, "shear must have shape (B="),
    "pictures": (transform, (X[0], torch.zeros(2, 2, 3)), ValueError, "x must have shape (B, C, H, W), got torch.floa"),
    "matrix": (transform, (X, torch.zeros(3, 2, 3)), ValueError, "matrix must have shape (B=2, two=2, three=3), got"),
    "flat": (transform, (X, torch.zeros(2, 2, 3)), ValueError, "matrix must be invertible, got one with determinant 0"),
    "flip": (RandomHorizontalFlip, (2.0,), ValueError, "p must be a number in [0, 1], got 2.0"),
    "padding": (RandomCrop, (0,), ValueError, "padding must be an integer >= 1, got 0"),
    "fill": (lambda: RandomCrop(1, fill=math.nan), (), ValueError, "fill must be a number in (-inf, inf), got nan"),
    "turn": (RandomAffine, (181.0,), ValueError, "degrees must be a number in [0, 180], got 181.0"),
    "shift": (RandomAffine, (0.0, 1.5), ValueError, "translate must be a number in [0, 1], got 1.5"),
    "small": (RandomAffine, (0.0, 0.0, (0.0, 1.0)), ValueError, "scale must be a number in (0, inf), got 0.0"),
    "order": (RandomAffine, (0.0, 0.0, (1.2, 1.0)), ValueError, "scale must be a number in [1.2, inf), got 1.0"),
    "slant": (RandomAffine, (0.0, 0.0, (1.0, 1.0), 90.0), ValueError, "shear must be a number in [0, 90), got 90.0"),
    "affine fill": (lambda: RandomAffine(fill=math.inf), (), ValueError, "fill must be a number in (-inf, inf), go"),
    "brightness": (ColorJitter, (1.5,), ValueError, "brightness must be a number in [0, 1], got 1.5"),
    "contrast": (ColorJitter, (0.0, 1.5), ValueError, "contrast must be a number in [0, 1], got 1.5"),
    "saturation": (ColorJitter, (0.0, 0.0, -0.5), ValueError, "saturation must be a number in [0, 1], got -0.5"),
    "grey": (ColorJitter(), (X[:, :1],), ValueError, "x must have shape (B, three=3, H, W), got torch.float32 tensor"),
    "eps": (Standardize, (0.0,), ValueError, "eps must be a number in (0, inf), got 0.0"),
    "unfitted": (Standardize(), (torch.ones(2, 2),), RuntimeError, "fit must be called before, got a layer without st"),
    "fit": (Standardize().fit, (torch.ones(2),), ValueError, "x must have shape (B, N), got torch.float32 tensor of"),
    "features": (
        Standardize().fit(torch.ones(2, 2)), (torch.ones(2, 3),), ValueError, "x must have shape (B, N=2), got torch."
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


@pytest.mark.parametrize("kind", LAYERS)
def test_pictures_have_four_axes(kind, refuses):
    refuses(LAYERS[kind](), (X[0],), ValueError, "x must have shape (B, ")


def test_standardize_loads_its_own_state(close):
    x = torch.randn(9, 4)
    fitted, fresh = Standardize().fit(x), nn.Sequential(nn.Identity(), Standardize())
    fresh.load_state_dict({f"1.{name}": value for name, value in fitted.state_dict().items()})
    close(fresh(x), fitted(x))
    other = Standardize().fit(torch.randn(5, 2))
    other.load_state_dict(fitted.state_dict())
    close(other(x), fitted(x))
    with pytest.raises(RuntimeError, match="Missing key"):
        Standardize().load_state_dict({"mean": torch.zeros(2)})


@pytest.mark.parametrize("value", [0.1, -1e6, 1e-20])
def test_feature_that_never_varies_becomes_exactly_zero(value):
    """The mean of a thousand equal numbers is not that number."""
    x = torch.full((1000, 1), value)
    layer = Standardize().fit(x)
    assert not layer(x).any()
    assert layer(x + 1).allclose(torch.ones(1), atol=0.1)


def test_settings_are_shown():
    assert repr(Standardize(0.5)) == "Standardize(eps=0.5)"
    assert repr(RandomHorizontalFlip(0.2)) == "RandomHorizontalFlip(p=0.2)"
    assert repr(RandomCrop(2, fill=1.0)) == "RandomCrop(padding=2, fill=1.0)"
    shown = "degrees=9.0, translate=0.1, scale=(0.5, 2.0), shear=3.0, fill=1.0"
    assert repr(RandomAffine(9.0, 0.1, (0.5, 2.0), 3.0, fill=1.0)) == f"RandomAffine({shown})"
    assert repr(ColorJitter(0.1, 0.2, 0.3)) == "ColorJitter(brightness=0.1, contrast=0.2, saturation=0.3)"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_pictures_in_half_precision_are_moved(dtype):
    x, matrix = torch.rand(2, 1, 5, 5), affine_matrix(torch.tensor([20.0, 90.0]))
    moved = transform(x.to(dtype), matrix)
    assert moved.dtype == dtype
    torch.testing.assert_close(moved.float(), transform(x, matrix), rtol=3e-2, atol=3e-2)
