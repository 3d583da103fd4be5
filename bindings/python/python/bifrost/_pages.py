"""Lists that come page by page, one page in memory at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ._calls import finish, wait

T = TypeVar("T")


class List(Generic[T]):
    """A list, not asked for yet: how a page is started, how an item is read, and where it goes on."""

    __slots__ = ("read", "resume", "start")

    def __init__(self, start: Callable[[Any, str | None], Any], read: Callable[[Any], T], resume: str | None) -> None:
        self.start = start
        self.read = read
        self.resume = resume


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list."""

    #: Its items; may be empty although more pages follow.
    items: list[T]
    #: The token of the page after it; ``None`` after the last one.
    next: str | None
    #: How many items there are in all, where the provider was asked and says so.
    total: int | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class _Base(Generic[T]):
    """What both kinds of list share."""

    def __init__(self, listed: List[T]) -> None:
        self._list = listed
        self._resume = listed.resume
        self._total: int | None = None

    @property
    def resume_token(self) -> str | None:
        """Where to go on later, also in another process: pass it as ``resume=`` to the same call.

        What was handed out in whole pages is behind it; of a page left in the middle, all items come again. ``None``
        before the first page and after the last one.
        """
        return self._resume

    @property
    def total(self) -> int | None:
        """How many items there are in all, once the first page is there and if the provider says so."""
        return self._total

    def _read(self, data: Any) -> Page[T]:
        read = self._list.read
        page = Page([read(item) for item in data["items"]], data["next"], data["total"])
        if page.total is not None:
            self._total = page.total
        return page

    def __repr__(self) -> str:
        return f"<{type(self).__name__} resume_token={self._resume!r:.60}>"


class Pages(_Base[T]):
    """A list of a provider, fetched page by page as it is iterated.

    >>> for user in ctx.graph.users.list(filter="department eq 'Sales'"):
    ...     print(user.display_name)
    """

    def __init__(self, listed: List[T], connect: Callable[[], Any]) -> None:
        super().__init__(listed)
        self._connect = connect

    def __iter__(self) -> Iterator[T]:
        here = self._list.resume
        for page in self._pages():
            self._resume = here
            last = len(page.items) - 1
            for index, item in enumerate(page.items):
                if index == last:
                    self._resume = page.next
                yield item
            here = self._resume = page.next

    def pages(self) -> Iterator[Page[T]]:
        """The pages themselves."""
        for page in self._pages():
            self._resume = page.next
            yield page

    def first(self) -> T | None:
        """The first item; ``None`` when there is none."""
        return next(iter(self), None)

    def all(self) -> list[T]:
        """Every item, in one list: keep it for lists that are short."""
        return list(self)

    def _pages(self) -> Iterator[Page[T]]:
        connection = self._connect()
        token = self._list.resume
        while True:
            page = self._read(wait(self._list.start(connection, token)))
            token = page.next
            yield page
            if token is None:
                return


class AsyncPages(_Base[T]):
    """A list of a provider, fetched page by page as it is iterated.

    >>> async for user in ctx.graph.users.list(filter="department eq 'Sales'"):
    ...     print(user.display_name)
    """

    def __init__(self, listed: List[T], connect: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(listed)
        self._connect = connect

    async def __aiter__(self) -> AsyncIterator[T]:
        here = self._list.resume
        async for page in self._pages():
            self._resume = here
            last = len(page.items) - 1
            for index, item in enumerate(page.items):
                if index == last:
                    self._resume = page.next
                yield item
            here = self._resume = page.next

    async def pages(self) -> AsyncIterator[Page[T]]:
        """The pages themselves."""
        async for page in self._pages():
            self._resume = page.next
            yield page

    async def first(self) -> T | None:
        """The first item; ``None`` when there is none."""
        async for item in self:
            return item
        return None

    async def all(self) -> list[T]:
        """Every item, in one list: keep it for lists that are short."""
        return [item async for item in self]

    async def _pages(self) -> AsyncIterator[Page[T]]:
        connection = await self._connect()
        token = self._list.resume
        while True:
            page = self._read(await finish(self._list.start(connection, token)))
            token = page.next
            yield page
            if token is None:
                return
