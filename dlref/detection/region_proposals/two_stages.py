"""A small detector in two stages, after Faster R-CNN.

Shape legend: B pictures, C channels, H W their rows and columns; A shapes of anchor,
R S rows and columns of the map; N regions, M objects, K classes.
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref.detection.localization.boxes import box_iou, clip_boxes_to_image
from dlref.detection.region_proposals.pooling import roi_align, roi_pool
from dlref.detection.region_proposals.proposals import (
    ProposalHead,
    anchor_boxes,
    decode_boxes,
    encode_boxes,
    flat,
    match_anchors,
    region_proposals,
    sample_anchors,
)
from dlref.detection.yolo.grid import Detections, grid_network
from dlref.detection.yolo.suppression import batched_nms

__all__ = ["FirstLook", "TwoStageDetector", "TwoStageLosses", "object_targets"]


class FirstLook(NamedTuple):
    """What the first stage gives.

    Attributes:
        features: the map that both stages read.
        answers: for each anchor a logit, and what is to be done to it.

    Source:
        See :class:`TwoStageDetector`.

    Example:
        >>> FirstLook(torch.zeros(1, 64, 8, 8), torch.zeros(1, 192, 5)).answers.shape
        torch.Size([1, 192, 5])
    """

    features: Float[Tensor, "B C R S"]
    answers: Float[Tensor, "B N 5"]


class TwoStageLosses(NamedTuple):
    """The four losses of a batch: two over the drawn anchors, two over the regions.

    Attributes:
        presence: first stage, cross-entropy of whether an anchor holds something.
        proposal: first stage, error of what is to be done to anchors that hold
            something, divided by the number of all that were drawn.
        label: second stage, cross-entropy of the class, "nothing" among them.
        box: second stage, error of what is to be done to regions that hold something,
            divided by the number of all regions.

    Source:
        Ren, He, Girshick & Sun (2015), arXiv:1506.01497, equation 1; Girshick (2015),
        arXiv:1504.08083, equation 1.

    Example:
        >>> TwoStageLosses(*torch.ones(4)).label
        tensor(1.)
    """

    presence: Float[Tensor, ""]
    proposal: Float[Tensor, ""]
    label: Float[Tensor, ""]
    box: Float[Tensor, ""]


def object_targets(
    boxes: Sequence[Float[Tensor, "_ 4"]], labels: Sequence[Int[Tensor, " _"]]
) -> Float[Tensor, "B M 5"]:
    """The objects of pictures in one tensor, as many rows as the fullest has.

    Args:
        boxes: for each picture (_, 4), xyxy in pixels.
        labels: for each picture (_,), from 0 on.

    Returns:
        (B, M, 5) box and label, in single precision at least; -1 in rows without an
        object, of which there is one at least if no picture has an object.

    Raises:
        TypeError: if a box is no floating-point tensor, or a label no whole number.
        ValueError: if there are not as many labels as boxes, a label is below 0, or a
            box is not finite.

    Source:
        This book.

    Example:
        >>> box, label = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([7])
        >>> object_targets([box, box[:0]], [label, label[:0]]).tolist()
        [[[1.0, 2.0, 3.0, 4.0, 7.0]], [[-1.0, -1.0, -1.0, -1.0, -1.0]]]
    """
    if len(boxes) != len(labels):
        raise ValueError(
            f"labels must be as many as boxes, {len(boxes)}, got {len(labels)}"
        )
    for box in boxes:
        _check.tensor("boxes", box, "objects four", four=4, empty=True)
    dtype = reduce(torch.promote_types, (b.dtype for b in boxes), torch.float32)
    rows = max([1, *map(len, boxes)])
    target = torch.full((len(boxes), rows, 5), -1.0, dtype=dtype)
    for row, box, label in zip(target, boxes, labels, strict=True):
        if label.is_floating_point() or label.dtype == torch.bool:
            got = _check.describe(label)
            raise TypeError(f"labels must hold whole numbers, got {got}")
        if len(box) != len(label) or (label < 0).any():
            raise ValueError(
                f"labels must be one a box, {len(box)} in a picture, from 0 on, got "
                f"{label.tolist()}"
            )
        if not box.isfinite().all():
            raise ValueError(f"boxes must be finite, got {box.tolist()}")
        row[: len(box), :4], row[: len(box), 4] = box, label
    return target


class TwoStageDetector(nn.Module):
    """First where something may be, then a second look at each such region.

    One map of features is made of the whole picture, with the layers of
    :func:`~dlref.detection.yolo.grid.grid_network`. The first stage reads regions off
    it; the second cuts the features of each region out of it, names the region or calls
    it nothing, and corrects its box, once for all classes.

    Args:
        classes: K.
        anchors: (A, 2) width and height in pixels.
        width: channels of the first convolution.
        in_channels: of the pictures.
        pooling: ``"align"`` or ``"pool"``, how features are cut out.
        output_size: places a side of the features of a region.
        hidden: units of the layer between features and answers.
        proposals: regions a picture that get a second look.
        samples: anchors a picture that the first stage learns from.

    Shape:
        (B, in_channels, H, W), with sides that 8 divides, to :class:`FirstLook`.

    Raises:
        TypeError: if a number is of another type.
        ValueError: if one is below 1, or there is no such pooling.

    Source:
        After Ren, He, Girshick & Sun (2015), arXiv:1506.01497; trained in one run.

    Example:
        >>> net = TwoStageDetector(10, torch.tensor([[12.0, 18.0], [18.0, 18.0]]))
        >>> net(torch.zeros(2, 3, 64, 64)).answers.shape
        torch.Size([2, 128, 5])
    """

    STRIDE = 8

    def __init__(
        self,
        classes: int,
        anchors: Float[Tensor, "A 2"],
        *,
        width: int = 16,
        in_channels: int = 3,
        pooling: str = "align",
        output_size: int = 5,
        hidden: int = 128,
        proposals: int = 20,
        samples: int = 64,
    ) -> None:
        super().__init__()
        self.classes = _check.integer("classes", classes, 1)
        _check.tensor("anchors", anchors, "A two", two=2)
        self.pooling = _check.one_of("pooling", pooling, ("align", "pool"))
        self.output_size = _check.integer("output_size", output_size, 1)
        self.proposals = _check.integer("proposals", proposals, 1)
        self.samples = _check.integer("samples", samples, 1)
        hidden = _check.integer("hidden", hidden, 1)
        self.anchors: Tensor
        self.register_buffer("anchors", anchors.clone())
        whole = grid_network(1, width=width, in_channels=in_channels)
        self.backbone = whole[:-2]
        self.propose = ProposalHead(4 * width, len(anchors))
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(4 * width * output_size**2, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
        )
        self.name = nn.Linear(hidden, classes + 1)  # the last is "nothing"
        self.correct = nn.Linear(hidden, 4)

    def forward(self, images: Float[Tensor, "B _ H W"]) -> FirstLook:
        """The first look: features, and the answers for each anchor."""
        if any(side % self.STRIDE for side in images.shape[2:]):
            raise ValueError(
                f"images must have sides that {self.STRIDE} divides, got "
                f"{_check.describe(images)}"
            )
        features = self.backbone(images)
        return FirstLook(features, flat(self.propose(features)))

    def regions(self, look: FirstLook) -> list[Detections]:
        """The regions that get a second look."""
        size, anchors = self._places(look)
        return region_proposals(look.answers, anchors, size, count=self.proposals)

    def second_look(
        self, features: Float[Tensor, "B C R S"], boxes: Sequence[Float[Tensor, "_ 4"]]
    ) -> tuple[Float[Tensor, "N classes"], Float[Tensor, "N 4"]]:
        """Logits of the classes and of "nothing", and what is to be done to the box."""
        cut = _align if self.pooling == "align" else roi_pool
        parts = cut(features, boxes, self.output_size, 1 / self.STRIDE)
        hidden = self.hidden(parts)
        return self.name(hidden), self.correct(hidden)

    def losses(self, look: FirstLook, target: Float[Tensor, "B M 5"]) -> TwoStageLosses:
        """The four losses; which anchors are asked is drawn at random.

        Args:
            look: what the network gave.
            target: what :func:`object_targets` gives.

        Raises:
            ValueError: if the target has another shape, or labels above those of the
                network; in training also if the batch has one region only.
        """
        _check.tensor("target", target, "B M five", B=len(look.answers), five=5)
        if target[:, :, 4].max() >= self.classes:
            raise ValueError(
                f"target must have labels up to {self.classes - 1}, got "
                f"{target[:, :, 4].max():.0f}"
            )
        objects, there = target[:, :, :4], target[:, :, 4] >= 0
        _, anchors = self._places(look)
        overlap = box_iou(objects.flatten(0, 1), anchors).unflatten(0, there.shape)
        overlap = torch.where(there[:, :, None], overlap, 0)
        owner = match_anchors(overlap, 0.7, 0.3)
        asked = sample_anchors(owner, self.samples).to(look.answers)
        right = (owner >= 0).to(asked)
        presence = F.binary_cross_entropy_with_logits(
            look.answers[:, :, 0], right, asked, reduction="sum"
        )
        holds = (asked * right).bool()
        own = objects[torch.arange(len(objects))[:, None], owner.clamp(min=0)]
        of_anchor = anchors.expand(len(objects), -1, -1)
        proposal = _box_error(
            look.answers[:, :, 1:][holds], own[holds], of_anchor[holds]
        )
        number = asked.sum().clamp(min=1)
        return TwoStageLosses(
            presence / number, proposal / number, *self._second_losses(look, target)
        )

    def _second_losses(self, look: FirstLook, target: Tensor) -> tuple[Tensor, Tensor]:
        boxes, labels, own = [], [], []
        for region, objects in zip(self.regions(look), target, strict=True):
            known = objects[objects[:, 4] >= 0]
            box = torch.cat((region.boxes, known[:, :4]))  # the objects themselves too
            owner = match_anchors(
                box_iou(known[:, :4], box), 0.5, 0.5, every_object=False
            )
            boxes.append(box)
            nothing = known.new_tensor([[0, 0, 1, 1, self.classes]])
            mine = torch.cat((known, nothing))[owner]
            labels.append(mine[:, 4].long())
            own.append(mine[:, :4])
        named, deltas = self.second_look(look.features, boxes)
        label = torch.cat(labels)
        there = label < self.classes
        box = _box_error(deltas[there], torch.cat(own)[there], torch.cat(boxes)[there])
        number = max(len(label), 1)
        return F.cross_entropy(named, label, reduction="sum") / number, box / number

    @torch.no_grad()
    def detect(
        self,
        images: Float[Tensor, "B _ H W"],
        *,
        score_threshold: float = 0.001,
        iou_threshold: float = 0.5,
    ) -> list[Detections]:
        """What is in each picture, from the highest score to the lowest.

        A region may be reported under several names. Call ``eval()`` before.

        Args:
            images: (B, in_channels, H, W).
            score_threshold: what is scored this or less is left out.
            iou_threshold: see :func:`~dlref.detection.yolo.suppression.batched_nms`.
        """
        look = self(images)
        size, _ = self._places(look)
        regions = [region.boxes for region in self.regions(look)]
        named, deltas = self.second_look(look.features, regions)
        boxes = decode_boxes(deltas, torch.cat(regions))
        boxes = clip_boxes_to_image(boxes, size)
        scores = named.softmax(1)[:, :-1]
        counts = [len(r) for r in regions]
        found = []
        for box, score in zip(boxes.split(counts), scores.split(counts), strict=True):
            number, label = (score > score_threshold).nonzero().unbind(1)
            box, score = box[number], score[number, label]
            kept = batched_nms(box, score, label, iou_threshold)
            found.append(Detections(box[kept], label[kept], score[kept]))
        return found

    def _places(self, look: FirstLook) -> tuple[tuple[int, int], Tensor]:
        """Height and width of the pictures, and the anchors in them."""
        rows, columns = look.features.shape[2:]
        size = rows * self.STRIDE, columns * self.STRIDE
        return size, anchor_boxes(size, (rows, columns), self.anchors)


def _align(
    features: Tensor, boxes: Sequence[Tensor], output_size: int, spatial_scale: float
) -> Tensor:
    return roi_align(
        features, boxes, output_size, spatial_scale, sampling_ratio=2, aligned=True
    )


def _box_error(deltas: Tensor, boxes: Tensor, anchors: Tensor) -> Tensor:
    wanted = encode_boxes(boxes, anchors)
    return F.smooth_l1_loss(deltas, wanted, reduction="sum", beta=1 / 9)
