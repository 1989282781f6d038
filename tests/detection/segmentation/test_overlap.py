"""Mirrors dlref/detection/segmentation/overlap.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import dice as scipy_dice
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score
from torch.autograd import gradcheck

from dlref.detection import class_iou, dice, dice_loss, mean_iou, pixel_counts


def masks(seed: int, classes: int = 4, shape: tuple[int, ...] = (2, 5, 6)):
    """Predicted and true classes; often some class is in neither."""
    rng = np.random.default_rng(seed)
    few = rng.integers(1, classes + 1)
    return tuple(torch.tensor(rng.integers(0, few, shape)) for _ in range(2))


@pytest.mark.verifies("eq-pixel-iou")
@given(st.integers(0, 2**31))
def test_measures_are_scikit_learns(seed):
    made, true = masks(seed)
    counts = pixel_counts(made, true, 4)
    flat = true.flatten().numpy(), made.flatten().numpy()
    assert counts.tolist() == confusion_matrix(*flat, labels=range(4)).tolist()
    occurs = [k for k in range(4) if (true == k).any() or (made == k).any()]
    settings = {"labels": occurs, "average": None}
    assert np.isfinite(class_iou(counts)).nonzero()[0].tolist() == occurs
    np.testing.assert_allclose(class_iou(counts)[occurs], jaccard_score(*flat, **settings))
    np.testing.assert_allclose(dice(counts)[occurs], f1_score(*flat, **settings))
    assert mean_iou(counts) == pytest.approx(jaccard_score(*flat, **settings).mean())
    iou = class_iou(counts)
    np.testing.assert_allclose(dice(counts), 2 * iou / (1 + iou))


def test_counts_of_pictures_add_up():
    made, true = masks(3)
    each = [pixel_counts(m, t, 4) for m, t in zip(made, true, strict=True)]
    assert (sum(each) == pixel_counts(made, true, 4)).all()


def test_ignored_pixels_do_not_count():
    made, true = torch.tensor([0, 1, 7, 1]), torch.tensor([0, -100, -100, 1])
    assert pixel_counts(made, true, 2).tolist() == [[1, 0], [0, 1]]
    assert pixel_counts(torch.tensor([0, 1]), torch.tensor([0, 5]), 2, ignore_index=5).tolist() == [[1, 0], [0, 0]]


def test_fact_of_a_small_object_that_is_missed():
    counts = np.array([[96, 0], [4, 0]])
    assert counts.diagonal().sum() / counts.sum() == 0.96
    assert mean_iou(counts) == pytest.approx(0.48)


def test_fact_of_a_mean_of_pictures_and_a_mean_of_pixels():
    """Of one class: 90 of 100 in one picture, 1 of 10 in another."""
    pictures = [np.array([[0, 0], [10, 90]]), np.array([[0, 0], [9, 1]])]
    each = [class_iou(p)[1] for p in pictures]
    assert np.mean(each) == pytest.approx(0.5)
    assert class_iou(sum(pictures))[1] == pytest.approx(0.827, abs=5e-4)


def test_fact_of_an_absent_class():
    counts = np.array([[90, 0, 0], [10, 15, 0], [0, 0, 0]])
    found = class_iou(counts)
    assert found[:2] == pytest.approx([0.9, 0.6])
    assert np.isnan(found[2])
    assert mean_iou(counts) == pytest.approx(0.75)
    assert np.nan_to_num(found, nan=0).mean() == pytest.approx(0.5)
    assert np.nan_to_num(found, nan=1).mean() == pytest.approx(0.833, abs=5e-4)
    assert np.isnan(mean_iou(np.zeros((2, 2), int)))


def sure(mask, classes: int = 2):
    return 200 * torch.nn.functional.one_hot(mask, classes).movedim(-1, 1).double()


def test_fact_of_one_pixel_too_many():
    none = torch.zeros(1, 3, 3, dtype=torch.int64)
    one = none.clone()
    one[0, 1, 1] = 1

    def of_object(output, target):
        """The loss is a mean over two classes; the other one by hand."""
        other = (2 * 8 + 1) / (9 + 8 + 1) if not torch.equal(output.argmax(1), target) else 1.0
        return 2 * (1 - dice_loss(output, target).item()) - other

    assert of_object(sure(none), none) == pytest.approx(1)
    assert of_object(sure(one), none) == pytest.approx(0.5)
    assert of_object(sure(none), one) == pytest.approx(0.5)


@pytest.mark.verifies("eq-dice-loss")
@given(st.integers(0, 2**31))
def test_hard_masks_have_scipys_dice(seed):
    made, true = masks(seed, classes=3)
    loss = dice_loss(sure(made, 3), true, smooth=1e-9)
    each = []
    for m, t in zip(made, true, strict=True):
        for k in range(3):
            one, other = (m == k).flatten().numpy(), (t == k).flatten().numpy()
            each.append(1 - scipy_dice(one, other) if one.any() or other.any() else 1.0)
    assert loss.item() == pytest.approx(1 - np.mean(each))


def test_soft_masks_by_hand():
    output = torch.tensor([[[[0.0, 1.0]], [[2.0, 0.0]]]], dtype=torch.float64)
    target = torch.tensor([[[0, 1]]])
    p = output.softmax(1)[0, :, 0]
    parts = [
        (2 * p[k, k] + 0.3) / (p[k].sum() + 1 + 0.3)  # each class has one pixel, its own
        for k in range(2)
    ]
    assert dice_loss(output, target, smooth=0.3).item() == pytest.approx(1 - sum(parts).item() / 2)
    assert dice_loss(output, target).item() == dice_loss(output, target, smooth=1.0).item()


def test_gradients():
    output = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 3, (2, 4, 5))
    assert gradcheck(lambda o: dice_loss(o, target), output)


ONE = torch.zeros(1, 2, 2, dtype=torch.int64)
OUTPUT = torch.zeros(1, 2, 2, 2)


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (pixel_counts, (ONE.float(), ONE, 2), TypeError, "prediction must hold whole numbers, got torch.float32"),
        (pixel_counts, (ONE, ONE.float(), 2), TypeError, "target must hold whole numbers, got torch.float32"),
        (pixel_counts, (ONE, ONE[0], 2), ValueError, "prediction must have the shape of target, (2, 2), got"),
        (pixel_counts, (ONE + 2, ONE, 2), ValueError, "prediction must be in [0, 1], got 2 to 2"),
        (pixel_counts, (ONE - 1, ONE, 2), ValueError, "prediction must be in [0, 1], got -1 to -1"),
        (pixel_counts, (ONE, ONE + 2, 2), ValueError, "target must be in [0, 1], got 2 to 2"),
        (pixel_counts, (ONE, ONE, 0), ValueError, "num_classes must be an integer >= 1, got 0"),
        (class_iou, (np.zeros((2, 3), int),), ValueError, "counts must be a square table, got"),
        (dice, (np.zeros(3, int),), ValueError, "counts must be a square table, got"),
        (dice_loss, (OUTPUT[0], ONE), ValueError, "output must have shape (B, K, H, W), got"),
        (dice_loss, (OUTPUT, ONE[0]), ValueError, "target must be whole numbers of shape (1, 2, 2), got"),
        (
            dice_loss,
            (OUTPUT, ONE.float()),
            ValueError,
            "target must be whole numbers of shape (1, 2, 2), got torch.float32",
        ),
    ],
)
def test_bad_input_is_refused(refuses, function, arguments, error, message):
    refuses(function, arguments, error, message)


def test_smoothing_below_zero_is_refused():
    with pytest.raises(ValueError, match=r"^smooth must be a number in \[0, inf\), got -1.0"):
        dice_loss(OUTPUT, ONE, smooth=-1.0)


def test_counts_may_be_shares():
    counts = np.array([[90.0, 5], [10, 15]])
    np.testing.assert_allclose(class_iou(counts / counts.sum()), class_iou(counts))
    np.testing.assert_allclose(dice(counts / counts.sum()), dice(counts))
    assert mean_iou(counts / counts.sum()) == pytest.approx(mean_iou(counts))


def test_small_types_do_not_wrap():
    target = torch.tensor([156, 0], dtype=torch.uint8)  # -100 as eight bits
    assert pixel_counts(target, target, 200).sum() == 2
    unnamed = torch.tensor([-1, 0], dtype=torch.int8)  # 255 as eight bits
    with pytest.raises(ValueError, match=r"^target must be in \[0, 1\], got -1 to 0$"):
        pixel_counts(torch.tensor([0, 0]), unnamed, 2, ignore_index=255)


def test_loss_leaves_unnamed_pixels_out():
    torch.manual_seed(0)
    output, target = torch.randn(2, 3, 4, 6), torch.randint(0, 3, (2, 4, 6))
    partly = target.clone()
    partly[:, :, 4:] = 255
    expected = dice_loss(output[..., :4], target[..., :4])
    torch.testing.assert_close(dice_loss(output, partly, ignore_index=255), expected)
    partly[partly == 255] = -100
    torch.testing.assert_close(dice_loss(output, partly), expected)


def test_loss_of_half_precision_does_not_overflow():
    output = torch.zeros(1, 2, 256, 256)
    target = torch.zeros(1, 256, 256, dtype=torch.int64)
    for dtype in (torch.float16, torch.bfloat16):
        made = dice_loss(output.to(dtype), target)
        assert made.dtype == dtype
        torch.testing.assert_close(made.float(), dice_loss(output, target), rtol=1e-2, atol=1e-2)


def test_without_smoothing_an_absent_class_has_no_value():
    sure = torch.tensor([[[[200.0]], [[-200.0]]]])
    assert dice_loss(sure, torch.zeros(1, 1, 1).long(), smooth=0.0).isnan()
