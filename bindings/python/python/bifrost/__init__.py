"""Bifrost Hub: an integration hub for Managed Service Providers, in your own process.

A program::

    from bifrost import AsyncContext, Hub, workflow

    @workflow
    async def greet(ctx: AsyncContext, name: str) -> str:
        return await ctx.step("greet", lambda: f"Hello, {name}!")

    with Hub.open("./data") as hub:
        print(hub.create_tenant("contoso", exist_ok=True).run(greet, name="Zoë").result())
"""

from typing import TYPE_CHECKING

from ._definition import Option, Retry, data_provider, workflow
from ._errors import (
    AcknowledgedDataMissing,
    AlreadyExists,
    BifrostError,
    Cancelled,
    Closed,
    Conflict,
    Internal,
    InvalidInput,
    NeedsAttention,
    NotFound,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    ReauthRequired,
    Rejected,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StorePoisoned,
    Suspended,
    Throttled,
    TimedOut,
    TooLarge,
    Unavailable,
    UnknownOutcome,
    WorkflowFailed,
)
from ._native import __version__
from ._params import Param
from ._steps import NOT_DONE, UNKNOWN, Done
from ._table import Table
from .context import AsyncContext, Context, Secret, current_context
from .execution import AsyncExecution, Event, Execution, Outcome
from .hub import AsyncHub, Hub
from .simulators import Simulators
from .tenant import AsyncTenant, Tenant

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """The typed clients are modules of this one from their first use on: their models take a while to make."""
        if name not in {"graph", "graph_models", "halopsa", "halopsa_models"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return importlib.import_module(f".{name}", __name__)


__all__ = [
    "NOT_DONE",
    "UNKNOWN",
    "AcknowledgedDataMissing",
    "AlreadyExists",
    "AsyncContext",
    "AsyncExecution",
    "AsyncHub",
    "AsyncTenant",
    "BifrostError",
    "Cancelled",
    "Closed",
    "Conflict",
    "Context",
    "Done",
    "Event",
    "Execution",
    "Hub",
    "Internal",
    "InvalidInput",
    "NeedsAttention",
    "NotFound",
    "Option",
    "Outcome",
    "Overloaded",
    "Param",
    "PermissionDenied",
    "QuotaExceeded",
    "ReauthRequired",
    "Rejected",
    "Retry",
    "Secret",
    "Simulators",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StorePoisoned",
    "Suspended",
    "Table",
    "Tenant",
    "Throttled",
    "TimedOut",
    "TooLarge",
    "Unavailable",
    "UnknownOutcome",
    "WorkflowFailed",
    "__version__",
    "current_context",
    "data_provider",
    "workflow",
]
