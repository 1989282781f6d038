"""Mirrors dlref/convnets/resnet.py."""

import pytest
import torch
from torch import nn

from dlref.convnets import (
    BasicBlock,
    Bottleneck,
    ResNet,
    SmallResNet,
    resnet,
    resnet18,
    resnet34,
    resnet50,
    without_shortcuts,
)
from dlref.count import layer_table, weight_layers


@pytest.mark.parametrize("make", [resnet18, resnet34, resnet50])
def test_same_names_and_outputs_as_torchvision(make, twins):
    ours, theirs = twins(make, make.__name__, 50)
    x = torch.randn(2, 3, 40, 40)
    torch.testing.assert_close(ours.train()(x), theirs.train()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters", "multiplications", "depth"),
    [
        ("resnet18", 11_689_512, 1.814e9, 18),
        ("resnet34", 21_797_672, 3.664e9, 34),
        ("resnet50", 25_557_032, 4.089e9, 50),
    ],
)
def test_parameters_multiplications_and_depth_are_the_published_ones(name, parameters, multiplications, depth):
    with torch.device("meta"):
        model = getattr(resnet, name)()
    rows = layer_table(model, (3, 224, 224))
    assert sum(row.parameters for row in rows) == parameters
    assert sum(row.multiplications for row in rows) == pytest.approx(multiplications, rel=0.001)
    projections = [name for name in weight_layers(model) if "downsample" in name]
    assert len(weight_layers(model)) - len(projections) == depth
    assert rows[-1].kind == "Linear"
    assert rows[-2].output == (512 if depth < 50 else 2048, 1, 1)


def settled(block):
    """Batch norm with scales, shifts and statistics that are not those of the start."""
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.uniform_(0.5, 1.5)
    return block.double().eval()


@pytest.mark.verifies("eq-residual", "eq-projection")
@pytest.mark.parametrize(("arguments", "projected"), [((6, 6), False), ((6, 4), True), ((6, 6, 2), True)])
def test_basic_block_is_its_equation(arguments, projected, close):
    block, x = settled(BasicBlock(*arguments)), torch.randn(2, 6, 7, 8, dtype=torch.float64)
    branch = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    shortcut = block.downsample[1](block.downsample[0](x)) if projected else x
    close(block(x), (branch + shortcut).relu())
    assert (block.downsample is not None) == projected
    assert next(iter(block.state_dict())) == "conv1.weight"
    plain = settled(BasicBlock(*arguments, shortcut=False))
    close(plain(x), plain.bn2(plain.conv2(plain.bn1(plain.conv1(x)).relu())).relu())
    assert plain.downsample is None


def test_bottleneck_is_three_convolutions_and_its_shortcut(close):
    for arguments in ((12, 3), (6, 3, 2)):
        block = settled(Bottleneck(*arguments))
        x = torch.randn(2, arguments[0], 7, 8, dtype=torch.float64)
        h = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu())).relu()
        shortcut = x if block.downsample is None else block.downsample(x)
        close(block(x), (block.bn3(block.conv3(h)) + shortcut).relu())
        assert block.conv2.stride == (arguments[2] if len(arguments) > 2 else 1,) * 2
    assert settled(Bottleneck(12, 3)).downsample is None


@pytest.mark.verifies("eq-unrolled")
def test_gradient_passes_a_block_that_contributes_nothing(close):
    model = SmallResNet(2, 4, in_channels=1)
    for module in model.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
    x = torch.rand(3, 4, 6, 6, requires_grad=True)
    same = nn.Sequential(
        *[block for block in model.blocks if block.downsample is None and block.conv1.in_channels == 4]
    )
    assert len(same) == 2
    y = same(x)
    close(y, x)
    g = torch.randn_like(y)
    y.backward(g)
    close(x.grad, g)


@pytest.mark.checks("begins-as-shortcut")
def test_blocks_begin_as_their_shortcuts_if_asked():
    for block, last in ((BasicBlock, "bn2"), (Bottleneck, "bn3")):
        model = ResNet(block, (1, 1, 1, 1), 5, zero_init_residual=True)
        scales = {name: p for name, p in model.named_parameters() if name.endswith(f"{last}.weight")}
        assert len(scales) == 4
        assert not any(p.any() for p in scales.values())
        other = ResNet(block, (1, 1, 1, 1), 5)
        assert all((p == 1).all() for name, p in other.named_parameters() if name.endswith(f"{last}.weight"))
    assert not resnet18(3, zero_init_residual=True).layer1[0].bn2.weight.any()
    assert not resnet34(3, zero_init_residual=True).layer1[0].bn2.weight.any()
    assert not resnet50(3, zero_init_residual=True).layer1[0].bn3.weight.any()


