"""Batch normalisation kernels in a process of its own: `python norm_worker.py fused|moments|compile [OPTION ...]`.

fused    the tests of test_fused.py by Triton's interpreter, on CPU tensors; exits as pytest does
moments  prints the relative errors of mean and deviation where the mean is 10⁵ deviations, as JSON
compile  prints what was compiled for compute capability 9.0 and what was launched, as JSON: no device is needed
"""

import json
import re
import sys
from typing import Any

import numpy
import pytest
import torch

from cosnb import activation
from cosnb.kernels import cuda, norm
from cosnb.kernels.operators import Kernel


class Interpreted:
    """A plugin of pytest: fused modules take the Triton kernels for CPU tensors."""

    def __init__(self) -> None:
        self.taken = 0

    @pytest.fixture(autouse=True)
    def _by_triton(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import test_fused

        def applies(x: torch.Tensor, *vectors: torch.Tensor | None) -> bool:
            known = x.numel() > 0 and norm.sizes(x) is not None
            self.taken += known
            return known

        def close(a: torch.Tensor, b: torch.Tensor) -> bool:
            return bool(((a - b).abs() <= 1e-6 * b.abs()).all())

        monkeypatch.setattr(norm, "applies", applies)
        monkeypatch.setattr(test_fused, "same_state", close)


def fused(options: list[str]) -> int:
    """Run the tests, and print how often a fused module took the kernels."""
    plugin = Interpreted()
    with numpy.errstate(all="ignore"):
        code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options], plugins=[plugin])
    print("taken:", plugin.taken)
    return code


def moments() -> dict[str, float]:
    """Return the errors of the statistics of numbers far from 0, relative to the deviation."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4096, 3, generator=generator) + 1e5
    _, mean, invstd = _kernel("relu").norm().forward(x, None, None, None, None, True, 0.1, 0.0)
    exact = x.double()
    return {
        "mean": float((mean - exact.mean(0)).abs().max()),
        "deviation": float((1 / invstd.double() / exact.std(0, correction=0) - 1).abs().max()),
    }


class Driver:
    """What Triton asks of a device's driver, without a device: it compiles, and keeps the arguments of launches."""

    def __init__(self) -> None:
        from triton.backends.compiler import GPUTarget

        self.target = GPUTarget("cuda", 90, 32)
        self.launches: list[tuple[Any, ...]] = []
        self.utils = self

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 77

    def get_current_target(self) -> Any:
        return self.target

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {"max_shared_mem": 200_000}

    def load_binary(self, *_: object) -> tuple[int, int, int, int, int]:
        return 1, 2, 3, 0, 1024

    def unload_module(self, module: int) -> None:
        pass

    def launcher_cls(self, source: Any, metadata: Any) -> Any:
        name = metadata.name
        return lambda *arguments: self.launches.append((name, *arguments))


def compile() -> list[dict[str, Any]]:
    """Return for each layout and format what was launched, and the kinds of loads of each kernel's code."""
    from triton.runtime import driver

    fake = Driver()
    driver.set_active(fake)
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        for shape, layout in (
            ((128, 96, 32, 32), torch.channels_last),
            ((128, 58, 16, 16), torch.channels_last),
            ((16, 64, 32, 32), torch.contiguous_format),
        ):
            x = torch.empty(shape, dtype=dtype).contiguous(memory_format=layout)
            vectors = [torch.ones(shape[1]) for _ in range(4)]
            kernels = norm.Norm(Nvidia(*_programs("cos")))
            launches = []
            for _ in range(2):  # the second time without Triton's look-up
                y, mean, invstd = kernels.forward(x, *vectors, True, 0.1, 1e-5)
                kernels.backward(y, x, *vectors[:2], mean, invstd, True)
                launches.append([_readable(launch) for launch in fake.launches])
                fake.launches.clear()
            codes = [code for launcher, _ in kernels._launchers.values() for code in launcher._compiled.values()]
            found.append(
                {
                    "dtype": str(dtype),
                    "shape": shape,
                    "kernels": [launch[0] for launch in launches[0]],
                    "same": launches[0] == launches[1],
                    "streams": sorted({launch[4] for launch in launches[1]}),
                    "loads": [sorted(set(re.findall(r"\bLDG\.E\S*", code.asm["sass"]))) for code in codes],
                    "local": any(re.search(r"\\b(LDL|STL)\\b", code.asm["sass"]) for code in codes),
                }
            )
    return found


def _readable(launch: tuple[Any, ...]) -> list[Any]:
    """Return the kernel's name and the arguments of a launch, without what Triton says to profilers (7 to 9)."""
    kept = [value for place, value in enumerate(launch) if place not in (7, 8, 9)]
    shown = [value.data_ptr() % 16 if isinstance(value, torch.Tensor) else value for value in kept]
    return [value if isinstance(value, int | float) else str(value) for value in shown]


class Nvidia(cuda.Library):
    """A library whose code is that for NVIDIA's devices, though tensors are on the CPU."""

    def module(self, x: torch.Tensor) -> Any:
        return cuda.load(cuda.triton.source(self.value, self.product, cuda.arithmetic(x.dtype)))


def _programs(name: str) -> Any:
    row = activation(name)
    return row.program(0), row.program(1, product=True)


def _kernel(name: str) -> Kernel:
    row = activation(name)
    return Kernel(name, lambda: row.program(0), lambda: row.program(1, product=True))


if __name__ == "__main__":
    if sys.argv[1] == "fused":
        sys.exit(fused(sys.argv[2:]))
    print(json.dumps({"moments": moments, "compile": compile}[sys.argv[1]]()))
