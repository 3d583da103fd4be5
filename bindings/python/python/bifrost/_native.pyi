"""The native half of the package. Private: import from `bifrost` instead.

Calls that may have to wait hand over a `Started`: the value itself where no wait was needed, else a `Pending` that
comes to it. `bifrost._calls` waits for either, blocking or on an event loop. Times are seconds, moments are seconds
since 1970, and every value that crosses is plain JSON. Whatever a call raises is made by `bifrost._errors`.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Generic, Literal, TypeAlias, TypeVar, final

from ._errors import BifrostError, Described

__version__: str

SIMULATOR_CLIENT_ID: str
SIMULATOR_CLIENT_SECRET: str
SIMULATOR_HALOPSA_CLIENT_ID: str
SIMULATOR_HALOPSA_CLIENT_SECRET: str
SIMULATOR_HALOPSA_INSTANCE: str

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

#: What a call hands over.
Started: TypeAlias = Pending[_T] | _T

#: What a step is to do next, and its idempotency key; or `done` and its result.
Next: TypeAlias = tuple[Literal["call", "probe", "done"], Any]

#: What beginning a step came to: the same with its handle, which a step that is done already has not.
Begun: TypeAlias = tuple[Step | None, Literal["call", "probe", "done"], Any]

_Data: TypeAlias = dict[str, Any]
_Reply: TypeAlias = tuple[int, dict[str, str], bytes]

def verify_audit_file(path: str | PathLike[str], tenant: str) -> _Data:
    """Checks a file that `Tenant.export_audit` wrote; needs no store and no key. The verdict names the first bad
    record."""

def note_fork() -> None:
    """Notes that this is a forked child."""

@final
class Pending(Generic[_T_co]):
    """A call under way: waited for here, or answered through the mailbox of an event loop."""

    def ready(self) -> bool:
        """Whether the answer is there."""

    def take(self) -> _T_co:
        """The answer, once: its value, or the exception it came to."""

    def wait(self, timeout: float | None = None) -> tuple[_T_co] | None:
        """Waits without the GIL until the answer is there and takes it; `None` when there is none in time.

        Signals are handled meanwhile: Ctrl-C ends the wait.
        """

    def post(self, mailbox: Mailbox, token: int) -> bool:
        """Asks for a word in `mailbox` under `token` when the answer is there. False when it is there already."""

    def cancel(self) -> None:
        """Gives the call up: what it had not done yet will not be done."""

@final
class Mailbox:
    """What came for an event loop or a pool of threads: runs to start or to cancel, and answers."""

    def __new__(cls, bell: bool, patience: float, threads: int | None = None) -> Mailbox:
        """A mailbox for an event loop, or, without `bell`, for threads.

        What waits longer than `patience` seconds to be fetched shows that the fetching side hangs.
        """

    def fileno(self) -> int:
        """What an event loop watches for reading; only with a bell."""

    def drain(self) -> tuple[list[Run], list[tuple[int, str]], list[int]] | None:
        """Everything that came: runs to start, numbers of runs to cancel with the reason, tokens of answers.

        `None` says that nothing did, and that the bell rings for what comes next; until then it is silent, because
        whoever fetches comes back by itself.
        """

    def next(self) -> Run | None:
        """For a thread: waits for the next run to start; `None` when the mailbox is closed."""

    def close(self) -> None:
        """Takes nothing more, and wakes whoever waits."""

    def health(self) -> tuple[int, float, bool]:
        """How many things wait to be fetched, for how long the oldest does, whether the fetching side hangs."""

@final
class Hub:
    """A running hub. Letting go of it ends it without waiting: what runs goes on at the next start."""

    @staticmethod
    def open(
        options: Mapping[str, Any],
        workflows: Sequence[tuple[Mapping[str, Any], Mailbox]],
        simulators: Simulators | None = None,
        clock: Clock | None = None,
        store: Store | None = None,
    ) -> Started[Hub]:
        """Opens a hub. `workflows` pairs the description of each with the mailbox its runs go to."""

    def register(self, description: Mapping[str, Any], mailbox: Mailbox) -> None:
        """Adds a workflow, in place of one of the same name."""

    def tenant(self, id: str) -> Tenant:
        """A tenant's handle."""

    def create_tenant(self, id: str, options: Mapping[str, Any], or_get: bool) -> Started[Tenant]:
        """Makes a tenant, or finds it when `or_get`."""

    def tenants(self) -> list[_Data]:
        """All tenants' entries, by name."""

    def change_tenant(self, id: str, change: str, argument: Any) -> Started[None]:
        """Changes a tenant: `set_quota` with a quota, `set_mapping` with provider and entity, `disable`, `enable`,
        `delete`."""

    def snapshot(self) -> _Data:
        """How the hub is doing."""

    def is_resting(self) -> bool:
        """Whether nothing goes on until something happens: a timer, a provider's answer, a call."""

    def provoke_panic(self, in_background: bool) -> Started[None]:
        """Panics inside a call, for tests of what a defect of the hub looks like from outside."""

    def close(self, seconds: float) -> Started[int]:
        """Ends the hub: lets what runs end for up to `seconds`, puts back the rest; comes to how many that were."""

