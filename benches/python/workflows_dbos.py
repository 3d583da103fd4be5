"""Durable workflows with DBOS on SQLite: the same two workflows as in workflows_bifrost.py, under the same load.

Timed: from calling a workflow until its result is here, in the process that runs it. DBOS commits the start of each
workflow, the result of each step and the end of each workflow to SQLite.
Not timed: launching, migrations, a warm-up of each load, ending.

SQLite is put into WAL mode with synchronous=FULL, its default: each commit is synced. That is as durable as the
rollback journal DBOS would use by itself, and faster. Workflows are plain functions, called directly, in one thread per
workflow in flight. Tracing is off.
DBOS 3.4 needs SQLite 3.42; where Python has an older one, that of the package pysqlite3 takes its place.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from load import Call, arguments, tell
from load import workflow as measured

if sqlite3.sqlite_version_info < (3, 42):
    import pysqlite3 as sqlite3

    sys.modules |= {"sqlite3": sqlite3, "sqlite3.dbapi2": sqlite3.dbapi2}

from dbos import DBOS, DBOSConfig

ABOUT = f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL: every start, step and end synced"


@DBOS.step()
def work(n: int) -> int:
    return n + 1


@DBOS.workflow()
def trivial(n: int) -> int:
    return n


@DBOS.workflow()
def steps(n: int) -> int:
    for _ in range(5):
        n = work(n)
    return n


def calling(pool: ThreadPoolExecutor, function: Callable[[int], int]) -> Call:
    loop = asyncio.get_running_loop()

    async def call() -> None:
        await loop.run_in_executor(pool, function, 1)

    return call


async def main() -> None:
    given = arguments(__doc__)
    figures: dict[str, float] = {}
    database = Path(given.folder, "dbos.sqlite")
    sqlite3.connect(database).execute("PRAGMA journal_mode=WAL").connection.close()
    config: DBOSConfig = {"name": "bench", "system_database_url": f"sqlite:///{database}", "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()
    try:
        with ThreadPoolExecutor(given.in_flight) as pool:
            for name, function in (("trivial", trivial), ("steps", steps)):
                figures |= await measured(name, calling(pool, function), given)
    finally:
        DBOS.destroy()
    tell(figures, ABOUT, "dbos")


asyncio.run(main())