def test_defaults_are_those_of_imagenet():
    with torch.device("meta"):
        for make, block, layers in ((resnet18, BasicBlock, (2, 2, 2, 2)), (resnet50, Bottleneck, (3, 4, 6, 3))):
            model = make()
            assert repr(ResNet(block, layers)) == repr(model)
            assert model.fc.out_features == 1000
            assert all(m.inplace for m in model.modules() if isinstance(m, nn.ReLU))
    for make, norm in ((resnet18, "bn2"), (resnet34, "bn2"), (resnet50, "bn3")):
        assert (make(3).layer1[0].get_submodule(norm).weight == 1).all()


def test_weights_begin_as_torchvisions():
    model = resnet18(5)
    assert model.layer4[1].conv2.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)
    assert model.fc.weight.abs().max() <= 512**-0.5
    assert model.fc.bias.any()


@pytest.mark.verifies("eq-small-depth")
@pytest.mark.parametrize("blocks", [1, 3])
def test_small_networks_have_six_layers_a_block_and_two(blocks):
    for shortcut in (True, False):
        model = SmallResNet(blocks, 4, in_channels=1, num_classes=3, shortcut=shortcut)
        counted = [name for name in weight_layers(model) if "downsample" not in name]
        assert len(counted) == 6 * blocks + 2
        assert model(torch.zeros(2, 1, 12, 10)).shape == (2, 3)
        rows = layer_table(model, (1, 12, 8))
        assert [row.output for row in rows if row.kind == "Conv2d"][-1] == (16, 3, 2)
        assert any("downsample" in name for name in weight_layers(model)) == shortcut
    assert SmallResNet(1).stem[0].weight.shape == (16, 3, 3, 3)
    assert [type(module) for module in SmallResNet(1).stem] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert SmallResNet(1).stem[2].inplace
    assert SmallResNet(1).fc.out_features == 10
    assert SmallResNet(1).fc.bias.any()


def test_plain_twin_has_the_weights_and_no_shortcut(close):
    net = settled(SmallResNet(2, 4, in_channels=1)).eval()
    plain = without_shortcuts(net)
    twin = SmallResNet(2, 4, in_channels=1, shortcut=False).double().eval()
    twin.load_state_dict({name: value for name, value in net.state_dict().items() if "downsample" not in name})
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    assert set(plain.state_dict()) == set(twin.state_dict())
    close(plain(x), twin(x))
    assert not torch.allclose(plain(x), net(x), atol=1e-2)
    with torch.no_grad():
        for p in plain.parameters():
            p.zero_()
    assert all(block.shortcut for block in net.blocks), "the original stays"
    assert net.stem[0].weight.any()


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (BasicBlock, (0, 4), ValueError, "in_channels must be an integer >= 1, got 0"),
        (BasicBlock, (4, 0), ValueError, "channels must be an integer >= 1, got 0"),
        (BasicBlock, (4, 4, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (Bottleneck, (4, 4, 1.5), TypeError, "stride must be an integer >= 1, got 1.5 (float)"),
        (ResNet, (nn.Linear, (1, 1, 1, 1)), ValueError, "block must be one of"),
        (ResNet, (BasicBlock, (1, 1, 1)), ValueError, "layers must be four numbers, got (1, 1, 1) (tuple)"),
        (ResNet, (BasicBlock, (1, 0, 1, 1)), ValueError, "layers must be an integer >= 1, got 0"),
        (resnet18, (0,), ValueError, "num_classes must be an integer >= 1, got 0"),
        (without_shortcuts, (None,), TypeError, "net must be a torch.nn.Module, got None"),
        (without_shortcuts, (Bottleneck(8, 2),), ValueError, "net must hold no Bottleneck, whose"),
        (without_shortcuts, (nn.ReLU(),), ValueError, "net must hold a BasicBlock, got ReLU"),
        (SmallResNet, (0,), ValueError, "blocks must be an integer >= 1, got 0"),
        (SmallResNet, (1, 0), ValueError, "channels must be an integer >= 1, got 0"),
        (SmallResNet, (1, 4, 3, 0), ValueError, "num_classes must be an integer >= 1, got 0"),
        (lambda: ResNet(BasicBlock, (1, 1, 1, 1))(torch.zeros(1, 1, 40, 40)), (), ValueError, "x must have shape (B"),
    ],
)  # fmt: skip
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("build", "size"), [(resnet18, (64, 64)), (resnet34, (64, 64)), (resnet50, (64, 64))])
def test_takes_images_of_other_channels(takes_other_images, build, size):
    takes_other_images(build, *size)


@pytest.mark.usefixtures("unchecked")
def test_small_network_checks_its_images_and_layers_are_counted_clearly():
    with pytest.raises(ValueError, match=r"^x must have shape \(B, C=1, H, W\), got"):
        SmallResNet(1, 4, in_channels=1)(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"^layers must be four numbers, got 4 \(int\)$"):
        ResNet(BasicBlock, 4)
