"""A step without a function at hand: as a decorator, or as a block."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from ._calls import block, finish, wait
from ._errors import describe
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
        self._handle: Any = None
        #: Whether the step was done in an earlier attempt; its body must not do it again.
        self.done = False
        #: The result: what was stored, or what the body sets.
        self.value: Any = None

    def _begun(self, begun: Any) -> None:
        self._handle, action, payload = begun
        self.done = action == "done"
        self.value = payload if self.done else None

    def _ended(self, error: BaseException | None) -> Any:
        if self.done or not (error is None or isinstance(error, Exception)):
            return None
        if error is not None:
            return self._handle.failed(describe(error, "run step"))
        return self._handle.succeeded(self.value)

    def _told(self, told: Any) -> None:
        if told is not None:
            self.value = told[1]


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

    def __call__(self, function: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Awaitable[T]:
            return self._context.step(self._name, function, *args, **kwargs)

        return call

    async def __aenter__(self) -> AsyncStepForm:
        self._begun(await finish(self._run.begin(self._name, "step")))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._told(await finish(self._ended(error)))


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
        self._begun(wait(self._run.begin(self._name, "step")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._told(block(self._ended(error)))
