"""Workers of a shared run under Ray: one actor a worker, which starts `promptbatch work` and starts it again when it is killed.

Ray places the workers. The ledger of the run decides who drives which job, so that restarts and lost nodes pay for nothing twice.
Each worker reads its token from the environment of its node, or from a file there. Nothing secret passes through Ray.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional
from urllib.parse import parse_qsl, urlsplit

import ray

from promptbatch import find_program

__all__ = ["Worker", "WorkerResult", "exit_code", "work"]

# Of the output of a worker: how many of its last lines are kept, and the longest line that is read.
N_LINES, LINE_BYTES_MAX = 20, 1 << 20

# In seconds: the longest pause before a restart, where the first is 1 s and each is twice the one before; and how long an actor may take to hear that it is to stop.
RESTART_PAUSE_MAX, STOP_ANSWER_MAX = 30.0, 5.0

# Exit codes of a worker that left well, as somebody asked it to.
INTERRUPTED = (129, 130, 143)

# Names of variables that hold secrets. A file's name is none.
SECRET = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD|CREDENTIAL)(?!.*_FILE$)", re.IGNORECASE)

REFUSED = "could not start workers under Ray"

# Script between the actor and the program. Ray kills the children of an actor with SIGKILL: that ends the script, and the program gets SIGTERM.
GUARDED = 'trap : TERM; setpriv --pdeathsig TERM "$@"; exit $?'


class WorkerResult(NamedTuple):
    """How a worker ended."""

    returncode: Optional[int]
    """Exit code of the program; 128 and the signal's number if it was killed. `None`: Ray lost the actor more often than it may restart."""
    last_lines: list[str]
    """Last lines that the program printed, or what Ray says of the actor."""
    n_restarts: int
    """How often the program was started again, since the actor itself was last started."""
    host: str
    """Name of the machine; empty if Ray lost the actor."""


