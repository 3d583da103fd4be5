"""What a workflow sees: steps, effects, configuration, secrets, connections, progress, log and clock.

:class:`AsyncContext` is for ``async def`` workflows, :class:`Context` for plain ones; their methods have the same
names. Functions deep inside a workflow find theirs with :func:`current_context`.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import _steps
from ._calls import block, wait
from ._definition import definition_of
from ._errors import Cancelled, NotFound, describe
from ._forms import AsyncStepForm, StepForm
from ._native import Pending, Run
from .http import AsyncHttp, Http

if TYPE_CHECKING:
    from ._calls import Inbox
    from .graph import AsyncGraph, Graph
    from .halopsa import AsyncHaloPsa, HaloPsa

T = TypeVar("T")

#: The context of the workflow that runs here.
current: contextvars.ContextVar[AsyncContext | Context] = contextvars.ContextVar("bifrost.context")

#: How long a workflow of several tasks may look as if it only waited for steps before its code counts as changed.
_REST = 1.0


def current_context() -> AsyncContext | Context:
    """The context of the workflow that runs here; ``LookupError`` outside of one."""
    return current.get()


class Config(Mapping[str, Any]):
    """The tenant's configuration: its own values, else what it inherits from the provider tenant.

    >>> ctx.config["licence_sku"]            # NotFound when nobody has set it
    >>> ctx.config.get("usage_location", "CH")
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getitem__(self, key: str) -> Any:
        return block(self._run.config(key))

    # What a mapping inherits waits for a KeyError, which `NotFound` is not.
    def get(self, key: str, default: Any = None) -> Any:
        """A value, or ``default`` when nobody has set it."""
        try:
            return self[key]
        except NotFound:
            return default

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key, self) is not self

    def __iter__(self) -> Any:
        raise TypeError("configuration is read by key: what a tenant inherits has no list")

    def __len__(self) -> int:
        raise TypeError("configuration is read by key: what a tenant inherits has no list")


class Secret:
    """A secret by name. It can be passed to clients and printed; its text is filled in where it is sent."""

    __slots__ = ("_run", "name")

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        #: Its name.
        self.name = name

    def reveal(self) -> str:
        """The text itself, for code that no client covers.

        Raises ``PermissionDenied`` unless the hub was opened with ``reveal_secrets=True``; either way it is audited.
        """
        text: str = block(self._run.reveal(self.name))
        return text

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