@final
class Logs:
    """Where what the hub says of itself waits for `logging`: one for all hubs of the process."""

    @staticmethod
    def open(capacity: int) -> Logs:
        """A new queue of at most `capacity` records, to which everything said from now on goes; nothing does before
        `set_level`."""

    def set_level(self, level: int) -> None:
        """From which level of `logging` on things are said; below it nothing is even formatted."""

    def fetch(
        self, seconds: float
    ) -> tuple[list[tuple[int, str, str, dict[str, Any], float, tuple[str | None, int | None]]], int] | None:
        """Waits without the GIL for records, at most `seconds`: all that are there, and how many were dropped after
        them. `None` when the queue is closed and empty.

        A record is level, logger, message, facts by name, time, and where in the source it was said.
        """

    def close(self) -> None:
        """Takes nothing more, and wakes whoever fetches."""

@final
class Tenant:
    """One tenant's handle."""

    @property
    def id(self) -> str:
        """Its name."""

    def acting_as(self, user: str) -> Tenant:
        """The same on behalf of a user, whom executions and audit trail will name."""

    def record(self) -> _Data:
        """Its entry in the directory."""

    def run(
        self,
        workflow: str,
        params: Mapping[str, Any],
        idempotency_key: str | None = None,
        starts_at: float | None = None,
    ) -> Started[Execution]:
        """Starts a workflow; comes to its handle when the execution is durable."""

    def execution(self, id: str) -> Started[Execution]:
        """The handle of an execution that was started before."""

    def executions(self, before: str | None, limit: int) -> Started[list[_Data]]:
        """Records of executions, newest first."""

    def resolve(self, id: str, resolution: Mapping[str, Any]) -> Started[None]:
        """Decides about an execution that needs attention."""

    def config(self, key: str) -> Started[Any]:
        """A configuration value as the tenant sees it; `None` when there is none."""

    def set_config(self, key: str, value: Any) -> Started[None]:
        """Sets a configuration value."""

    def delete_config(self, key: str) -> Started[None]:
        """Removes a configuration value."""

    def config_keys(self) -> Started[list[str]]:
        """The tenant's own configuration keys."""

    def set_secret(self, name: str, text: str) -> Started[None]:
        """Stores a secret."""

    def delete_secret(self, name: str) -> Started[None]:
        """Removes a secret."""

    def secret_names(self) -> Started[list[str]]:
        """The names of the tenant's own secrets."""

    def create_connection(
        self, id: str, provider: str, options: Mapping[str, Any], credential: Mapping[str, Any], replace: bool
    ) -> Started[None]:
        """Makes a connection, or replaces one."""

    def connections(self) -> Started[list[_Data]]:
        """All connections' settings."""

    def connection_status(self, id: str) -> Started[_Data]:
        """How a connection is doing."""

    def change_connection(self, id: str, change: str) -> Started[None]:
        """Changes a connection: `disable`, `enable`, `delete`, or obtains a token as a `test`."""

    def connection(self, id: str) -> Started[Connection]:
        """A connection to call through, outside of a workflow."""

    def audit(self, after: int | None, limit: int) -> Started[list[_Data]]:
        """A page of the audit trail."""

    def verify_audit(self) -> Started[_Data]:
        """Verifies the whole audit trail."""

    def export_audit(self, path: str | PathLike[str]) -> Started[_Data]:
        """Writes the whole audit trail to a new file; comes to the number of its last record and its hash."""

    def snapshot(self) -> Started[_Data]:
        """How it is doing."""

