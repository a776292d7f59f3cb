"""What Dask costs a run, and whether one is lost or doubled: short runs on a cluster whose workers come and go.

    python benchmarks/simulated_cluster.py [--workers 100] [--runs 2000] [--seconds 0.2] [--killed 0.2]

The workers live ten to a process, one thread each, without a nanny; processes are killed (SIGKILL) in the middle of the
work, and as many new ones join. A run sleeps; its record is the task's value, and is written here, as by `run_missing`.
Nothing here imports PyTorch. Overhead of a run: wall time less the time that the runs slept divided by the number of
workers, divided by the number of runs; so it holds the writing of records and the work that is lost and done again.
Exits with 1 where a record is missing or doubled, or the overhead is above 20 ms.
"""

import argparse
import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import LocalCluster, Worker

from cosnb.experiments.cluster import QUIET, Calls, connect
from cosnb.experiments.records import record

LIMIT = 0.020
EXPERIMENT = "simulated"
CONFIG = {"activation": "cos"}
DIGEST = record.config_digest(CONFIG)
READY_SECONDS = 120


@dataclass(frozen=True)
class Result:
    """What came of a simulation: records by seed, and times in seconds."""

    records: Counter[int]
    killed: int
    joined: int
    wall: float
    overhead: float
    cpu: float
    torch: bool


def short_run(seed: int, seconds: float) -> tuple[dict[str, Any], bool]:
    """Sleep and return the record of `seed`, and whether PyTorch was imported."""
    time.sleep(seconds)
    content: dict[str, Any] = {"schema": record.SCHEMA, "experiment": EXPERIMENT, "config": CONFIG}
    content |= {"config_digest": DIGEST, "seed": seed, "status": "ok", "epochs": [], "code_digest": "", "data": {}}
    return content | {"device": {"process": os.getpid()}}, "torch" in sys.modules


def host(address: str, number: int) -> None:
    """Be `number` workers of the scheduler at an address until it goes."""

    async def work() -> None:
        workers = [Worker(address, nthreads=1, memory_limit=0, dashboard=False) for _ in range(number)]
        await asyncio.gather(*workers)
        await asyncio.gather(*(worker.finished() for worker in workers))

    dask.config.set(QUIET)  # a hundred workers share this machine
    logging.getLogger("distributed").handlers[0].setLevel(logging.CRITICAL)
    asyncio.run(work())


def simulate(workers: int, runs: int, seconds: float, killed: float, hosts: int) -> Result:
    """Do `runs` runs on `workers` workers in so many processes, kill that share of them, and count what is there."""
    each = workers // hosts
    deaths = round(killed * hosts)
    context = multiprocessing.get_context("forkserver")  # imports Dask once
    context.set_forkserver_preload(["distributed", "cosnb.experiments.cluster"])
    processes: list[Any] = []

    def start_host() -> None:
        processes.append(context.Process(target=host, args=(local.scheduler_address, each), daemon=True))
        processes[-1].start()

    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as local,
        connect(local.scheduler_address) as client,
    ):
        try:
            for _ in range(hosts):
                start_host()
            client.wait_for_workers(each * hosts, timeout=READY_SECONDS)
            calls: Calls[int, tuple[dict[str, Any], bool]] = Calls(client, short_run, seconds)
            start, cpu = time.perf_counter(), time.process_time()
            calls.add(range(runs))
            ended: list[bool] = []
            lost = 0
            while len(calls):
                for seed, result in calls.ended():
                    if isinstance(result, BaseException):
                        raise RuntimeError(f"seed {seed} was lost: {result}") from result
                    record.write(result[0], Path(folder))
                    ended.append(result[1])
                if lost < deaths and len(ended) > (lost + 1) * runs / (deaths + 2):
                    os.kill(processes[lost].pid, signal.SIGKILL)
                    start_host()
                    lost += 1
                time.sleep(0.01)
            wall = time.perf_counter() - start
            cpu = time.process_time() - cpu
            seeds = Counter(one["seed"] for one in record.read(EXPERIMENT, Path(folder)))
        finally:
            for process in processes:
                process.kill()
                process.join()
    overhead = (wall - runs * seconds / (each * hosts)) / runs
    return Result(seeds, lost * each, lost * each, wall, overhead, cpu / runs, any(ended))


def main() -> None:
    """Print the counts and the overhead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.2, help="what a run sleeps")
    parser.add_argument("--killed", type=float, default=0.2, help="share of the workers that is killed")
    arguments = parser.parse_args()
    hosts = min(10, arguments.workers)
    done = simulate(arguments.workers, arguments.runs, arguments.seconds, arguments.killed, hosts)
    once = sum(count == 1 for count in done.records.values())
    print(f"{arguments.runs} runs of {arguments.seconds} s, {arguments.workers} workers in {hosts} processes")
    print(f"{done.killed} workers killed, {done.joined} joined; PyTorch imported: {done.torch}")
    print(f"{once} runs recorded once, {sum(done.records.values())} records")
    print(f"{done.wall:.1f} s in all; scheduler and client: {1000 * done.cpu:.2f} ms of processor time a run")
    print(f"overhead {1000 * done.overhead:.2f} ms a run (at most {1000 * LIMIT:.0f} allowed)")
    sys.exit(not once == arguments.runs == sum(done.records.values()) or done.overhead > LIMIT)


if __name__ == "__main__":
    main()
