"""Mirrors dlref/plot/drawing.py; with it ``_graph``, ``_layout``, ``_sizes`` and ``_pen``, which it is made of."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Circle, FancyBboxPatch
from torch import nn

from dlref import plot
from dlref.convnets import BasicBlock, Bottleneck, Inception, SmallResNet, lenet5, resnet18
from dlref.count import layer_table
from dlref.plot._graph import record
from dlref.plot._layout import layout


def found_by_hooks(model, *inputs):
    """Kind, shape of one example and parameters of every leaf, in the order of the calls."""
    rows = []

    def note(module, _, output):
        rows.append((type(module).__name__, tuple(output.shape[1:]), sum(p.numel() for p in module.parameters())))

    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(note) for leaf in leaves]
    with torch.no_grad():
        model.eval()(*inputs)
    for handle in handles:
        handle.remove()
    return rows


def modules_in(picture):
    """The same of the boxes that stand for modules, repeated ones spelt out."""
    rows = []
    for box in picture.boxes:
        if re.match(r"[A-Z][A-Za-z0-9]+", box.label) and box.label not in ("ReLU", "GELU", "SiLU") and box.name:
            kind = re.match(r"\w+", box.label)[0]
            rows += [(kind, box.output, box.parameters)] * box.repeats
    return rows


class Cell(nn.Module):
    """A recurrent cell that a loop unrolls."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(3, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x, h):
        for step in range(x.shape[1]):
            h = self.cell(x[:, step], h)
        return self.head(h)