@final
class Execution:
    """The handle of one execution."""

    @property
    def id(self) -> str:
        """Its identifier."""

    @property
    def tenant(self) -> str:
        """The tenant's name."""

    def output(self) -> Started[Any]:
        """Comes to what the workflow returned. Raises what ended it, and `NeedsAttention` as soon as a person must
        decide."""

    def outcome(self) -> Started[_Data]:
        """Comes to the whole outcome: state, output, error, problems."""

    def events(self, from_seq: int) -> Started[list[_Data]]:
        """Comes to the events from number `from_seq` on that are there, at least one. The empty list is the end."""

    def cancel(self, reason: str) -> Started[None]:
        """Asks it to stop; done when the wish is durable."""

    def record(self) -> Started[_Data]:
        """Its record as it is stored."""

@final
class Run:
    """One attempt at an execution, as Python runs it: what it was given, its context, and how it ends."""

    @property
    def number(self) -> int:
        """Its number within the process."""

    @property
    def lane(self) -> int:
        """Which lane of the mailbox it is for."""

    @property
    def workflow(self) -> str:
        """The workflow's name."""

    @property
    def tenant(self) -> str:
        """The tenant's name."""

    @property
    def execution(self) -> str:
        """The execution's identifier."""

    @property
    def attempt(self) -> int:
        """Which attempt it is, from 1."""

    @property
    def principal(self) -> str:
        """Who asked for the execution."""

    def params(self) -> _Data:
        """What the workflow was given, once."""

    def finish(self, output: Any) -> None:
        """Ends the attempt with a result."""

    def fail(self, error: Described) -> None:
        """Ends the attempt with an error."""

    def begin(self, name: str, plan: str) -> Started[Begun]:
        """Begins a step. `plan` is one of `step`, `probe`, `resend`, `person`: what to do when it is unknown whether
        a write was applied."""

    def came_to_rest(self) -> None:
        """Says that all this run waits for are steps."""

    def progress(self, done: int, total: int, message: str) -> None:
        """How far it is."""

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """Says something; `level` is one of `debug`, `info`, `warn`, `error`."""

    def problem(self, error: Described) -> None:
        """Notes a problem the workflow lives with."""

    def config(self, key: str) -> Started[Any]:
        """A configuration value."""

    def reveal(self, name: str) -> Started[str]:
        """The text of a secret, where the hub's policy allows that."""

    def mapping(self, provider: str) -> Started[str]:
        """The tenant's id at a provider."""

    def connection(self, id: str) -> Started[Connection]:
        """A connection to call through."""

    def run_child(self, workflow: str, params: Mapping[str, Any]) -> Started[Any]:
        """Runs another workflow of the tenant as a child execution and comes to its output."""

    def now(self) -> float:
        """The time on the hub's clock."""

    def sleep(self, seconds: float) -> Started[None]:
        """Waits on the hub's clock."""

    def is_cancelled(self) -> bool:
        """Whether somebody asked to cancel."""

    def is_abandoned(self) -> bool:
        """Whether the hub has given the attempt up: nothing it does is stored any more."""

