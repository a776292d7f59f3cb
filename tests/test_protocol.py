"""Protocols, the settings that came after the first records, and what happens inside an epoch."""

import dataclasses
import math
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import digits, figures, mlp, weights
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.data.augment import batches, crop, draw
from cosnb.experiments.training import TrainingConfig, evaluation, loop, train
from cosnb.experiments.training.dropout import SeededDropout
from cosnb.experiments.training.execution import make_forward, warm_up
from cosnb.experiments.training.protocol import PROTOCOLS
from cosnb.experiments.training.state import State

RESULTS = Path(__file__).resolve().parent.parent / "results" / "table-3-squeezenet"


def test_digests_of_the_records_that_exist_hold() -> None:
    seen = set()
    for record in results.read(RESULTS.name, RESULTS.parent):
        config = TrainingConfig(**record["config"])
        seen.add(config.digest())
        assert config.digest() == record["config_digest"]
        assert config.as_dict() == record["config"]
    assert {re.split("[-]", path.name)[1] for path in RESULTS.glob("*.json")} == seen
    assert {"a965a63f8f", "c4b5f49424", "51a94537fb", "c544309d93"} <= seen


def test_a_new_setting_is_left_out_at_its_default_and_told_apart_elsewhere() -> None:
    base = mlp()
    new = {"gain": 0.5, "depth": 3, "label_smoothing": 0.1, "probes": ("dead_units",)}
    assert not {"gain", "label_smoothing", "probes"} & base.as_dict().keys()
    digests = {dataclasses.replace(base, **{name: value}).digest() for name, value in new.items()}  # type: ignore[arg-type]
    assert len(digests | {base.digest()}) == 5
    rich = dataclasses.replace(base, **new)  # type: ignore[arg-type]
    assert rich.as_dict()["probes"] == ["dead_units"]
    assert TrainingConfig(**rich.as_dict()) == rich


def test_a_protocol_gives_what_the_configuration_leaves_open() -> None:
    def made(**settings: Any) -> tuple[float, ...]:
        config = TrainingConfig("cos", "cifar10", 50_000, **settings)
        return config.epochs, config.lr, config.flip, config.rotation

    assert made() == (200, 0.001, 0.4, 30.0)
    assert made(protocol="depth") == (10, 0.01, 0.0, 0.0)
    assert made(protocol="modern") == (200, 0.1, 0.5, 0.0)
    assert made(protocol="modern", lr=0.2, epochs=3) == (3, 0.2, 0.5, 0.0)


