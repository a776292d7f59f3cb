"""The networks against the protocol's counts: parameters, multiply-accumulates, activation elements and calls."""

import pytest
import torch
from torch import Tensor, nn

from cosnb.activations import ActivationModule, activation
from cosnb.errors import CosnbError
from cosnb.experiments.models import NETWORKS, Landscape, activation_name, build, code_file, has_depth, input_shape
from cosnb.experiments.models.shufflenet_v2 import Basic, interleave

CHANNELS_LAST = torch.channels_last


def counts(net: nn.Module, images: Tensor) -> dict[str, int]:
    """Run `net` once and count what one image costs; a weight is multiplied once for each pixel that comes out."""
    found = {"mac": 0, "elements": 0, "calls": 0}

    def weighted(module: nn.Conv2d | nn.Linear, _: object, output: Tensor) -> None:
        found["mac"] += module.weight.numel() * output[0, 0].numel()

    def activated(_: nn.Module, __: object, output: Tensor) -> None:
        found["elements"] += output[0].numel()
        found["calls"] += 1

    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(weighted)
        elif isinstance(module, ActivationModule):
            module.register_forward_hook(activated)
    net(images)
    return found


def made(network: str, name: str = "relu", classes: int = 10) -> nn.Module:
    return build(network, activation(name).module(), classes, depth=15 if has_depth(network) else 0)


@pytest.mark.parametrize(
    ("network", "parameters", "mac", "elements", "calls"),
    [
        ("squeezenet", 734_986, 52_543_488, 365_568, 25),
        ("shufflenet_v2", 1_268_646, 43_583_360, 352_768, 36),
        ("mobilenet_v2", 2_254_090, 64_832_064, 807_968, 36),
        # by hand: 31² places of whitening and of the first convolution, then 15², 7², 3²
        (
            "speedrun",
            127_096,
            31**2 * (288 + 3_456) + 15**2 * (2_304 + 9_216) + 7**2 * 2 * 36_864 + 3**2 * 36_864 + 640,
            31**2 * 24 + 15**2 * 32 + 7**2 * 128 + 3**2 * 128,
            7,
        ),
        # by hand: 784·500 + 500 and 14 × (500·500 + 500), 15 × 1,000 of normalisation, 500·10 + 10
        ("depth_mlp", 3_919_510, 784 * 500 + 14 * 500 * 500 + 500 * 10, 15 * 500, 15),
        # 25·20 + 20 and 500·50 + 50, the same with 5,000 inputs for 784; 24 × 24 pixels, then 20 × 20
        (
            "depth_conv",
            3_919_510 + 520 + 25_050 + (5_000 - 784) * 500,
            500 * 24**2 + 25_000 * 20**2 + 5_000 * 500 + 14 * 500 * 500 + 500 * 10,
            20 * 24**2 + 50 * 20**2 + 15 * 500,
            17,
        ),
    ],
)
def test_a_network_has_the_protocol_s_counts(
    network: str, parameters: int, mac: int, elements: int, calls: int
) -> None:
    net = made(network).eval()
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert counts(net, torch.zeros(1, *input_shape(network))) == {"mac": mac, "elements": elements, "calls": calls}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("classes", [10, 3])
def test_a_network_maps_images_to_logits_of_each_class(network: str, classes: int) -> None:
    net = made(network, "swish", classes)
    logits = net(torch.randn(2, *input_shape(network)))
    assert logits.shape == (2, classes)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters() if p.requires_grad)


@pytest.mark.parametrize(("network", "convolutions"), [("squeezenet", 26), ("shufflenet_v2", 56), ("mobilenet_v2", 54)])
def test_every_convolution_has_a_bias_and_a_normalisation_but_the_last(network: str, convolutions: int) -> None:
    found = [m for m in made(network).modules() if isinstance(m, nn.Conv2d)]
    assert all(m.bias is not None for m in found)
    assert len(found) == convolutions
    last = int(isinstance(found[-1], nn.Conv2d) and found[-1].out_channels == 10)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in made(network).modules()) == convolutions - last


