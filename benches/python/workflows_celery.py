"""Durable tasks with Celery on Redis: a task, and a chain of five tasks, under the load of workflows_bifrost.py.

Timed: from sending a task or chain until its (last) result is here. Worker and Redis are processes of their own, as
Celery has it: one worker with a process per core.
Not timed: starting Redis and the worker, a warm-up of each load, ending.

Redis appends every write to its log and syncs it before it answers (appendonly yes, appendfsync always), and tasks are
acknowledged when they are done (acks_late), so that neither is lost when a process or the machine dies. Redis shares a
sync among the clients it finds waiting. A task runs again after a crash from its start; a chain has no state besides
the results of its tasks, which is less than durable steps give.

In flight: 100 are sent; whenever the oldest has ended, its result is taken and one more is sent. Results are waited for
in one thread because Celery's Redis client does not share its subscription among threads.
"""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery, chain
from load import arguments, quantile, tell, warm_up

ABOUT = "Redis, AOF synced before every answer; tasks acknowledged late; a chain's tasks instead of steps"

address = os.environ.get("BENCH_REDIS_SOCKET", "")
app = Celery("workflows_celery", broker=f"redis+socket://{address}", backend=f"redis+socket://{address}")
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_hijack_root_logger=False)


@app.task(name="trivial")
def trivial(n: int) -> int:
    return n


@app.task(name="work")
def work(n: int) -> int:
    return n + 1


def steps() -> Any:
    return chain(work.s(1), *(work.s() for _ in range(4))).delay()


def in_flight(send: Callable[[], Any], width: int, seconds: float) -> float:
    started = time.perf_counter()
    waiting = deque(send() for _ in range(width))
    done = 0
    while waiting:
        waiting.popleft().get()
        done += 1
        if time.perf_counter() - started < seconds:
            waiting.append(send())
    return done / (time.perf_counter() - started)


def one_at_a_time(send: Callable[[], Any], seconds: float) -> list[float]:
    taken = []
    ends = time.perf_counter() + seconds
    while (started := time.perf_counter()) < ends:
        send().get()
        taken.append((time.perf_counter() - started) * 1e3)
    return taken


@contextmanager
def running(*command: str, folder: str, **environment: str) -> Iterator[None]:
    with Path(folder, "peers.log").open("a") as log:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def main() -> None:
    given = arguments(__doc__)
    socket = os.environ["BENCH_REDIS_SOCKET"]
    redis = [os.environ["BENCH_REDIS"], "--port", "0", "--unixsocket", socket, "--save", "", "--dir", given.folder]
    durable = ["--appendonly", "yes", "--appendfsync", "always"]
    worker = [sys.executable, "-m", "celery", "-A", "workflows_celery", "worker", "--loglevel", "ERROR"]
    figures: dict[str, float] = {}
    here = str(Path(__file__).parent)
    with running(*redis, *durable, folder=given.folder), running(*worker, folder=given.folder, PYTHONPATH=here):
        for name, send in (("trivial", lambda: trivial.delay(1)), ("steps", steps)):
            send().get(timeout=60)
            in_flight(send, given.in_flight, warm_up(given.seconds))
            figures[f"{name}_rate"] = in_flight(send, given.in_flight, given.seconds)
            one_at_a_time(send, warm_up(given.seconds))
            taken = one_at_a_time(send, given.seconds)
            figures |= {f"{name}_p50": quantile(taken, 0.5), f"{name}_p99": quantile(taken, 0.99)}
    tell(figures, ABOUT, "celery", "redis")


if __name__ == "__main__":
    main()
