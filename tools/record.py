"""Record a campaign in the background, at low priority, from a worktree at one commit, and commit new records.

    python tools/record.py answer [--commit HASH] [--max-parallel 2] [--every 30] [--minutes 120]

Its records go into this clone's `results/`; every half hour, and at the end, the new ones are committed there, and
nothing else. The worktree, `_build/recorder`, is at the commit that made the newest record, so that one code makes all
of them; `--commit` names another. Ctrl-C or a kill loses at most the running epoch: the same command goes on. What it
does is written to `_build/recorder.log`.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN = "import sys; from cosnb.cli import main; sys.exit(main())"


def main() -> int:
    """Run the campaign and commit its records; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", help="the campaign, such as answer")
    parser.add_argument(
        "--commit", help="the commit whose code records (default: that of the newest record, else HEAD)"
    )
    parser.add_argument("--max-parallel", "--together", default="2", help="runs trained at the same time (default: 2)")
    parser.add_argument("--every", type=float, default=30, help="minutes between two commits of records (default: 30)")
    parser.add_argument("--minutes", help="stop after so many minutes (default: when everything is done)")
    options = parser.parse_args()
    results = Path(os.environ.setdefault("COSNB_RESULTS", str(ROOT / "results")))
    commit = git("rev-parse", "--verify", f"{options.commit or newest(results) or 'HEAD'}^{{commit}}")
    worktree = ROOT / "_build" / "recorder"
    if worktree.exists():
        git("checkout", "--detach", "--quiet", commit, at=worktree)
        git("clean", "-dfxq", at=worktree)  # bytecode of the same second and size would pass for the new code's
    else:
        git("worktree", "prune")
        git("worktree", "add", "--detach", "--quiet", str(worktree), commit)
    command = [sys.executable, "-c", RUN, "campaign", options.campaign, "--device", "cpu"]
    # The older spelling, which the code of an earlier commit knows too.
    command += ["--together", options.max_parallel, *(["--minutes", options.minutes] if options.minutes else [])]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C: the campaign is stopped, records are committed
    with (ROOT / "_build" / "recorder.log").open("a", encoding="utf-8") as log:
        print(f"{time.ctime()}: {options.campaign} at {commit}", file=log, flush=True)
        campaign = subprocess.Popen(command, cwd=worktree, stdout=log, stderr=log, preexec_fn=prepare)
        try:
            while campaign.poll() is None:
                try:
                    campaign.wait(60 * options.every)
                except subprocess.TimeoutExpired:
                    commit_records(results)
        finally:
            campaign.send_signal(signal.SIGINT)
            campaign.wait()
            commit_records(results)
    return campaign.returncode


def prepare() -> None:
    """Lower this process's priority, and have Ctrl-C reach it where a shell in the background has turned that off.

    Linux shares processors out among sessions first, and within one by niceness: so a session of its own, at 19 too.
    """
    os.setsid()
    os.nice(19)
    with suppress(OSError):  # no Linux, or one without groups
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def newest(results: Path) -> str | None:
    """Return the commit of the newest record of the experiment that asks whether CoS is more accurate."""
    records = [
        json.loads(path.read_text(encoding="utf-8")) for path in (results / "is-cos-more-accurate").glob("*.json")
    ]
    return max(records, key=lambda record: record["finished"])["commit"] if records else None


def commit_records(results: Path) -> None:
    """Commit new records, whatever else is staged; where git is busy, the next time does."""
    try:
        git("add", "--", str(results), at=results)
        new = git("diff", "--cached", "--name-only", "--diff-filter=A", "--", str(results), at=results).splitlines()
        if new:
            folders = sorted({Path(name).parent.name for name in new})
            git(
                "commit",
                "--quiet",
                "-m",
                f"Records: {len(new)} of {', '.join(folders)}",
                "--",
                str(results),
                at=results,
            )
    except subprocess.CalledProcessError as error:
        print(f"not committed: {error.stderr.strip()}", file=sys.stderr)


def git(*arguments: str, at: Path = ROOT) -> str:
    """Return what git says; CalledProcessError where it refuses."""
    command = ["git", "-C", str(at), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