@pytest.mark.parametrize("steps", [4, 137, 1000])
def test_one_cycle_is_pytorch_s(steps: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    for step in range(steps):
        assert PROTOCOLS["modern"].rate(0.1, step, steps) == pytest.approx(schedule.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        if step + 1 < steps:
            schedule.step()
    assert PROTOCOLS["paper"].rate(0.1, 3, steps) == 0.1


def test_optimisers_are_the_protocols() -> None:
    weight = torch.zeros(1, requires_grad=True)
    for name, expected in (
        ("paper", {"lr": 0.3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}),
        ("depth", {"lr": 0.3, "momentum": 0.0, "weight_decay": 0.0}),
        ("modern", {"lr": 0.3, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
    ):
        (group,) = PROTOCOLS[name].make_optimizer([weight], 0.3).param_groups
        assert expected.items() <= group.items()


def test_modern_is_sgd_with_nesterov_and_one_cycle_on_smoothed_labels() -> None:
    config = mlp(protocol="modern", flip=0.0, label_smoothing=0.1, epochs=2, batch_size=64)
    data = loop.fitted(digits(), config.network)
    net = State(config, 3, data).net
    state = State(config, 3, data)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    dropouts = [module for module in net.modules() if isinstance(module, SeededDropout)]
    for epoch, entry in enumerate(train(config, 3, digits())[1]):
        optimizer.param_groups[0]["lr"] = PROTOCOLS["modern"].rate(0.1, epoch, 2)
        state.draw_masks()
        for ours, theirs in zip(dropouts, state.dropouts, strict=True):
            ours.keep = theirs.keep
        draws = draw(64, state.generator, 0.0, 0.0, 4)
        ((images, labels),) = batches(data.train_images, data.train_labels, draws, 64)
        loss = nn.functional.cross_entropy(net.train()((images.float() / 255 - 0.5) / 0.5), labels, label_smoothing=0.1)
        assert entry["train_loss"] == pytest.approx(loss.item(), rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_a_crop_is_a_window_of_the_padded_image() -> None:
    images = torch.randint(1, 256, (50, 3, 9, 7), dtype=torch.uint8)
    shift = draw(50, torch.Generator().manual_seed(0), crop=4).shift
    assert shift is not None
    assert (shift.min(), shift.max()) == (-4, 4)
    padded = nn.functional.pad(images, (4, 4, 4, 4))
    for got, image, (down, right) in zip(crop(images, shift), padded, shift.tolist(), strict=True):
        assert torch.equal(got, image[:, 4 + down : 13 + down, 4 + right : 11 + right])


def test_gain_scales_the_weights_of_convolutions_and_linear_layers_only() -> None:
    data = loop.fitted(digits(), "depth_conv")
    plain, scaled = (State(mlp(network="depth_conv", gain=gain), 0, data).net for gain in (1.0, 4.0))
    for (name, a), b in zip(plain.named_parameters(), scaled.parameters(), strict=True):
        assert torch.equal(b, 4 * a if a.ndim > 1 else a), name


def test_dropout_keeps_a_share_and_the_mean() -> None:
    layer = SeededDropout(0.25)
    layer.keep = torch.empty(400, 500)
    layer.draw(layer.keep, torch.Generator().manual_seed(0))
    assert layer.keep.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert layer.keep.mean() == pytest.approx(1.0, abs=0.005)  # 4 standard errors of 200,000 masks
    x = torch.randn(300, 500, dtype=torch.bfloat16)
    assert layer(x).dtype == torch.bfloat16
    assert layer.eval()(x) is x


def test_the_data_must_fit_the_network() -> None:
    assert loop.fitted(digits(), "squeezenet").train_images.shape == (64, 3, 32, 32)
    assert loop.fitted(digits(), "depth_mlp").train_images.shape == (64, 1, 28, 28)
    other = dataclasses.replace(digits(), name="cifar10")
    with pytest.raises(
        CosnbError, match="depth_mlp takes images of 1 × 28 × 28, but those of cifar10 have 3 × 32 × 32"
    ):
        loop.fitted(other, "depth_mlp")


# Inside an epoch


class Reads(TorchDispatchMode):
    """Counts how often a number is read from a tensor, for which a device would have to be waited for."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["paper", "depth", "modern"])
def test_no_number_is_read_from_a_tensor_within_an_epoch(protocol: str) -> None:
    counts = []
    for batch_size in (64, 4):
        config = mlp(protocol=protocol, epochs=1, batch_size=batch_size)
        run = loop.Run(config, 0, loop.fitted(digits(), config.network))
        with Reads() as reads:
            loop.take_turns([run.training()])
        counts.append(reads.count)
    assert counts[0] == counts[1] <= 4  # two sums in the end, two questions about the draws, which are on the CPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_waits_for_the_device_within_an_epoch() -> None:
    config = mlp(protocol="paper", epochs=1, batch_size=8)
    data = loop.fitted(digits(), config.network).to("cuda")
    run = loop.Run(config, 0, data)
    loop.take_turns([run.training()])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        loop.take_turns([run.training()])
        torch.cuda.set_sync_debug_mode("default")
    assert sum("synchroniz" in str(each.message) for each in caught) <= 2  # the two sums in the end


def test_the_warm_up_leaves_no_trace() -> None:
    config = mlp()
    data = loop.fitted(digits(), config.network)
    state = State(config, 0, data)
    before, random, masks = weights(state.net), torch.get_rng_state(), state.masks.get_state()
    warm_up(state.net, make_forward(state.net, "eager"), data.train_images, {24, 16}, {50}, "float32")
    assert weights(state.net) == before
    assert torch.equal(random, torch.get_rng_state())
    assert torch.equal(masks, state.masks.get_state())
    assert all(parameter.grad is None for parameter in state.net.parameters())


def test_a_compiled_network_is_compiled_before_the_clock_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def compile(net: nn.Module, dynamic: bool) -> Any:
        sizes: set[tuple[int, bool]] = set()

        def forward(x: Tensor) -> Tensor:
            if (len(x), net.training) not in sizes:
                sizes.add((len(x), net.training))
                events.append("built")
            return net(x)

        return forward

    now = loop.now
    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(loop, "now", lambda device: events.append("clock") or now(device))  # type: ignore[func-returns-value]
    monkeypatch.setattr(evaluation, "TEST_BATCH", 40)
    _, epochs, _ = train(mlp(), 0, digits(), execution="compile")
    assert events == ["built"] * 4 + ["clock"] * 6  # batches of 24 and 16, test batches of 40 and 10
    assert figures(epochs) == figures(train(mlp(), 0, digits())[1])
    assert math.isfinite(epochs[-1]["test_loss"])