@final
class Step:
    """A step that Python drives."""

    @property
    def limit(self) -> float:
        """How many seconds one call may take."""

    def succeeded(self, value: Any) -> Started[Next]:
        """The call returned `value`."""

    def failed(self, error: Described) -> Started[Next]:
        """The call failed."""

    def overdue(self) -> Started[Next]:
        """The call took longer than it may."""

    def probed(self, verdict: str, value: Any) -> Started[Next]:
        """The probe found out: `verdict` is one of `done` (with the write's result), `not_done`, `unknown`."""

    def probe_failed(self, error: Described) -> Started[Next]:
        """The probe failed."""

@final
class Connection:
    """A connection to call a provider through."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def provider(self) -> str:
        """The provider it leads to."""

    def call(
        self, area: str, operation: str, args: Mapping[str, Any], secrets: Sequence[tuple[str, str]] = ...
    ) -> Started[Any]:
        """Calls an operation of the typed client of its provider. `secrets` are pairs of a JSON pointer into `args`
        and the name of the secret that belongs there."""

    def request(
        self, request: Mapping[str, Any], content: bytes | None = None, secrets: Sequence[tuple[str, str]] = ...
    ) -> Started[_Reply]:
        """Sends a request no typed client covers; comes to status, headers and body."""

    def batch(
        self, requests: Sequence[tuple[Mapping[str, Any], Sequence[tuple[str, str]]]]
    ) -> Started[list[_Reply | BifrostError]]:
        """Sends many requests to Graph in batches; comes to answers and exceptions in their order."""

@final
class Simulators:
    """A simulated identity platform, Graph and HaloPSA."""

    def __new__(cls, seed: int = 7, clock: Clock | None = None, options: Any | None = None) -> Simulators:
        """A world made of `seed`, with the demo customers unless `options` names others."""

    def request_count(self) -> int:
        """Requests that were answered so far."""

    def throttled_count(self) -> int:
        """Requests that were answered 429 so far."""

    def requests(self) -> Any:
        """The last requests, oldest first."""

    def state(self) -> Any:
        """Counts and log of the whole world."""

    def look(self, what: str, of: str = "") -> Any:
        """What a provider holds."""

    def add_customer(self, customer: Any) -> None:
        """Adds a customer."""

    def set_licenses(self, tenant: str, product: str, seats: int) -> None:
        """Sets how many seats of a product a tenant has."""

    def fault(self, rule: Any) -> None:
        """Adds a fault to the script."""

    def clear_faults(self) -> None:
        """Forgets all scripted faults."""

    def identity(self, change: str, tenant: str, detail: str = "") -> None:
        """Changes what the identity platform thinks of a tenant."""

    def revoke_halopsa_tokens(self) -> None:
        """Makes every access token of HaloPSA invalid at once."""

    def sign_in(self, tenant: str, client_id: str) -> str | None:
        """A refresh token as a person's sign-in would have left it; `None` when there is no such tenant."""

    def serve(self, port: int) -> Any:
        """Serves the world over HTTP on this machine; pending; comes to a `SimulatorServer`."""

@final
class SimulatorServer:
    """A simulated world behind a socket of this machine."""

    @property
    def url(self) -> str:
        """Its root, without a slash at the end."""

    def addresses(self) -> dict[str, str]:
        """The base addresses of the providers, and of the world's state and faults."""

    def close(self) -> Any:
        """Stops it and closes every connection; pending."""

@final
class Clock:
    """A clock that moves when told, for tests."""

    def __new__(cls, start: float) -> Clock:
        """A clock that stands at `start`."""

    def now(self) -> float:
        """The time."""

    def advance(self, seconds: float) -> None:
        """Moves on, waking whoever's wait is over."""

    def next_due(self) -> float | None:
        """Seconds until the next waiter is due; `None` when nobody waits."""

    def waiting(self) -> int:
        """How many wait."""

@final
class Store:
    """A store in memory that outlives its hub, for tests: what a crash leaves behind."""

    def __new__(cls) -> Store:
        """An empty store with a key of its own."""

    def set_full(self, full: bool) -> None:
        """From now on it refuses to write as if its disk were full, or writes again."""

    def fork(self) -> Store:
        """What is durable at this moment, as a store of its own: the hub on this one cannot reach it."""
