"""A crash inside one process, so that the simulated providers outlive it."""

from __future__ import annotations

import asyncio

from bifrost import _native, _steps
from bifrost._native import Run


class Crash:
    """Ends a hub after so many steps as ``kill -9`` would: what is durable at that moment is all that is left of it.

    From then on its workflows stand still in the middle of whatever they do, so that no call of theirs reaches a
    provider any more; a call that was on its way may still arrive, as in life.
    """

    def __init__(self, store: _native.Store, after: int) -> None:
        self._store = store
        self._to_go = after
        #: What is left, once it has happened.
        self.left: _native.Store | None = None
        self.happened = asyncio.Event()

    def __enter__(self) -> Crash:
        _steps.observer = self._follow
        return self

    def __exit__(self, *_: object) -> None:
        _steps.observer = None

    def _follow(self, run: Run, name: str, work: _steps.Work) -> _steps.Work:
        try:
            need = next(work)
            while True:
                if self.left is not None:
                    need = _steps.UserCall(asyncio.Event().wait, 3600.0)
                try:
                    got = yield need
                except Exception as error:
                    need = work.throw(error)
                else:
                    need = work.send(got)
        except StopIteration as done:
            self._ended()
            return done.value

    def _ended(self) -> None:
        self._to_go -= 1
        if self._to_go <= 0 and self.left is None:
            self.left = self._store.fork()
            self.happened.set()
