"""A step without a function at hand: as a decorator, or as a block."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _steps
from ._native import Run

if TYPE_CHECKING:
    from .context import AsyncContext, Context

T = TypeVar("T")


class _Block:
    """A step as a block: its body stores the value unless that was stored before.

    >>> async with ctx.step("create user") as step:
    ...     if not step.done:
    ...         step.value = await create_user()
    >>> step.value
    """

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        self._name = name
        self._work: _steps.Work = _steps.block(run, name)
        #: Whether the step was done in an earlier attempt; its body must not do it again.
        self.done = False
        #: The result: what was stored, or what the body sets.
        self.value: Any = None

    def _begun(self, got: Any) -> None:
        self.done = got is not _steps.body
        self.value = got if self.done else None

    def _ended(self, error: BaseException | None) -> Callable[[], Any] | None:
        """How the protocol goes on after the body; ``None`` when there is nothing to tell the hub."""
        if self.done:
            return None
        if error is None:
            return functools.partial(self._work.send, self.value)
        if isinstance(error, Exception):
            return functools.partial(self._work.throw, error)
        # The attempt ends here: what was begun is begun again by the next one.
        self._work.close()
        return None


class AsyncStepForm(_Block):
    """``ctx.step("name")`` without a function, in an async workflow.

    As a decorator, each call is a step; as a block, see the example of its base.

    >>> @ctx.step("create user")
    ... async def user() -> dict[str, str]: ...
    >>> await user()
    """

    def __init__(self, context: AsyncContext, run: Run, name: str) -> None:
        super().__init__(run, name)
        self._context = context

    def __call__(self, function: Callable[..., Awaitable[T]]) -> Callable[..., Coroutine[Any, Any, T]]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, T]:
            return self._context.step(self._name, function, *args, **kwargs)

        return call

    async def __aenter__(self) -> AsyncStepForm:
        self._begun(await self._context._steer(self._work))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        resume = self._ended(error)
        if resume is None:
            return
        try:
            self.value = await self._context._steer(self._work, resume)
        except Exception as raised:
            # The body's own exception goes on as it is, from where it was raised.
            if raised is not error:
                raise


class StepForm(_Block):
    """``ctx.step("name")`` without a function, in a plain workflow; see :class:`AsyncStepForm`."""

    def __init__(self, context: Context, run: Run, name: str) -> None:
        super().__init__(run, name)
        self._context = context

    def __call__(self, function: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> T:
            return self._context.step(self._name, function, *args, **kwargs)

        return call

    def __enter__(self) -> StepForm:
        self._begun(self._context._steer(self._work))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        resume = self._ended(error)
        if resume is None:
            return
        try:
            self.value = self._context._steer(self._work, resume)
        except Exception as raised:
            # The body's own exception goes on as it is, from where it was raised.
            if raised is not error:
                raise
