"""Time, launches and memory of a whole training step of the networks, activation against activation.

A step is forward, cross-entropy, backward and fused Adam on one batch, channels last, eager or compiled as in training.
On CUDA each is also captured as one CUDA graph, which leaves the device's time alone: where a step as Python launches
it takes longer than its graph, it waits for Python.
"""

import gc
import math
import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import cosnb
from cosnb.errors import CosnbError
from cosnb.experiments.diagnostics.cost import Plain
from cosnb.experiments.models import build, input_shape
from cosnb.experiments.training.device import memory_kept
from cosnb.kernels import timing
from cosnb.nn.memory import saved_bytes

Measured = dict[str, Any]
Step = Callable[[], None]
EXECUTIONS = ("eager", "compile")
LAUNCHED, CAPTURED = "step", "captured"  # a step as Python launches it, and as a CUDA graph
FUSED = ", fuse_bn"
PLAIN = "cos, plain"
# PyTorch's own (ReLU in MobileNet v2 too, the stricter yardstick beside ReLU6), the formulas', the paper's composition.
CONTESTANTS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "mish, PyTorch's": nn.Mish,
    "swish": lambda: cosnb.activation("swish").module(),
    "mish": lambda: cosnb.activation("mish").module(),
    "cos": lambda: cosnb.activation("cos").module(),
    PLAIN: lambda: Plain("cos"),
    f"relu{FUSED}": lambda: cosnb.activation("relu").module(),
    f"cos{FUSED}": lambda: cosnb.activation("cos").module(),
}
# A network takes half a minute to compile, and fuse_bn leaves the compiler what it is.
COMPILED = ("relu", "silu", "mish", "cos")
_WARM_UP = 3  # steps: code built, memory taken, Adam's first state
_SAMPLE = 0.02  # seconds, CUDA: so many steps are queued one after the other, as in training
_MOST_STEPS = 50  # a sample
_ENQUEUED = 5  # single steps of which the median is the time to enqueue one


def make(network: str, contestant: str, device: torch.device) -> nn.Module:
    """Return the network, channels last, seed 0, with a contestant's activation and fusion; CosnbError if unknown."""
    if contestant not in CONTESTANTS:
        raise CosnbError(f"unknown contestant {contestant!r}: choose of {'; '.join(CONTESTANTS)}")
    torch.manual_seed(0)
    net = build(network, CONTESTANTS[contestant]()).to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if contestant.endswith(FUSED):
        cosnb.fuse_bn(net)
    return net


def example(network: str, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return random images (batch, C, H, W), channels last, and labels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, *input_shape(network), generator=generator).to(device)
    labels = torch.randint(10, (batch,), generator=generator).to(device)
    return images.contiguous(memory_format=torch.channels_last), labels


class Training:
    """One contestant's network, its loss on a batch and its step."""

    def __init__(self, network: str, contestant: str, batch: int, execution: str, precision: str, device: torch.device):
        self.net, self.precision, self.device = make(network, contestant, device), precision, device
        self.images, self.labels = example(network, batch, device)
        self.forward: Callable[[Tensor], Tensor] = self.net
        if execution == "compile":
            self.forward = torch.compile(self.net, dynamic=False, fullgraph=True)
        elif execution != "eager":
            raise CosnbError(f"unknown execution {execution!r}: choose one of {', '.join(EXECUTIONS)}")
        cuda = device.type == "cuda"
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.001, fused=True, capturable=cuda)

    def loss(self) -> Tensor:
        """Return the loss on the batch."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            logits = self.forward(self.images)
        return cross_entropy(logits.float(), self.labels)

    def step(self) -> None:
        """Take one step; the gradients of the last one are freed first."""
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def warm_up(self) -> None:
        """Take the first steps, in which code is built and memory taken."""
        for _ in range(_WARM_UP):
            self.step()

    def peak(self) -> int:
        """Return the CUDA memory that a step takes at its peak beside what stays: weights, Adam's state, the batch."""
        self.optimizer.zero_grad()
        torch.cuda.synchronize(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        stays = torch.cuda.memory_allocated(self.device)
        self.step()
        torch.cuda.synchronize(self.device)
        return torch.cuda.max_memory_allocated(self.device) - stays

    def capture(self) -> Step:
        """Return the step as one CUDA graph, with memory of its own: after a failed capture a pool takes no other."""
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            self.warm_up()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.device)
        try:
            with torch.cuda.graph(graph):
                self.step()
        finally:  # where the end of a capture raises, PyTorch leaves the capture's stream in place
            torch.cuda.set_stream(current)
        return graph.replay


