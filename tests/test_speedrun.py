"""Protocol `speedrun` part by part, and its networks."""

import base64
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import digits, figures, weights
from torch import nn
from torch.nn import functional as F  # noqa: N812

from cosnb import activation
from cosnb.errors import CosnbError
from cosnb.experiments import data, models, results
from cosnb.experiments.data import augment
from cosnb.experiments.models.speedrun import Speedrun, Whitening, whitening_filters
from cosnb.experiments.runner import run_missing
from cosnb.experiments.runner.runs import run
from cosnb.experiments.training import TrainingConfig, loop, train
from cosnb.experiments.training.loop import train_together
from cosnb.experiments.training.protocol import PROTOCOLS
from cosnb.experiments.training.state import State
from cosnb.experiments.training.streams import Captured

SPEEDRUN = PROTOCOLS["speedrun"]


def config(activation: str = "cos", **changes: Any) -> TrainingConfig:
    settings = {"network": "speedrun", "protocol": "speedrun", "epochs": 2, "batch_size": 24} | changes
    return TrainingConfig(activation, "digits", 64, **settings)


def photographs(n: int) -> torch.Tensor:
    """Random images whose neighbouring pixels are alike, and whose channels are."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, 3, 33, 33, generator=generator)
    smooth = F.avg_pool2d(images, 2, 1) + 0.2 * torch.randn(n, 3, 32, 32, generator=generator)
    return smooth + smooth.mean(1, keepdim=True)


def test_whitened_patches_have_covariance_one() -> None:
    images = photographs(300)
    patches = F.conv2d(images, whitening_filters(images).float()).movedim(1, 0).flatten(1)
    assert torch.cov(patches) == pytest.approx(torch.eye(12), abs=0.01)  # 5e-4 is added to eigenvalues from 0.1 on
    assert torch.cov(F.unfold(images, 2).movedim(1, 0).flatten(1))[0, 1] > 0.2


def test_filters_stand_in_the_order_of_the_eigenvalues_whatever_the_signs() -> None:
    images = photographs(300)
    filters = whitening_filters(images)
    lengths = filters.flatten(1).norm(dim=1)  # 1/√(eigenvalue + ε)
    assert lengths.tolist() == sorted(lengths.tolist())
    largest = filters.flatten(1).gather(1, filters.flatten(1).abs().argmax(1, keepdim=True))
    assert (largest > 0).all()
    assert torch.allclose(whitening_filters(images.flip(0)), filters, rtol=1e-9)


def test_a_run_s_filters_are_those_of_its_first_5_000_images_standardised() -> None:
    images = digits(64)
    state = State(config(), 0, images)
    shown = images.train_images.double() / 255
    deviation, mean = torch.std_mean(shown, (0, 2, 3), correction=0, keepdim=True)
    filters = whitening_filters((shown - mean) / deviation)
    found = state.net.state_dict()["net.whitening.weight"]
    expected = torch.cat([filters, -filters]).float()
    # The digits' three channels are one, so that only the first four eigenvectors are determined.
    assert torch.allclose(found[:4], expected[:4], rtol=1e-4, atol=1e-5)
    assert torch.equal(found[12:], -found[:12])
    _, _, net = train(config(), 0, images)
    assert torch.equal(net.state_dict()["net.whitening.weight"], found), "they are fixed"
    assert not torch.equal(net.state_dict()["net.whitening.bias"], torch.zeros(24)), "the bias is learnt"


def test_the_whitening_s_bias_has_the_gradient_of_a_convolution_s() -> None:
    torch.manual_seed(0)
    layer, x = Whitening().double(), torch.randn(3, 3, 6, 5, dtype=torch.float64)
    plain = nn.Conv2d(3, 24, 2).double()
    plain.load_state_dict(layer.state_dict())
    for shown in (x, x.clone().requires_grad_()):
        layer.bias.grad = plain.bias.grad = None  # type: ignore[union-attr]
        for module in (layer, plain):
            module(shown).sin().sum().backward()
        assert layer.bias.grad.float() == pytest.approx(plain.bias.grad.float(), rel=1e-5)  # type: ignore[union-attr]
    assert shown.grad is not None


def test_a_block_begins_as_the_identity_on_its_first_channels() -> None:
    net = Speedrun(activation("relu").module())
    x = torch.rand(2, 24, 8, 8)
    assert torch.allclose(net.blocks[0][0](x)[:, :16], x[:, :16])
    wide = net.blocks[1][0](x[:, :16])
    assert torch.allclose(wide[:, :16], x[:, :16])
    assert not torch.allclose(wide[:, 16:32], x[:, :16])


@pytest.mark.parametrize("steps", [4, 7, 3920])
def test_the_rate_rises_for_a_fifth_of_the_steps_and_falls_to_zero(steps: int) -> None:
    rates = [SPEEDRUN.rate(0.3, step, steps) for step in range(steps + 1)]
    top = int(0.2 * steps)
    assert max(rates) == rates[top] == 0.3
    assert rates[-1] == 0
    assert np.diff(rates[: top + 1]) == pytest.approx(0.3 / (top + 1))
    assert np.diff(rates[top:]) == pytest.approx(-0.3 / (steps - top))
    assert rates[0] > 0


def test_weights_alone_decay() -> None:
    net = State(config(), 0, digits()).net
    decayed, spared = SPEEDRUN.make_optimizer(net.parameters(), 0.3).param_groups
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    kinds = [{names[id(parameter)].rsplit(".", 1)[1] for parameter in group["params"]} for group in (decayed, spared)]
    assert kinds == [{"weight"}, {"weight", "bias"}]  # the second weights are those of normalisations
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    assert (decayed["weight_decay"], spared["weight_decay"]) == (5e-4, 0)
    count = sum(parameter.numel() for group in (decayed, spared) for parameter in group["params"])
    assert count == 127_096 - 24 * 3 * 4, "all but the fixed filters"


def test_every_other_epoch_shows_the_mirror_image() -> None:
    state = State(config(), 3, digits())
    first, second, third = (_flips(state) for _ in range(3))
    assert torch.equal(first, ~second)
    assert torch.equal(first, third)
    assert 20 < first.sum() < 44
    assert not torch.equal(_flips(State(config(), 4, digits())), first)


def _flips(state: State) -> torch.Tensor:
    draws = state.draw_epoch()
    state.epochs.append({})
    return draws.flip[draws.order.argsort()]


def test_a_translation_shows_the_reflected_image_at_the_edge() -> None:
    images = torch.randint(0, 256, (50, 3, 9, 7), dtype=torch.uint8)
    shift = augment.draw(50, torch.Generator().manual_seed(0), crop=2).shift
    assert shift is not None
    padded = F.pad(images.float(), (2, 2, 2, 2), mode="reflect").byte()
    windows = [p[:, 2 + y : 11 + y, 2 + x : 9 + x] for p, (y, x) in zip(padded, shift.tolist(), strict=True)]
    assert torch.equal(augment.crop(images, shift, reflect=True), torch.stack(windows))


def test_channels_are_standardised() -> None:
    images = torch.randint(0, 200, (40, 3, 8, 8), dtype=torch.uint8)
    images[:, 1] //= 3
    mean, deviation = augment.channel_statistics(images)
    shown = (augment.normalize(images).double() - mean[:, None, None]) / deviation[:, None, None]
    found = torch.std_mean(shown, (0, 2, 3), correction=0)
    assert found[0] == pytest.approx(torch.ones(3).double(), abs=1e-7)
    assert found[1] == pytest.approx(torch.zeros(3).double(), abs=1e-7)


def test_the_last_epoch_is_evaluated_on_mirror_images_too() -> None:
    images = digits()
    _, epochs, net = train(config(), 0, images)
    assert "mirrored_test_accuracy" not in epochs[0]
    last = epochs[-1]
    shown = augment.normalize(images.test_images)
    with torch.no_grad():
        out = (net.eval()(shown) + net(shown.flip(-1))) / 2
    bits = np.unpackbits(np.frombuffer(base64.b64decode(last["right"]), np.uint8))
    right = (out.argmax(1) == images.test_labels).numpy()
    assert bits[: len(right)].tolist() == right.astype(int).tolist()
    assert last["mirrored_test_accuracy"] == right.mean()
    assert abs(last["mirrored_test_loss"] - last["test_loss"]) > 1e-3
    assert last["mirrored_test_loss"] == pytest.approx(F.cross_entropy(out, images.test_labels).item(), rel=1e-5)


@pytest.mark.long
def test_a_run_that_goes_on_ends_bit_by_bit_as_one_that_was_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosnb.experiments.training.checkpoint.INTERVAL", 0.0)
    given = ("x", [config(epochs=4, precision="bfloat16")], [7], digits(), "cpu")
    for stop in (1, 2, 3):
        left = iter([False] * (stop - 1) + [True])

        def enough(left: Any = left) -> None:
            if next(left, False):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_missing(*given, tmp_path / str(stop), should_stop=enough)
        run_missing(*given, tmp_path / str(stop))
    run_missing(*given, tmp_path / "whole")
    whole, *resumed = (results.read("x", tmp_path / part)[0] for part in ("whole", "1", "2", "3"))
    assert all(figures(record["epochs"]) == figures(whole["epochs"]) for record in resumed)
    assert [record["timing"]["resumed"] for record in (whole, *resumed)] == [False, True, True, True]


def test_activations_pair_and_settings_are_as_told(tmp_path: Path) -> None:
    start = {name: weights(State(config(name), 5, digits()).net) for name in ("relu", "cos")}
    assert start["relu"] == start["cos"]
    full = TrainingConfig("cos", "cifar10", 50_000, network="speedrun", protocol="speedrun")
    assert (full.epochs, full.lr, full.batch_size, full.label_smoothing, full.flip) == (20, 0.3, 256, 0.1, 0.5)
    assert TrainingConfig(**full.as_dict()) == full
    bare = dataclasses.replace(full, label_smoothing=0.0)
    assert TrainingConfig(**bare.as_dict()) == bare != full


@pytest.mark.long
def test_streams_train_it_as_one_alone() -> None:
    jobs = [(config(), 0), (config("relu"), 1)]
    for (settings, seed), outcome in train_together(jobs, digits(), "cpu", make=Captured).items():
        _, epochs, net = train(settings, seed, digits())
        assert figures(outcome.epochs) == figures(epochs)
        assert weights(outcome.net) == weights(net)  # type: ignore[arg-type]


def test_a_gain_leaves_the_fixed_filters_as_they_are() -> None:
    plain, scaled = (State(config(gain=gain), 0, digits()).net.state_dict() for gain in (1.0, 4.0))
    assert torch.equal(plain["net.whitening.weight"], scaled["net.whitening.weight"])
    assert torch.equal(4 * plain["net.head.weight"], scaled["net.head.weight"])


@pytest.mark.long
def test_held_out_images_take_the_test_images_place(tmp_path: Path) -> None:
    whole, part = data.load("digits"), data.load("digits", held_out=100)
    count = len(whole.train_images) - 100
    assert len(part.train_images) == count
    assert torch.equal(part.test_images, whole.train_images[count:])
    assert torch.equal(part.test_labels, whole.train_labels[count:])
    assert part.digest == whole.digest
    settings = TrainingConfig("cos", "digits", count, network="speedrun", protocol="speedrun", epochs=1, held_out=100)
    assert settings.digest() != dataclasses.replace(settings, held_out=0).digest()
    with pytest.raises(
        CosnbError, match=f"asks for {count} images of digits with 100 held out, .* given are .* digits$"
    ):
        loop_check(settings, dataclasses.replace(part, held_out=0))
    assert run("x", settings, 0, part, "cpu")["data"]["test_images"] == 100
    with pytest.raises(CosnbError, match="held_out is"):
        data.load("digits", held_out=10**6)


def loop_check(settings: TrainingConfig, images: data.ImageData) -> None:
    from cosnb.experiments.runner.runs import check

    check([settings], images, "cpu", "auto")


def test_half_a_squeezenet_has_half_the_channels_and_no_bias() -> None:
    whole, half = (models.build(name, activation("relu").module()) for name in ("squeezenet", "squeezenet_half"))
    pairs = zip(*([m for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (whole, half)), strict=True)
    *inner, head = pairs
    assert all((b.out_channels, b.bias) == (a.out_channels // 2, None) for a, b in inner)
    assert all(b.in_channels == a.in_channels // 2 for a, b in inner[1:])
    assert head[1].out_channels == 10
    assert loop.fitted(digits(), "squeezenet_half").train_images.shape[1:] == (3, 32, 32)
