"""The training loop, its configuration and its digest, on a network and data small enough to train in a second."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from cosnb.errors import CosnbError
from cosnb.experiments import models
from cosnb.experiments.data import ImageData, load
from cosnb.experiments.data.augment import draw, normalize
from cosnb.experiments.training import (
    TrainingConfig,
    evaluate,
    evaluation,
    loop,
    parse_activations,
    parse_seeds,
    resolve_precision,
    train,
)
from cosnb.experiments.training import device as device_module
from cosnb.experiments.training.state import Epoch


class Tiny(nn.Sequential):
    """5,490 weights: one convolution, batch normalisation, the activation and a linear layer."""

    def __init__(self, activation: nn.Module, classes: int) -> None:
        head = (nn.Flatten(), nn.Linear(8 * 7 * 7, classes))
        super().__init__(nn.Conv2d(3, 8, 8, stride=4), nn.BatchNorm2d(8), activation, *head)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Put `Tiny` in the place of SqueezeNet; return the networks as they are built."""
    nets: list[nn.Module] = []

    def build(network: str, activation: nn.Module, classes: int, depth: int) -> nn.Module:
        nets.append(Tiny(activation, classes))
        return nets[-1]

    monkeypatch.setattr(models, "build", build)
    return nets


@pytest.fixture(scope="module")
def data() -> ImageData:
    """64 training and 50 test images of the digits."""
    full = load("digits", train_images=64)
    return dataclasses.replace(full, test_images=full.test_images[:50], test_labels=full.test_labels[:50])


def config(activation: str = "cos", **changes: object) -> TrainingConfig:
    settings = {"epochs": 2, "batch_size": 24, "lr": 0.01} | changes
    return TrainingConfig(activation, "digits", 64, **settings)  # type: ignore[arg-type]


def figures(epochs: list[Epoch]) -> list[list[float]]:
    return [[value for key, value in epoch.items() if "seconds" not in key] for epoch in epochs]


# The loop


