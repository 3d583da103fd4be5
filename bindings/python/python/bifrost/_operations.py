"""How one declaration becomes a method of both twins, ``Users`` and ``AsyncUsers``.

An area declares its operations once, on a class both twins share; each builds a :class:`Call` without doing anything:

    class _Users(Area):
        @operation
        def get(self, id_or_upn: str) -> Call[User]:
            '''The user with this object id or sign-in name.'''
            return typed("users.get", {"id": id_or_upn}, User.from_dict)

    class Users(_Users, Blocking): ...        # users.get("zoe@contoso.com") -> User
    class AsyncUsers(_Users, Awaiting): ...   # await users.get("zoe@contoso.com") -> User

Type checkers see the descriptors of this module; at run time each twin gets plain functions in their place, with
signature and docstring of the declaration.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from ._calls import finish, wait
from ._pages import AsyncPages, List, Pages

P = ParamSpec("P")
T = TypeVar("T")
N = TypeVar("N")
I = TypeVar("I")  # noqa: E741
T_co = TypeVar("T_co", covariant=True)
N_contra = TypeVar("N_contra", contravariant=True)
I_contra = TypeVar("I_contra", contravariant=True)


class Door:
    """The way to one connection, opened at the first call and shared by all areas of a client."""

    __slots__ = ("_connection", "_opener")

    def __init__(self, opener: Callable[[], Any]) -> None:
        self._opener = opener
        self._connection: Any = None

    def open(self) -> Any:
        """The connection, blocking."""
        if self._connection is None:
            self._connection = wait(self._opener())
        return self._connection

    async def open_async(self) -> Any:
        """The connection, on the running event loop."""
        if self._connection is None:
            self._connection = await finish(self._opener())
        return self._connection


class Call(Generic[T]):
    """One call, not made yet: how it is started, and how its answer is read."""

    __slots__ = ("read", "start")

    def __init__(self, start: Callable[[Any], Any], read: Callable[[Any], T]) -> None:
        self.start = start
        self.read = read


def typed(
    name: str, args: dict[str, Any], read: Callable[[Any], T], secrets: list[tuple[str, str]] | None = None
) -> Call[T]:
    """A call of an operation such as ``users.get``."""
    area, _, operation = name.partition(".")
    return Call(lambda connection: connection.call(area, operation, args, secrets or []), read)


def listing(name: str, args: dict[str, Any], read: Callable[[Any], T], resume: str | None) -> List[T]:
    """A list whose pages come from an operation such as ``users.page``."""
    area, _, operation = name.partition(".")

    def start(connection: Any, token: str | None) -> Any:
        return connection.call(area, operation, args if token is None else {**args, "resume": token}, [])

    return List(start, read, resume)


def nothing(_: Any) -> None:
    """Reads an answer that says nothing."""


def optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Reads an answer that may be none."""
    return lambda data: None if data is None else read(data)