@pytest.mark.parametrize("network", NETWORKS)
def test_initial_weights_do_not_depend_on_the_activation(network: str) -> None:
    states = []
    for name in ("relu", "cos"):
        torch.manual_seed(3)
        states.append(made(network, name).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_strides_and_sizes_are_where_the_protocol_has_them() -> None:
    sizes: dict[str, list[tuple[int, int]]] = {}
    for network in ("shufflenet_v2", "mobilenet_v2"):
        net, found = made(network).eval(), sizes.setdefault(network, [])
        for module in net.units if network == "shufflenet_v2" else [net.stem, *net.blocks]:
            module.register_forward_hook(lambda _, __, y, found=found: found.append((y.shape[1], y.shape[2])))
        net(torch.zeros(1, 3, 32, 32))
    assert sizes["shufflenet_v2"] == [(116, 16)] * 4 + [(232, 8)] * 8 + [(464, 4)] * 4
    expected = [(32, 34), (16, 34), *[(24, 17)] * 2, *[(32, 9)] * 3, *[(64, 5)] * 4]
    assert sizes["mobilenet_v2"] == [*expected, *[(96, 5)] * 3, *[(160, 5)] * 3, (320, 5)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, CHANNELS_LAST])
def test_interleaving_is_concatenation_and_channel_shuffle_in_the_same_memory_format(
    memory_format: torch.memory_format,
) -> None:
    first, second = (torch.randn(2, 6, 3, 5).contiguous(memory_format=memory_format) for _ in range(2))
    shuffled = interleave(first, second)
    assert torch.equal(shuffled, nn.functional.channel_shuffle(torch.cat([first, second], dim=1), 2))
    assert shuffled.is_contiguous(memory_format=memory_format)


def test_half_of_a_basic_unit_passes_through() -> None:
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(Basic(8, nn.ReLU())(x)[:, ::2], x[:, :4])


def test_mobilenet_adds_its_input_where_stride_and_channels_agree() -> None:
    blocks = made("mobilenet_v2").blocks
    expected = (
        [False] * 2 + [True] + [False, True, True] + [False, True, True, True] + [False, True, True] * 2 + [False]
    )
    assert [type(block).__name__ == "Residual" for block in blocks] == expected
    block, x = blocks[2].eval(), torch.randn(1, 24, 5, 5)
    assert torch.equal(block(x), block.block(x) + x)


def test_the_landscape_network_has_its_widths_and_an_activation_after_every_layer() -> None:
    act = nn.ReLU()
    net = Landscape(act)
    layers = list(net)
    assert [(m.in_features, m.out_features) for m in layers[::2]] == [(2, 64), (64, 32), (32, 16), (16, 1)]
    assert all(m is act for m in layers[1::2])
    assert net(torch.rand(7, 2)).shape == (7, 1)


def test_depth_networks_drop_out_in_every_block_in_training_only() -> None:
    net = made("depth_mlp")
    assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.25] * 15
    x = torch.randn(4, 1, 28, 28)
    assert torch.equal(net.eval()(x), net(x))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_file_of_a_network_imports_no_other_of_the_package(network: str) -> None:
    assert "import cosnb" not in (text := code_file(network).read_text())  # so its digest covers the whole network
    assert "from cosnb" not in text


def test_relu_is_relu6_in_mobilenet_only() -> None:
    assert activation_name("mobilenet_v2", "relu") == "relu6"
    assert activation_name("mobilenet_v2", "cos") == "cos"
    assert activation_name("squeezenet", "relu") == "relu"


@pytest.mark.parametrize(("network", "depth"), [("squeezenet", 3), ("depth_mlp", 0), ("depth_conv", -1)])
def test_a_depth_that_does_not_fit_is_refused(network: str, depth: int) -> None:
    with pytest.raises(CosnbError, match=f"{network} (has no|needs a) depth"):
        build(network, nn.ReLU(), depth=depth)


def test_the_residual_paths_of_squeezenet_are_where_the_protocol_has_them() -> None:
    net = build("squeezenet", activation("relu").module()).eval()
    seen = {}
    for name in ("fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9"):
        module = getattr(net, name)
        module.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: (inputs[0], output)}))
    with torch.no_grad():
        net(torch.randn(1, 3, 32, 32))
    for before, name, after, pooled in (
        ("fire2", "fire3", "fire4", False),
        ("fire4", "fire5", "fire6", True),
        ("fire6", "fire7", "fire8", False),
    ):
        inputs = nn.functional.max_pool2d(seen[before][1], 2) if pooled else seen[before][1]
        assert torch.equal(seen[name][0], inputs)
        assert torch.equal(seen[after][0], seen[name][1] + inputs)
    assert torch.equal(seen["fire9"][0], nn.functional.max_pool2d(seen["fire8"][1], 2))  # no sum around fire9


def test_unknown_network_is_named_with_the_choices() -> None:
    with pytest.raises(CosnbError, match=r"unknown network 'squeezenett': choose one of .*squeezenet"):
        build("squeezenett", activation("relu").module())