class Worker:
    """One worker. Ray makes an actor of it."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str], max_restarts: int) -> None:
        self._args = list(args)
        self._env = dict(env)
        self._max_restarts = max_restarts
        self._lines: deque[str] = deque(maxlen=N_LINES)
        self._process: Optional[Process] = None
        self._is_stopped = False

    async def run(self) -> WorkerResult:
        """Runs the program to its end, and again whenever a signal has killed it."""
        n_restarts = 0
        while True:
            code = await self._run_once()
            is_killed = code > 128 and code not in INTERRUPTED
            if self._is_stopped or not is_killed or n_restarts == self._max_restarts:
                return WorkerResult(code, list(self._lines), n_restarts, socket.gethostname())
            await asyncio.sleep(min(2.0 ** min(n_restarts, 10), RESTART_PAUSE_MAX))
            n_restarts += 1

    async def stop(self) -> None:
        """Lets the program record what is in flight, and end."""
        self._is_stopped = True
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    async def _run_once(self) -> int:
        if self._is_stopped:
            return 128 + signal.SIGTERM
        command = [find_program(), "work", *self._args]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", GUARDED, "sh", *command]
        process = self._process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, limit=LINE_BYTES_MAX,
            env={**os.environ, **self._env}, start_new_session=True,
        )
        if self._is_stopped:  # meanwhile: the program has not begun, and may not hear SIGTERM yet
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout is not None
        async for line in process.stdout:
            self._lines.append(line.decode(errors="replace").rstrip())
            print(self._lines[-1], flush=True)
        code = await process.wait()
        return code if code >= 0 else 128 - code


def work(
    ledger: str,
    *,
    num_workers: int,
    images: Optional[str] = None,
    out: Optional[str] = None,
    args: Sequence[str] = (),
    env: Optional[Mapping[str, str]] = None,
    num_cpus: float = 1,
    memory: Optional[float] = None,
    resources: Optional[Mapping[str, float]] = None,
    max_restarts: int = 10,
) -> list[WorkerResult]:
    """Works on a shared run with this many workers, spread over the nodes of the cluster, until all of them have ended.

    `ledger`, `images` and `out` are the flags of `promptbatch work`, and `args` are further ones. `env` is added to the environment of
    the node. `num_cpus`, `memory` in bytes and `resources` are what Ray reserves for each worker. A worker is started again if the
    program was killed by a signal, or if its actor or node died: each at most `max_restarts` times, or without end if that is -1.
    An exit code ends it: the program has said what is to be done. An exception, such as that of Ctrl-C, stops all workers well.
    """
    if num_workers < 1:
        raise ValueError(f"{REFUSED}: num_workers is {num_workers}; ask for one at least")
    _refuse_secrets(ledger, env or {})
    flags = ["--ledger", ledger, *(["--images", images] if images else []), *(["-o", out] if out else [])]
    actor: Any = ray.remote(Worker).options(
        num_cpus=num_cpus, memory=memory, resources=dict(resources or {}),
        scheduling_strategy="SPREAD", max_restarts=max_restarts, max_task_retries=max_restarts,
    )
    workers = [actor.remote([*flags, *args], env or {}, max_restarts) for _ in range(num_workers)]
    runs = [worker.run.remote() for worker in workers]
    try:
        return [_result(run) for run in runs]
    except BaseException:
        stops = {worker.stop.remote(): (worker, run) for worker, run in zip(workers, runs)}
        stopped, silent = ray.wait(list(stops), num_returns=len(stops), timeout=STOP_ANSWER_MAX)
        for stop in silent:  # such as that of a worker that waits for a place
            ray.kill(stops[stop][0])
        for stop in stopped:
            ray.wait([stops[stop][1]])
        raise


def exit_code(results: Sequence[WorkerResult]) -> int:
    """Returns one exit code for all workers. Those that see the end of the run know how it went; the others left early."""
    codes = [1 if result.returncode is None else result.returncode for result in results]
    return next((code for code in (100, 0) if code in codes), codes[0])


def _result(run: Any) -> WorkerResult:
    try:
        return WorkerResult(*ray.get(run))
    except ray.exceptions.RayActorError as error:
        return WorkerResult(None, str(error).splitlines(), 0, "")


def _refuse_secrets(ledger: str, env: Mapping[str, str]) -> None:
    parts = urlsplit(ledger)
    if parts.password is not None or any(name == "password" for name, _ in parse_qsl(parts.query)):
        raise ValueError(f"{REFUSED}: Ray would show the password in the ledger's address; use PGPASSWORD or ~/.pgpass on every node")
    for name in filter(SECRET.search, env):
        raise ValueError(f"{REFUSED}: Ray would store {name}, which looks like a secret; set it on every node, or use a file there")


def main() -> int:
    """Works on a shared run from the command line."""
    epilog = "Further flags go to `promptbatch work`."
    parser = argparse.ArgumentParser(prog="python -m promptbatch.ray", epilog=epilog, allow_abbrev=False)
    parser.add_argument("--ledger", required=True, metavar="URL", help="address of the shared run, without a password")
    parser.add_argument("--num-workers", required=True, type=int, metavar="N")
    parser.add_argument("--num-cpus", type=float, default=1, metavar="N", help="CPUs that Ray reserves for each worker (1)")
    parser.add_argument("--max-restarts", type=int, default=10, metavar="N", help="restarts of each worker; -1 for no limit (10)")
    parser.add_argument("--address", help="address of the Ray cluster (RAY_ADDRESS, or else a cluster on this machine)")
    told, args = parser.parse_known_args()
    ray.init(address=told.address)
    try:
        results = work(told.ledger, num_workers=told.num_workers, num_cpus=told.num_cpus, max_restarts=told.max_restarts, args=args)
    except (KeyboardInterrupt, SystemExit) as error:
        # Ray turns SIGTERM into SystemExit.
        return 130 if isinstance(error, KeyboardInterrupt) else 143
    except ValueError as error:
        parser.error(str(error))
    for number, result in enumerate(results, 1):
        ended = f"worker {number} on {result.host or 'a lost node'}: exit code {result.returncode}, {result.n_restarts} restarts"
        print(ended, *result.last_lines[-1:], sep="\n  ")
    return exit_code(results)


if __name__ == "__main__":
    # The actors find the class by the name of its module, and not as a part of `__main__`.
    from promptbatch import ray as module

    sys.exit(module.main())