class UNet(nn.Module):
    """Two levels down, two up, a skip on each."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, 1)
        self.bottom = nn.Conv2d(8, 8, 3, 2, 1)
        self.up2, self.up1 = nn.ConvTranspose2d(8, 8, 2, 2), nn.ConvTranspose2d(16, 4, 2, 2)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        one = torch.relu(self.down1(x))
        two = torch.relu(self.down2(one))
        low = torch.relu(self.bottom(two))
        high = torch.cat([self.up2(low), two], 1)
        return self.out(torch.cat([self.up1(high), one], 1))


MODELS = {
    "chain": (nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)), [(1, 4)]),
    "LeNet": (lenet5(), [(1, 1, 28, 28)]),
    "identity block": (BasicBlock(8, 8), [(1, 8, 6, 6)]),
    "projection": (BasicBlock(8, 16, stride=2), [(1, 8, 6, 6)]),
    "bottleneck": (Bottleneck(16, 4), [(1, 16, 6, 6)]),
    "residual network": (SmallResNet(2, 4, in_channels=1), [(1, 1, 14, 14)]),
    "ResNet-18": (resnet18(), [(1, 3, 64, 64)]),
    "inception": (Inception(8, 4, 2, 4, 2, 4, 4), [(1, 8, 6, 6)]),
    "U-Net": (UNet(), [(1, 1, 8, 8)]),
}


@pytest.mark.parametrize("name", MODELS)
def test_shapes_and_parameters_are_those_that_hooks_see(name):
    model, shapes = MODELS[name]
    inputs = [torch.zeros(shape) for shape in shapes]
    picture = plot.drawing(model, *inputs)
    expected = [row for row in found_by_hooks(model, *inputs) if row[0] != "ReLU"]
    drawn = modules_in(picture)
    assert sorted(drawn) == sorted(expected)
    total = sum(box.parameters * box.repeats for box in picture.boxes)
    assert total == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["chain", "projection", "residual network", "inception"])
def test_multiplications_are_those_of_the_table(name):
    model, shapes = MODELS[name]
    table = layer_table(model, shapes[0][1:])
    for depth in (None, 1):
        picture = plot.drawing(model, torch.zeros(shapes[0]), depth=depth)
        spent = sum(box.multiplications * box.repeats for box in picture.boxes)
        assert spent == sum(row.multiplications for row in table) > 0


def test_model_is_left_as_it_was():
    model = BasicBlock(2, 2).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plot.drawing(model, torch.randn(4, 2, 3, 3))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_hooks_are_gone_after_an_error_too():
    model = nn.Sequential(nn.Linear(2, 3))
    with pytest.raises(RuntimeError):
        plot.drawing(model, torch.zeros(1, 5))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_shortcut_leads_from_the_input_to_the_sum():
    picture = plot.drawing(BasicBlock(4, 4), torch.zeros(1, 4, 6, 6))
    boxes, ends = record(BasicBlock(4, 4), [torch.zeros(1, 4, 6, 6)], None, {})
    sums = [box for box in boxes if box.group == "sign"]
    assert [box.label for box in sums] == ["+"]
    assert 0 in sums[0].inputs
    assert len(sums[0].inputs) == 2
    assert boxes[ends[0]].label == "ReLU"
    assert boxes[ends[0]].inputs == [boxes.index(sums[0])]
    assert picture.alt.startswith("BasicBlock: input 4 × 6 × 6; ")
    assert "sum of BatchNorm2d and input gives 4 × 6 × 6" in picture.alt


def test_projection_stands_in_the_shortcut():
    boxes, _ = record(BasicBlock(4, 8, stride=2), [torch.zeros(1, 4, 6, 6)], None, {})
    (total,) = [box for box in boxes if box.group == "sign"]
    ways = []
    for index in total.inputs:
        way = [boxes[index]]
        while way[-1].inputs:
            way.append(boxes[way[-1].inputs[0]])
        ways.append([box.label for box in way if box.group == "weights"])
    assert sorted(ways, key=len) == [["Conv2d 1 × 1, 8, stride 2"], ["Conv2d 3 × 3, 8", "Conv2d 3 × 3, 8, stride 2"]]


def test_sum_of_a_tensor_with_itself_has_two_ways():
    class Double(nn.Module):
        def forward(self, x):
            return x + x

    boxes, _ = record(Double(), [torch.zeros(1, 3)], None, {})
    assert [(box.label, box.inputs) for box in boxes] == [("input", []), ("+", [0, 0])]


def test_equal_layers_in_a_row_are_drawn_once():
    same = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)), nn.Linear(4, 2))
    picture = plot.drawing(same, torch.zeros(1, 4))
    assert [(box.label, box.repeats) for box in picture.boxes] == [("input", 1), ("Linear, 4", 3), ("Linear, 2", 1)]
    assert "Linear, 4 3 times gives 4" in picture.alt
    texts = [text.get_text() for text in picture.figure.axes[0].texts]
    assert "Linear, 4   (× 3)" in texts
    assert f"{3 * 20} parameters, {3 * 16} mult." in texts


def test_layers_of_different_shape_or_shared_between_calls_are_not_folded():
    layer = nn.Linear(4, 4)
    shared = plot.drawing(nn.Sequential(layer, layer), torch.zeros(1, 4))
    assert [box.repeats for box in shared.boxes] == [1, 1, 1]
    other = plot.drawing(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, bias=False)), torch.zeros(1, 4))
    assert [box.repeats for box in other.boxes] == [1, 1, 1]


def test_a_layer_whose_result_is_used_twice_is_not_folded():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            h = self.a(x)
            return h + self.b(h)

    boxes = plot.drawing(Twice(), torch.zeros(1, 4)).boxes
    assert [(box.label, box.repeats) for box in boxes] == [("input", 1), ("Linear, 4", 1), ("Linear, 4", 1), ("+", 1)]


def test_branches_join():
    picture = plot.drawing(Inception(8, 4, 2, 4, 2, 4, 4), torch.zeros(1, 8, 6, 6))
    (joined,) = [box for box in picture.boxes if box.group == "join"]
    assert joined.label == "concatenate"
    assert joined.output == (16, 6, 6)
    assert len(joined.inputs) == 4
    placed = layout(picture.boxes, [len(picture.boxes) - 1], join=True)
    assert len({stack.lane for stack in placed.stacks}) == 4, "a lane for each branch"


def test_cell_is_unrolled():
    picture = plot.drawing(Cell(), torch.zeros(1, 3, 3), torch.zeros(1, 5), direction="right")
    labels = [box.label for box in picture.boxes]
    assert labels.count("RNNCell, 5") == 3
    assert {"input 0", "input 1", "input 2"} <= set(labels)
    assert labels.count("input") == 1, "the whole sequence is not drawn, the state is"
    cells = [box for box in picture.boxes if box.label == "RNNCell, 5"]
    assert all(len(box.inputs) == 2 for box in cells)
    texts = {text.get_text(): text.get_position() for text in picture.figure.axes[0].texts}
    assert texts["input 0"][0] < texts["input 1"][0] < texts["input 2"][0], "time runs to the right"


def test_encoder_and_decoder_have_their_skips():
    boxes, _ = record(UNet(), [torch.zeros(1, 1, 8, 8)], None, {})
    joins = [box for box in boxes if box.label == "concatenate"]
    assert [box.output for box in joins] == [(16, 4, 4), (8, 8, 8)]
    placed = layout(boxes, [len(boxes) - 1], join=True)
    skips = [(a, b) for (a, b) in placed.edges if placed.stacks[b].rank - placed.stacks[a].rank > 1]
    assert len(skips) == 2
    assert len({placed.edges[skip] for skip in skips} | {0}) == 3, "each beside the other and beside the layers"


def test_no_two_boxes_stand_on_each_other():
    for model, shapes in MODELS.values():
        picture = plot.drawing(model, *(torch.zeros(shape) for shape in shapes))
        picture.figure.canvas.draw()
        frames = [p for p in picture.figure.axes[0].patches if isinstance(p, FancyBboxPatch | Circle)]
        frames = [p.get_window_extent() for p in frames if mpl_is_frame(p)]
        for i, one in enumerate(frames):
            for two in frames[i + 1 :]:
                assert not one.overlaps(two)


def mpl_is_frame(patch):
    return isinstance(patch, Circle) or "Round" in type(patch.get_boxstyle()).__name__


@pytest.mark.parametrize("direction", ["down", "right"])
def test_words_stay_in_their_boxes_and_on_the_paper(direction):
    for name in ("projection", "ResNet-18", "LeNet"):
        model, shapes = MODELS[name]
        picture = plot.drawing(model, torch.zeros(shapes[0]), direction=direction)
        picture.figure.canvas.draw()
        ax, (width, height) = picture.figure.axes[0], picture.figure.bbox.size
        frames = [p.get_window_extent() for p in ax.patches if mpl_is_frame(p)]
        for text in ax.texts:
            if text.get_text():
                place = text.get_window_extent()
                assert 0 <= place.x0 < place.x1 <= width + 1, text.get_text()
                assert 0 <= place.y0 < place.y1 <= height + 1, text.get_text()
                inside = [f for f in frames if f.contains((place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2)]
                assert all(f.x0 - 1 <= place.x0 and place.x1 <= f.x1 + 1 for f in inside), text.get_text()


def test_depth_draws_parts():
    model, shapes = MODELS["ResNet-18"]
    picture = plot.drawing(model, torch.zeros(shapes[0]), depth=1)
    labels = [box.label for box in picture.boxes]
    assert {"layer1", "layer2", "layer3", "layer4"} <= set(labels)
    whole = sum(box.parameters for box in picture.boxes)
    assert whole == sum(p.numel() for p in model.parameters())
    blocks = plot.drawing(model, torch.zeros(shapes[0]), depth=2).boxes
    assert sum(box.repeats for box in blocks if box.label.startswith("BasicBlock")) == 8


def test_labels_and_counts_and_join():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU())
    x = torch.zeros(1, 2)
    picture = plot.drawing(net, x, labels={"0": "scores"}, counts=False)
    texts = [text.get_text() for text in picture.figure.axes[0].texts]
    assert "scores" in texts
    assert not any("parameters" in text for text in texts)
    joined = layout(record(net, [x], None, {})[0], [3], join=True)
    apart = layout(record(net, [x], None, {})[0], [3], join=False)
    assert [len(stack.boxes) for stack in joined.stacks] == [1, 3]
    assert [len(stack.boxes) for stack in apart.stacks] == [1, 1, 1, 1]


def test_attention_and_products_have_their_boxes():
    class Score(nn.Module):
        def forward(self, q, k):
            return torch.softmax(q @ k.transpose(1, 2), -1)

    boxes, _ = record(Score(), [torch.zeros(1, 4, 8), torch.zeros(1, 5, 8)], None, {})
    assert [(box.label, box.output) for box in boxes[2:]] == [("matrix product", (4, 5)), ("softmax", (4, 5))]
    assert boxes[2].inputs == [0, 1]


def test_page_and_print_get_vector_graphics_that_are_always_the_same():
    picture = plot.drawing(nn.Linear(2, 3), torch.zeros(1, 2))
    assert isinstance(picture, plot.Drawing)
    bundle = picture._repr_mimebundle_()
    assert "<svg" in bundle["image/svg+xml"]
    assert "Linear: input 2; Linear, 3 gives 3." in bundle["image/svg+xml"]
    assert "<image" not in bundle["image/svg+xml"]
    assert base64.b64decode(bundle["application/pdf"]).startswith(b"%PDF")
    assert bundle["text/plain"] == picture.alt
    assert plot.drawing(nn.Linear(2, 3), torch.zeros(1, 2))._repr_mimebundle_() == bundle


def test_drawing_on_axes_that_are_given():
    figure, ax = plt.subplots()
    assert plot.drawing(nn.Linear(2, 3), torch.zeros(1, 2), ax=ax).figure is figure
    assert len(ax.patches) > 0


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("arguments", "changed", "error", "message"),
    [
        (["net", torch.zeros(1)], {}, TypeError, "model must be a torch.nn.Module, got 'net'"),
        ([nn.Identity(), 3], {}, TypeError, "inputs must be tensors, got 3"),
        ([nn.Identity()], {}, ValueError, "inputs must be at least one tensor, got none"),
        ([nn.Identity(), torch.zeros(1)], {"depth": 0}, ValueError, "depth must be"),
        ([nn.Identity(), torch.zeros(1)], {"direction": "up"}, ValueError, "direction must be one of"),
        ([nn.Identity(), torch.zeros(1)], {"labels": {"fc": "x"}}, ValueError, "labels must be one of"),
    ],
)
def test_bad_input_names_the_offender(arguments, changed, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        plot.drawing(*arguments, **changed)


def test_sketch_is_centred_and_not_stretched():
    from schemdraw import flow

    with plot.sketch((4.0, 2.0)) as paper:
        paper += flow.Box(w=2, h=2).label("x")
    figure = plt.gcf()
    assert tuple(figure.get_size_inches()) == (4, 2)
    ax = figure.axes[0]
    figure.canvas.draw()
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    assert (x1 - x0) / (y1 - y0) == pytest.approx(2)
    drawn = np.concatenate([line.get_xydata() for line in ax.lines] or [p.get_xy() for p in ax.patches])
    centre = (drawn.min(0) + drawn.max(0)) / 2
    assert centre == pytest.approx([(x0 + x1) / 2, (y0 + y1) / 2], abs=0.05)
    assert [text.get_text() for text in ax.texts] == ["x"]


def test_sketch_shrinks_what_does_not_fit_and_draws_on_given_axes():
    from schemdraw import flow

    _, ax = plt.subplots(figsize=(2, 2))
    with plot.sketch((2.0, 2.0), ax=ax) as paper:
        paper += flow.Box(w=40, h=2)
    assert np.ptp(ax.get_xlim()) >= 40
    assert not ax.axison


def test_sketch_is_saved_without_a_warning():
    from schemdraw import flow

    with plot.sketch((2.0, 1.0)) as paper:
        paper += flow.Box(w=1, h=1)
    figure = plt.gcf()
    for _ in range(2):  # a second time: saving restores what it found
        figure.savefig(io.BytesIO(), format="svg", bbox_inches="tight")


@pytest.mark.parametrize("size", [(9, 1), (1, 9)])
def test_sketch_of_too_much_is_drawn_smaller_without_a_word(size, caplog):
    from schemdraw import flow

    with plot.sketch((2.0, 1.0)) as paper:
        paper += flow.Box(w=size[0], h=size[1]).label("x")
    plt.gcf().savefig(io.BytesIO(), format="svg")
    assert caplog.text == "", "Matplotlib logs that it ignores limits"
    (left, right), (low, high) = plt.gca().get_xlim(), plt.gca().get_ylim()
    assert (right - left) / (high - low) == pytest.approx(2)
    assert right - left > size[0]
    assert high - low > size[1]


def test_sketch_names_the_package_that_it_needs(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "schemdraw", None)
    with (
        pytest.raises(ImportError, match=re.escape("sketch needs schemdraw: pip install 'dlref[notebook]'")),
        plot.sketch((1.0, 1.0)),
    ):
        pass
