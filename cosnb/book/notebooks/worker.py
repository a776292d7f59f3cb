"""Worker process that runs one notebook with papermill: `python worker.py JOB.json` (see execution.py).

It imports nothing of cosnb, so that it starts quickly. The report says only what was raised: papermill's metadata
call a cell complete after its kernel died.
"""

import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import papermill
import psutil
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from papermill import engines
from papermill.exceptions import PapermillExecutionError

START_SECONDS = 120  # a busy machine's first import of IPython takes tens of seconds
SOCKET_PATH_BYTES = 103  # the longest name of a Unix socket, on macOS; 107 on Linux
OUTPUT_LIMIT = 20_000_000  # characters of a notebook's outputs; the site's largest page has a tenth


class OutputLimit(Exception):  # noqa: N818  (named for what was reached)
    """A notebook's outputs are larger than any page should be."""


class _Client(engines.PapermillNotebookClient):
    """papermill's client; it runs this Python, and ends what prints without end before it fills memory and disk."""

    size = 0

    def create_kernel_manager(self) -> Any:
        """Return a manager of this interpreter's kernel: folders on Jupyter's path may have others of any name.

        It speaks over sockets in the job's own folder. Five free TCP ports are looked up first and opened by the kernel
        0.3 s later: where another program has taken the port of the heartbeat or of the outputs in between, the kernel
        neither answers nor ends (ipykernel 7.4).
        """
        manager = super().create_kernel_manager()
        manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
        sockets = os.path.join(tempfile.gettempdir(), "k")
        if sys.platform != "win32" and len(os.fsencode(f"{sockets}-5")) <= SOCKET_PATH_BYTES:
            manager.transport, manager.ip = "ipc", sockets
        return manager

    def process_message(self, msg: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        content = msg["content"]
        texts = [content.get("text", ""), *(content.get("data") or {}).values()]
        self.size += sum(len(text) for text in texts if isinstance(text, str))
        if self.size > OUTPUT_LIMIT:
            raise OutputLimit(f"the outputs exceed {OUTPUT_LIMIT // 10**6} MB, the limit of a notebook: print less")
        return super().process_message(msg, *args, **kwargs)


engines.PapermillNotebookClient = _Client  # papermill has no other way to choose it


def execute(job: dict[str, Any]) -> str | None:
    """Run the notebook of `job`; return the error as text, or None."""
    try:
        notebook = papermill.execute_notebook(
            job["source"],
            job["output"],
            job["parameters"],
            kernel_name=NATIVE_KERNEL_NAME,
            cwd=str(Path(job["source"]).parent),
            progress_bar=False,
            start_timeout=START_SECONDS,
            shutdown_kernel="immediate",  # Python takes 1 to 2 s to let go of PyTorch, to no end
            stderr_file=os.fdopen(job["live"], "w", encoding="utf-8") if job["live"] else None,
        )
    except PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    # papermill takes SystemExit in a cell for success, though the cells after it never ran.
    return None if all(cell.execution_count for cell in code) else "SystemExit: the notebook ended before its last cell"


def end_with_parent() -> None:
    """Wait until the process that started this one is gone, which closes stdin; then end the kernel and this one."""
    os.read(0, 1)  # not sys.stdin, whose lock would be held when Python shuts down
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(job["report"]).write_text(json.dumps({"error": execute(job)}), encoding="utf-8")