class Log:
    """Says something to whoever follows the execution. Never pass a secret.

    >>> ctx.log("licence assigned", sku="SPE_E3")
    >>> ctx.log.warning("no manager given")
    """

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, message: str, **fields: Any) -> None:
        self._run.log("info", message, fields)

    info = __call__

    def debug(self, message: str, **fields: Any) -> None:
        """For whoever debugs."""
        self._run.log("debug", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Something to look at."""
        self._run.log("warn", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Something went wrong."""
        self._run.log("error", message, fields)


class _Base:
    """What both kinds of context share: everything that needs no wait."""

    def __init__(self, run: Run) -> None:
        self._run = run
        #: See :class:`Config`.
        self.config = Config(run)
        #: See :class:`Log`.
        self.log = Log(run)

    @property
    def tenant(self) -> str:
        """The tenant's name."""
        return self._run.tenant

    @property
    def execution(self) -> str:
        """The execution's identifier."""
        return self._run.execution

    @property
    def workflow(self) -> str:
        """The workflow's name."""
        return self._run.workflow

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._run.attempt

    @property
    def principal(self) -> str:
        """Who asked for the execution, such as ``user:ada``."""
        return self._run.principal

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to cancel: for long work that wants to stop by itself."""
        return self._run.is_cancelled()

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Tells whoever follows the execution how far it is."""
        self._run.progress(done, total, message)

    def problem(self, error: BaseException | str) -> None:
        """Notes a problem the workflow lives with: the execution will end ``completed_with_errors``."""
        self._run.problem(describe(error if isinstance(error, BaseException) else RuntimeError(error)))

    def secret(self, name: str) -> Secret:
        """A handle to a secret: the tenant's own, else what it inherits from the provider tenant."""
        return Secret(self._run, name)

    def mapping(self, provider: str) -> str:
        """The tenant's id at a provider, such as its HaloPSA client id. Raises ``NotFound``."""
        entity: str = block(self._run.mapping(provider))
        return entity

    def now(self) -> datetime.datetime:
        """The time on the hub's clock, in UTC. It differs between attempts: read it inside a step to branch on it."""
        return datetime.datetime.fromtimestamp(self._run.now(), datetime.timezone.utc)


class AsyncContext(_Base):
    """The context of an ``async def`` workflow."""

    def __init__(self, run: Run, inbox: Inbox) -> None:
        super().__init__(run)
        self._inbox = inbox
        self._main = asyncio.current_task()
        self._steering = 0

    @property
    def graph(self) -> AsyncGraph:
        """Microsoft Graph over the tenant's connection ``graph``."""
        from .graph import AsyncGraph

        return AsyncGraph(lambda: self._run.connection("graph"))

    @property
    def halopsa(self) -> AsyncHaloPsa:
        """HaloPSA over the tenant's connection ``halopsa``."""
        from .halopsa import AsyncHaloPsa

        return AsyncHaloPsa(lambda: self._run.connection("halopsa"))

    def http(self, connection: str) -> AsyncHttp:
        """Any call over the tenant's connection of this name, within its budget and with its sign-in."""
        return AsyncHttp(lambda: self._run.connection(connection))

    @overload
    def step(self, name: str, /) -> AsyncStepForm: ...
    @overload
    def step(
        self, name: str, function: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def step(self, name: str, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, T]: ...
    def step(self, name: str, function: Callable[..., Any] | None = None, /, *args: Any, **kwargs: Any) -> Any:
        """Runs ``function(*args, **kwargs)`` once and stores its result, which must have a form as JSON; on resume the
        stored result is returned and the function does not run.

        It may run more than once if the process dies before its result is stored: for writes to the outside use
        :meth:`effect`. Without a function, a decorator or a context manager: see :class:`AsyncStepForm`.

        >>> count = await ctx.step("count users", ctx.graph.users.count)
        """
        if function is None:
            return AsyncStepForm(self, self._run, name)
        return self._steer(_steps.step(self._run, name, function, args, kwargs))

    @overload
    def effect(
        self,
        name: str,
        function: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        probe: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def effect(
        self,
        name: str,
        function: Callable[..., T],
        /,
        *args: Any,
        probe: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, T]: ...
    def effect(
        self,
        name: str,
        function: Callable[..., Any],
        /,
        *args: Any,
        probe: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A write to the outside, never repeated blindly.

        When its outcome is unknown, after a crash or a lost answer, ``probe()`` is asked: what it returns is the
        write's result, ``None`` says that it was not applied, :data:`bifrost.UNKNOWN` that a person must decide. A
        function with a parameter ``idempotency_key`` is given a key that is the same for every try, and is repeated
        under it when there is no probe. With neither, a person decides.

        >>> user = await ctx.effect(
        ...     "create user", ctx.graph.users.create, new, probe=lambda: ctx.graph.users.find_by_upn(new.upn)
        ... )
        """
        return self._steer(_steps.effect(self._run, name, function, args, kwargs, probe))

    async def run(self, workflow: str | Callable[..., Any], /, **params: Any) -> Any:
        """Runs another workflow of this tenant as a child execution, and returns its output.

        It is a step of this one: on resume the same child is found, never started twice. Cancelling this execution
        cancels it.
        """
        return await self._steer(_steps.child(self._run, _named(workflow), params))

    async def sleep(self, seconds: float) -> None:
        """Waits on the hub's clock. The wait itself is not stored: a resumed execution waits again."""
        started = self._run.sleep(seconds)
        if type(started) is Pending:
            await self._inbox.answer(started)

    async def _steer(self, work: _steps.Work, resume: Callable[[], Any] | None = None) -> Any:
        """Drives a step's protocol, from ``resume`` on if it was left at a block's body: awaits what it needs."""
        self._steering += 1
        try:
            need = next(work) if resume is None else resume()
            while True:
                try:
                    if type(need) is Pending:
                        got = await self._inbox.answer(need)
                    elif type(need) is _steps.UserCall:
                        if need.function is _steps.body:
                            return _steps.body
                        got = await _awaited(need)
                    else:
                        self._rest()
                        got = await self._inbox.answer(need.pending)
                except Exception as error:
                    need = work.throw(error)
                else:
                    need = work.send(got)
        except StopIteration as done:
            return done.value
        finally:
            self._steering -= 1

    def _rest(self) -> None:
        """Lets the hub see a workflow that waits for a step its journal does not know: its code has changed."""
        if self._steering == 1 and asyncio.current_task() is self._main:
            self._run.came_to_rest()
        else:
            self._inbox.loop.call_later(_REST, self._run.came_to_rest)


class Context(_Base):
    """The context of a plain ``def`` workflow."""

    @property
    def graph(self) -> Graph:
        """Microsoft Graph over the tenant's connection ``graph``."""
        from .graph import Graph

        return Graph(lambda: self._run.connection("graph"))

    @property
    def halopsa(self) -> HaloPsa:
        """HaloPSA over the tenant's connection ``halopsa``."""
        from .halopsa import HaloPsa

        return HaloPsa(lambda: self._run.connection("halopsa"))

    def http(self, connection: str) -> Http:
        """Any call over the tenant's connection of this name, within its budget and with its sign-in."""
        return Http(lambda: self._run.connection(connection))

    @overload
    def step(self, name: str, /) -> StepForm: ...
    @overload
    def step(self, name: str, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T: ...
    def step(self, name: str, function: Callable[..., Any] | None = None, /, *args: Any, **kwargs: Any) -> Any:
        """Runs ``function(*args, **kwargs)`` once and stores its result; see :meth:`AsyncContext.step`."""
        if function is None:
            return StepForm(self, self._run, name)
        return self._steer(_steps.step(self._run, name, function, args, kwargs))

    def effect(
        self,
        name: str,
        function: Callable[..., T],
        /,
        *args: Any,
        probe: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> T:
        """A write to the outside, never repeated blindly; see :meth:`AsyncContext.effect`."""
        result: T = self._steer(_steps.effect(self._run, name, function, args, kwargs, probe))
        return result

    def run(self, workflow: str | Callable[..., Any], /, **params: Any) -> Any:
        """Runs another workflow of this tenant as a child execution; see :meth:`AsyncContext.run`."""
        return self._steer(_steps.child(self._run, _named(workflow), params))

    def sleep(self, seconds: float) -> None:
        """Waits on the hub's clock. The wait itself is not stored: a resumed execution waits again."""
        wait(self._run.sleep(seconds))

    def _steer(self, work: _steps.Work, resume: Callable[[], Any] | None = None) -> Any:
        """Drives a step's protocol, from ``resume`` on if it was left at a block's body: blocks for what it needs."""
        if resume is None and self._run.is_cancelled():
            raise Cancelled("the execution is being cancelled", operation="run step")
        try:
            need = next(work) if resume is None else resume()
            while True:
                try:
                    if type(need) is Pending:
                        got = wait(need)
                    elif type(need) is _steps.UserCall:
                        if need.function is _steps.body:
                            return _steps.body
                        got = need.function()
                    else:
                        self._run.came_to_rest()
                        got = wait(need.pending)
                except Exception as error:
                    need = work.throw(error)
                else:
                    need = work.send(got)
        except StopIteration as done:
            return done.value


async def _awaited(call: _steps.UserCall) -> Any:
    """The workflow's own code, for as long as a step may take."""
    got = call.function()
    # Cheaper than asking an abstract base class, and there is one question per step.
    if not hasattr(type(got), "__await__"):
        return got
    if sys.version_info < (3, 11):
        try:
            return await asyncio.wait_for(got, call.limit)
        except asyncio.TimeoutError as error:
            raise _steps.StepOverdue from error
    try:
        async with asyncio.timeout(call.limit) as limit:
            return await got
    except TimeoutError as error:
        if limit.expired():
            raise _steps.StepOverdue from error
        raise


def _named(workflow: str | Callable[..., Any]) -> str:
    return workflow if isinstance(workflow, str) else definition_of(workflow).name