def test_one_seed_gives_one_result_and_another_seed_another(tiny: list[nn.Module], data: ImageData) -> None:
    runs = [figures(train(config(), seed, data)[1]) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert all(a != b for a, b in zip(runs[0], runs[2], strict=True))


def test_every_activation_starts_from_the_same_weights_and_sees_the_same_images(
    tiny: list[nn.Module], data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, shown = [], []
    real = loop.batches

    def batches(images: Tensor, labels: Tensor, draws: object, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        if draws is not None and len(shown) == len(weights):
            weights.append({key: value.clone() for key, value in tiny[-1].state_dict().items()})
            shown.append([])
        for batch in real(images, labels, draws, size):  # type: ignore[arg-type]
            if draws is not None:
                shown[-1].append(batch)
            yield batch

    for name in ("relu", "cos"):
        monkeypatch.setattr(loop, "batches", batches)
        train(config(name, epochs=1), 0, data)
    assert len(shown) == 2
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert all(
        torch.equal(a, b) for first, second in zip(*shown, strict=True) for a, b in zip(first, second, strict=True)
    )


def test_every_image_is_shown_once_an_epoch_in_batches_with_a_smaller_last(
    tiny: list[nn.Module], data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[list[int]] = []
    orders = []
    real = loop.batches

    def batches(images: Tensor, labels: Tensor, draws, size: int):  # type: ignore[no-untyped-def]
        batches = list(real(images, labels, draws, size))
        if draws is not None:
            sizes.append([len(truth) for _, truth in batches])
            orders.append(draws.order.tolist())
        return batches

    monkeypatch.setattr(loop, "batches", batches)
    train(config(), 0, data)
    assert sizes == [[24, 24, 16]] * 2
    assert [sorted(order) for order in orders] == [list(range(64))] * 2
    assert orders[0] != orders[1]


def test_the_loop_is_adam_on_cross_entropy(tiny: list[nn.Module], data: ImageData) -> None:
    _, epochs, net = train(config("swish", flip=0.0, rotation=0.0), 7, data)
    torch.manual_seed(7)
    reference = Tiny(nn.SiLU(), 10).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(reference.parameters(), lr=0.01, betas=(0.9, 0.999), eps=1e-8)
    generator = torch.Generator().manual_seed(7)
    for epoch in epochs:
        reference.train()
        total, correct = 0.0, 0
        order = draw(64, generator).order
        for part in order.split(24):
            logits = reference((data.train_images[part].float() / 255 - 0.5) / 0.5)
            loss = nn.functional.cross_entropy(logits, data.train_labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(part)
            correct += int((logits.argmax(1) == data.train_labels[part]).sum())
        assert epoch["train_loss"] == pytest.approx(total / 64, rel=1e-5)
        assert epoch["train_accuracy"] == correct / 64
    ours = dict(net.named_parameters())
    del ours["0.bias"]  # batch normalisation takes it away again, so its gradient is rounding, which Adam scales up
    for name, weight in ours.items():
        torch.testing.assert_close(weight, reference.get_parameter(name), rtol=1e-3, atol=1e-4)


def test_evaluate_is_the_mean_over_all_images_in_eval_mode(data: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Tiny(nn.ReLU(), 10).train()
    net(normalize(data.train_images))  # running statistics that differ from a batch's
    monkeypatch.setattr(evaluation, "TEST_BATCH", 16)  # 50 = 3 · 16 + 2
    loss, accuracy = evaluate(net, data.test_images, data.test_labels)
    net.eval()
    with torch.no_grad():
        logits = [net(normalize(image[None]))[0] for image in data.test_images]
    losses = [
        nn.functional.cross_entropy(row.double(), truth).item()
        for row, truth in zip(logits, data.test_labels, strict=True)
    ]
    assert loss == pytest.approx(math.fsum(losses) / 50, rel=1e-6)
    right = sum(int(row.argmax() == truth) for row, truth in zip(logits, data.test_labels, strict=True))
    assert accuracy == right / 50
    before = [p.clone() for p in net.buffers()]
    evaluate(net, data.test_images, data.test_labels)
    assert all(torch.equal(a, b) for a, b in zip(before, net.buffers(), strict=True))


def test_each_epoch_is_handed_over_when_it_ends(tiny: list[nn.Module], data: ImageData) -> None:
    seen: list[Epoch] = []
    status, epochs, _ = train(config(epochs=3), 0, data, after_epoch=seen.append)
    assert status == "ok"
    assert seen == epochs
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert set(epochs[0]) == {
        "epoch",
        *(f"{part}_{kind}" for part in ("train", "test") for kind in ("loss", "accuracy", "seconds")),
    }
    assert all(
        0 <= epoch[f"{part}_accuracy"] <= 1 and epoch[f"{part}_seconds"] > 0
        for epoch in epochs
        for part in ("train", "test")
    )
    json.dumps(epochs)


def test_training_lowers_the_loss(tiny: list[nn.Module], data: ImageData) -> None:
    _, epochs, _ = train(config(epochs=15, lr=0.05, flip=0.0, rotation=0.0), 0, data)
    assert epochs[-1]["train_loss"] < 0.7 * epochs[0]["train_loss"]


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(tiny: list[nn.Module], data: ImageData) -> None:
    status, epochs, _ = train(config(lr=1e38, epochs=5), 0, data)
    assert status == "diverged"
    assert 1 <= len(epochs) < 5
    assert not (math.isfinite(epochs[-1]["train_loss"]) and math.isfinite(epochs[-1]["test_loss"]))


def test_mixed_precision_runs_and_keeps_float32_weights(tiny: list[nn.Module], data: ImageData) -> None:
    status, epochs, net = train(config(precision="bfloat16", epochs=1), 0, data)
    _, single, _ = train(config(epochs=1), 0, data)
    assert status == "ok"
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert epochs[0]["train_loss"] != single[0]["train_loss"]
    assert epochs[0]["train_loss"] == pytest.approx(single[0]["train_loss"], rel=0.02)


def test_squeezenet_itself_trains(data: ImageData) -> None:
    few = dataclasses.replace(data, train_images=data.train_images[:20], train_labels=data.train_labels[:20])
    settings = config("relu", epochs=1, batch_size=16)
    status, epochs, net = train(settings, 0, few)
    assert status == "ok"
    assert sum(p.numel() for p in net.parameters()) == 734_986
    assert math.isfinite(epochs[0]["train_loss"])


# The device


@pytest.mark.parametrize(
    ("card", "capability", "chosen"),
    [("Tesla T4", (7, 5), "float32"), ("NVIDIA L4", (8, 9), "bfloat16"), ("Tesla P100", (6, 0), "float32")],
)
def test_precision_is_never_emulated(
    card: str, capability: tuple[int, int], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A T4 has no units for bfloat16, though PyTorch, which can emulate it, says there that it is supported."""
    properties = SimpleNamespace(name=card, major=capability[0], minor=capability[1])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device=None: properties)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)
    assert torch.cuda.is_bf16_supported()
    assert resolve_precision("auto", "cuda") == chosen


def test_precision_auto_is_float32_without_cuda() -> None:
    assert resolve_precision("auto", "cpu") == "float32"
    assert resolve_precision("bfloat16", "cpu") == "bfloat16"
    assert set(device_module.describe_device("cpu")) == {"name", "type", "threads"}


# The configuration


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "cosine"}, r"unknown activation 'cosine': did you mean"),
        ({"network": "squeezenett"}, r"unknown network 'squeezenett': choose one of"),
        ({"protocol": "best"}, r"unknown protocol 'best': choose one of paper, depth, modern"),
        ({"batch_size": 65}, r"batch_size is 65, but there are only 64 training images"),
        ({"network": "depth_mlp"}, r"depth_mlp has a depth of 1 or more, got 0"),
        ({"depth": 3}, r"squeezenet has a depth of 0, got 3"),
        ({"gain": 0}, r"gain must be a positive number, got 0"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be at least 0 and less than 1, got 1.0"),
        ({"probes": "dead_units"}, r"probes must be of type tuple, got 'dead_units'"),
        ({"probes": ("dead",)}, r"unknown probe 'dead': choose one of dead_units, gradient_norms"),
        ({"precision": "float16"}, r"unknown precision 'float16': choose one of float32, bfloat16"),
        ({"epochs": "2"}, r"epochs must be of type int, got '2'"),
        ({"epochs": 2.0}, r"epochs must be of type int, got 2.0"),
        ({"epochs": True}, r"epochs must be of type int, got True"),
        ({"epochs": 0}, r"epochs must be at least 1, got 0"),
        ({"batch_size": -1}, r"batch_size must be at least 1, got -1"),
        ({"train_images": 0}, r"train_images must be at least 1, got 0"),
        ({"lr": "0.1"}, r"lr must be of type float, got '0.1'"),
        ({"lr": 0.0}, r"lr must be a positive number, got 0.0"),
        ({"lr": math.nan}, r"lr must be a positive number, got nan"),
        ({"lr": math.inf}, r"lr must be a positive number, got inf"),
        ({"flip": 1.5}, r"flip must be a probability from 0 to 1, got 1.5"),
        ({"rotation": -1.0}, r"rotation must be an angle from 0 to 180 degrees, got -1.0"),
        ({"rotation": math.nan}, r"rotation must be an angle"),
        ({"dataset": None}, r"dataset must be of type str, got None"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named_at_once(changes: dict[str, object], message: str) -> None:
    settings = {"activation": "cos", "dataset": "digits", "train_images": 64, "batch_size": 24} | changes
    with pytest.raises(CosnbError, match=message):
        TrainingConfig(**settings)  # type: ignore[arg-type]


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="epoch"):
        config(epoch=3)


def test_the_defaults_are_the_protocol() -> None:
    assert TrainingConfig("cos", "cifar10", 50_000).as_dict() == {
        "activation": "cos",
        "dataset": "cifar10",
        "train_images": 50_000,
        "network": "squeezenet",
        "protocol": "paper",
        "epochs": 200,
        "batch_size": 128,
        "lr": 0.001,
        "precision": "float32",
        "flip": 0.4,
        "rotation": 30.0,
    }


def test_the_configuration_s_digest_tells_settings_apart_and_nothing_else() -> None:
    assert TrainingConfig("silu", "digits", 640, lr=1) == TrainingConfig("swish", "digits", 640, lr=1.0)
    assert (
        TrainingConfig("silu", "digits", 640, lr=1).digest() == TrainingConfig("Swish", "digits", 640, lr=1.0).digest()
    )
    digests = {config(**c).digest() for c in ({}, {"epochs": 3}, {"lr": 0.02}, {"flip": 0.0}, {"activation": "relu"})}  # type: ignore[arg-type]
    assert len(digests) == 5
    assert all(re.fullmatch("[0-9a-f]{10}", digest) for digest in digests)
    # What names records that exist.
    assert TrainingConfig("cos", "cifar10", 5000, epochs=8).digest() == "a965a63f8f"


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [3]), ("0:4", [0, 1, 2, 3]), ("0:8:3", [0, 3, 6]), ("5, 1:3", [5, 1, 2])]
)
def test_seeds_are_read(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3:1", "-1", "1.5", "0:3:0", "0:1:1:1", ",", "1;2"])
def test_wrong_seeds_are_refused(text: str) -> None:
    with pytest.raises(CosnbError, match=r"seeds must be like '3', '0:20' \(0 to 19\) or '0,4,7', got"):
        parse_seeds(text)


def test_activations_are_read() -> None:
    assert parse_activations("relu, silu,CoS") == ["relu", "swish", "cos"]
    with pytest.raises(CosnbError, match="unknown activation ''"):
        parse_activations("relu,")