def measure(
    network: str,
    batch: int,
    execution: str,
    precision: str,
    rounds: int,
    device: str | torch.device,
    contestants: Sequence[str] = (),
    captured: bool = True,
    say: Callable[[str], object] = lambda text: None,
) -> dict[str, Measured]:
    """Return {contestant: figures} of one network; by default of all contestants, compiled of `COMPILED`.

    "step", and "captured" on CUDA: seconds a step, one figure a round, in which all take turns. "saved": bytes that
    eager autograd keeps for backward. On CUDA also "peak", see `Training.peak`; "enqueue", the seconds that Python
    takes to launch a step while the device is idle; "launches" and "busy", the number of kernels and copies of a step
    and the sum of their seconds, None where the profiler sees none. What fails has one figure, "error", why.
    """
    device = torch.device(device)
    found: dict[str, Measured] = {}
    steps: dict[tuple[str, str], Step] = {}
    free(device)
    with torch._dynamo.config.patch(recompile_limit=64), memory_kept(device):  # one code, many networks
        for name in contestants or (COMPILED if execution == "compile" else tuple(CONTESTANTS)):
            say(name)
            try:
                training = Training(network, name, batch, execution, precision, device)
                found[name], ways = _prepare(training, captured)
                steps |= {(name, way): step for way, step in ways.items()}
            except CosnbError:
                raise
            except Exception as error:  # a compiler's or a device's own, and the others can still be measured
                found[name] = {"error": (str(error).strip().splitlines() or [type(error).__name__])[0]}
        say("rounds")
        counts = {key: _steps_a_sample(step, device) for key, step in steps.items()}
        taken = timing.in_turns(steps, lambda key, _: timing.seconds(steps[key], device, counts[key]), rounds)
    for (name, way), seconds in taken.items():
        found[name][way] = [float(f"{value:.5g}") for value in seconds]
    return found


def _prepare(training: Training, captured: bool) -> tuple[Measured, dict[str, Step]]:
    """Return what is measured before the rounds, and the steps that take turns in them."""
    device, figures = training.device, {}
    if training.forward is training.net:
        figures["saved"] = saved_bytes(training.net, training.loss)
    training.warm_up()
    ways: dict[str, Step] = {LAUNCHED: training.step}
    if device.type == "cuda":
        figures["peak"] = training.peak()
        if captured:
            ways[CAPTURED] = training.capture()
        figures |= _launches(training.step, device)  # last, for the profiler stays in the process that it was in
    return figures, ways


def settings(
    network: str, batch: int, execution: str, precision: str, rounds: int, device: str | torch.device
) -> dict[str, Any]:
    """Return what a record of `measure` says of its settings."""
    device = torch.device(device)
    named = {"activation": "all", "network": network, "batch": batch, "rounds": rounds}
    named |= {"execution": execution, "precision": precision, "device": device.type}
    return named | ({"threads": torch.get_num_threads()} if device.type == "cpu" else {})


def free(device: str | torch.device) -> None:
    """Free what a measurement has left: networks that hold themselves, compiled code, cached CUDA memory."""
    torch.compiler.reset()
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()


def _steps_a_sample(step: Step, device: torch.device) -> int:
    if device.type != "cuda":
        return 1
    step()
    return min(_MOST_STEPS, max(1, math.ceil(_SAMPLE / timing.seconds(step, device, 2))))


def _launches(step: Step, device: torch.device) -> Measured:
    enqueue = []
    for _ in range(_ENQUEUED):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        step()
        enqueue.append(time.perf_counter() - start)
    torch.cuda.synchronize(device)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        step()
        torch.cuda.synchronize(device)
    events = [
        event
        for event in profile.events() or ()
        if event.device_type == torch.autograd.DeviceType.CUDA and not event.is_user_annotation
    ]
    seen = {"launches": len(events), "busy": sum(event.time_range.elapsed_us() for event in events) / 1e6}
    return {"enqueue": median(enqueue), **(seen if events else dict.fromkeys(seen))}


def compile_ahead(
    groups: Iterable[tuple[str, int]], contestants: Iterable[str], precision: str, device: str, workers: int
) -> None:
    """Compile steps of (network, batch) `groups` in so many processes at once, into the compiler's cache on the disk.

    `measure` then finds the code there. What fails here is left to it.
    """
    contestants = tuple(contestants)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_two_threads) as pool:
        jobs = [
            pool.submit(_compile, network, name, batch, precision, device)
            for network, batch in groups
            for name in contestants
        ]
        for job in jobs:
            job.exception()


def _two_threads() -> None:
    """Let each process build code in two more: by default as many as there are cores."""
    import torch._inductor.config

    torch._inductor.config.compile_threads = 2


def _compile(network: str, contestant: str, batch: int, precision: str, device: str) -> None:
    Training(network, contestant, batch, "compile", precision, torch.device(device)).step()
    free(device)