def each(read: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """Reads a list that has no pages."""
    return lambda data: [read(item) for item in data]


class Area:
    """Calls that belong together, over one connection."""

    def __init__(self, door: Door) -> None:
        self._door = door


class Blocking(Area):
    """An area whose calls block, without the GIL."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, declared in _declared(cls):
            setattr(cls, name, declared.blocking())


class Awaiting(Area):
    """An area whose calls are awaited."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, declared in _declared(cls):
            setattr(cls, name, declared.awaiting())


def _declared(cls: type) -> list[tuple[str, _Declared]]:
    found = [(name, value) for base in cls.__mro__ for name, value in vars(base).items()]
    return [(name, value) for name, value in found if isinstance(value, _Declared)]


class _Declared:
    """An operation as it was declared."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def blocking(self) -> Callable[..., Any]:
        build = self._build

        def call(area: Any, /, *args: Any, **kwargs: Any) -> Any:
            made = build(area, *args, **kwargs)
            return made.read(wait(made.start(area._door.open())))

        return _dressed(call, build)

    def awaiting(self) -> Callable[..., Any]:
        build = self._build

        async def call(area: Any, /, *args: Any, **kwargs: Any) -> Any:
            made = build(area, *args, **kwargs)
            door = area._door
            return made.read(await finish(made.start(door._connection or await door.open_async())))

        return _dressed(call, build)


def _dressed(call: Callable[..., Any], build: Callable[..., Any], wrapper: str = "") -> Callable[..., Any]:
    """``call`` with the name, docstring and signature of ``build``, returning what comes of the call."""
    functools.update_wrapper(call, build)
    signature = inspect.signature(build)
    returns = str(signature.return_annotation)
    returns = returns[returns.find("[") + 1 : -1] if returns.endswith("]") else returns
    returns = f"{wrapper}[{returns}]" if wrapper else returns
    call.__dict__["__signature__"] = signature.replace(return_annotation=returns)
    call.__annotations__ = {**getattr(build, "__annotations__", {}), "return": returns}
    return call


class Operation(_Declared, Generic[P, T]):
    """A call with one answer; see :func:`operation`."""

    @overload
    def __get__(self, area: Blocking, owner: Any = None, /) -> Callable[P, T]: ...
    @overload
    def __get__(self, area: Awaiting, owner: Any = None, /) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, area: None, owner: Any = None, /) -> Operation[P, T]: ...
    def __get__(self, area: Any, owner: Any = None, /) -> Any:
        return self


def operation(build: Callable[Concatenate[Any, P], Call[T]]) -> Operation[P, T]:
    """Declares a call with one answer."""
    return Operation(build)


class Listing(_Declared, Generic[P, T]):
    """A list that comes page by page; see :func:`pages`."""

    @overload
    def __get__(self, area: Blocking, owner: Any = None, /) -> Callable[P, Pages[T]]: ...
    @overload
    def __get__(self, area: Awaiting, owner: Any = None, /) -> Callable[P, AsyncPages[T]]: ...
    @overload
    def __get__(self, area: None, owner: Any = None, /) -> Listing[P, T]: ...
    def __get__(self, area: Any, owner: Any = None, /) -> Any:
        return self

    def blocking(self) -> Callable[..., Any]:
        build = self._build

        def call(area: Any, /, *args: Any, **kwargs: Any) -> Any:
            door = area._door
            return Pages(build(area, *args, **kwargs), door.open)

        return _dressed(call, build, "Pages")

    def awaiting(self) -> Callable[..., Any]:
        build = self._build

        def call(area: Any, /, *args: Any, **kwargs: Any) -> Any:
            door = area._door
            return AsyncPages(build(area, *args, **kwargs), door.open_async)

        return _dressed(call, build, "AsyncPages")


def pages(build: Callable[Concatenate[Any, P], List[T]]) -> Listing[P, T]:
    """Declares a list that comes page by page."""
    return Listing(build)


class Creator(Protocol[P, N_contra, T_co]):  # pyright: ignore[reportInvalidTypeVarUse]
    """Takes what to create as an object, a dictionary, or keywords."""

    @overload
    def __call__(self, new: N_contra | Mapping[str, Any], /) -> T_co: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


class Creation(_Declared, Generic[P, N, T]):
    """A call that takes an object of its own; see :func:`creation`."""

    def __init__(self, kind: Callable[P, N], build: Callable[[Any, N], Call[T]]) -> None:
        super().__init__(_from_keywords(kind, build, 0))

    @overload
    def __get__(self, area: Blocking, owner: Any = None, /) -> Creator[P, N, T]: ...
    @overload
    def __get__(self, area: Awaiting, owner: Any = None, /) -> Creator[P, N, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, area: None, owner: Any = None, /) -> Creation[P, N, T]: ...
    def __get__(self, area: Any, owner: Any = None, /) -> Any:
        return self


def creation(kind: Callable[P, N]) -> Callable[[Callable[[Any, N], Call[T]]], Creation[P, N, T]]:
    """Declares a call that takes a ``kind``, as an object, a dictionary, or the keywords of its constructor."""
    return lambda build: Creation(kind, build)


class Changer(Protocol[P, I_contra, N_contra, T_co]):  # pyright: ignore[reportInvalidTypeVarUse]
    """Takes what to change, and the changes as an object, a dictionary, or keywords."""

    @overload
    def __call__(self, id: I_contra, changes: N_contra | Mapping[str, Any], /) -> T_co: ...
    @overload
    def __call__(self, id: I_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


class Change(_Declared, Generic[P, I, N, T]):
    """A call that changes what has an id; see :func:`change`."""

    def __init__(self, kind: Callable[P, N], build: Callable[[Any, I, N], Call[T]]) -> None:
        super().__init__(_from_keywords(kind, build, 1))

    @overload
    def __get__(self, area: Blocking, owner: Any = None, /) -> Changer[P, I, N, T]: ...
    @overload
    def __get__(self, area: Awaiting, owner: Any = None, /) -> Changer[P, I, N, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, area: None, owner: Any = None, /) -> Change[P, I, N, T]: ...
    def __get__(self, area: Any, owner: Any = None, /) -> Any:
        return self


def change(kind: Callable[P, N]) -> Callable[[Callable[[Any, I, N], Call[T]]], Change[P, I, N, T]]:
    """Declares a call that takes an id and a ``kind``, as an object, a dictionary, or keywords."""
    return lambda build: Change(kind, build)


def _from_keywords(kind: Any, build: Callable[..., Any], ids: int) -> Callable[..., Any]:
    """``build``, taking the object after ``ids`` arguments also as a dictionary or as keywords."""

    def with_object(area: Any, /, *args: Any, **fields: Any) -> Any:
        if len(args) <= ids:
            return build(area, *args, kind(**fields))
        if fields:
            raise TypeError(f"{build.__name__}() takes a {kind.__name__} or its keywords, not both")
        *before, given = args
        made = kind(**given) if isinstance(given, Mapping) else given
        if not isinstance(made, kind):
            raise TypeError(f"{build.__name__}() takes a {kind.__name__}, a dictionary or keywords, not {given!r:.80}")
        return build(area, *before, made)

    functools.update_wrapper(with_object, build)
    declared = inspect.signature(build)
    own = list(declared.parameters.values())[: 1 + ids]
    own = [parameter.replace(kind=inspect.Parameter.POSITIONAL_ONLY) for parameter in own]
    fields = list(inspect.signature(kind).parameters.values())
    with_object.__dict__["__signature__"] = declared.replace(parameters=[*own, *fields])
    return with_object


def given(record: Any, *, but: tuple[str, ...] = (), absent: Any = None) -> dict[str, Any]:
    """The fields of a dataclass that were set, by name."""
    values = ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))
    return {name: value for name, value in values if value is not absent and name not in but}
