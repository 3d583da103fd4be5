"""What the hub says of itself arrives in `logging`, and costs nothing where nobody listens."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import bifrost.logs
from bifrost import BifrostError, Hub, Simulators, Tenant, _bridge, _native

SECRET = "canary-secret-4711"

#: What a connection whose credential nobody knows makes the hub say.
SAID = "the connection needs a person"


class Kept(logging.Handler):
    """Keeps records, with the thread that brought each."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def named(self, text: str) -> list[logging.LogRecord]:
        return [record for record in self.records if record.getMessage().startswith(text)]


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    logger = logging.getLogger("bifrost")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def provoke(tenant: Tenant) -> None:
    """Has the hub talk about a connection that the provider refuses."""
    tenant.connections.create("graph", entra_tenant="nowhere.example", client_id="app", client_secret=SECRET)
    with pytest.raises(BifrostError):
        tenant.connections.test("graph")


def test_a_record_says_where_it_comes_from(kept: Kept) -> None:
    before = time.time()
    with Hub.open(simulators=Simulators()) as hub:
        provoke(hub.create_tenant("contoso"))
    record = kept.named(SAID)[0]
    assert (record.name, record.levelno) == ("bifrost.actors.connection", logging.WARNING)
    assert vars(record)["tenant"] == "contoso"
    assert vars(record)["connection"] == "graph"
    assert vars(record)["execution"] == ""
    assert "cause" in vars(record)["facts"]
    assert "tenant=contoso" in record.getMessage()
    assert before <= record.created <= time.time()
    assert record.pathname.endswith(".rs")
    assert record.threadName == "bifrost-logs"


def test_the_thread_lives_from_the_first_hub_to_the_last() -> None:
    def there() -> bool:
        return any(thread.name == "bifrost-logs" for thread in threading.enumerate())

    assert not there()
    with Hub.open():
        assert there()
        with Hub.open():
            assert sum(thread.name == "bifrost-logs" for thread in threading.enumerate()) == 1
        assert there()
    assert not there()


def test_a_hub_that_does_not_open_leaves_no_thread(tmp_path: object) -> None:
    with Hub.open(str(tmp_path)), pytest.raises(BifrostError), Hub.open(str(tmp_path)):
        pass
    assert not any(thread.name == "bifrost-logs" for thread in threading.enumerate())


def test_levels_decide_what_is_said(kept: Kept) -> None:
    logger = logging.getLogger("bifrost")
    with Hub.open(simulators=Simulators()) as hub:
        logger.setLevel(logging.ERROR)
        bifrost.logs.refresh_levels()
        provoke(hub.create_tenant("quiet"))
        logger.setLevel(logging.DEBUG)
        bifrost.logs.refresh_levels()
        provoke(hub.create_tenant("loud"))
    assert {vars(record)["tenant"] for record in kept.records} == {"loud"}


def test_a_logger_below_may_want_more_than_the_others(kept: Kept) -> None:
    http = logging.getLogger("bifrost.integrations.http")
    http.setLevel(logging.DEBUG)
    try:
        assert _bridge._wanted() == logging.DEBUG
        logging.disable(logging.INFO)
        assert _bridge._wanted() == logging.INFO + 1
    finally:
        logging.disable(logging.NOTSET)
        http.setLevel(logging.NOTSET)


def test_no_secret_is_said_at_any_level(kept: Kept) -> None:
    logging.getLogger("bifrost").setLevel(1)
    with Hub.open(simulators=Simulators(), reveal_secrets=True) as hub:
        tenant = hub.create_tenant("contoso")
        tenant.secrets.set("canary", SECRET)
        provoke(tenant)
    assert kept.named(SAID)
    assert SECRET not in "".join(f"{record.getMessage()}{vars(record)}" for record in kept.records)


def test_a_handler_that_raises_does_not_end_it(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter with a defect")

    kept.addFilter(refuse)
    with Hub.open(simulators=Simulators()) as hub:
        provoke(hub.create_tenant("first"))
        kept.removeFilter(refuse)
        until(lambda: any(thread.name == "bifrost-logs" for thread in threading.enumerate()))
        provoke(hub.create_tenant("second"))
    assert vars(kept.named(SAID)[-1])["tenant"] == "second"


def test_a_handler_that_hangs_holds_nobody_up_and_losses_are_told(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bridge, "CAPACITY", 2)
    free = threading.Event()
    kept.addFilter(lambda record: free.wait(20))
    with Hub.open(simulators=Simulators()) as hub:
        for number in range(8):
            provoke(hub.create_tenant(f"tenant{number}"))
        assert kept.records == []
        free.set()
        until(lambda: kept.named("") and [record for record in kept.records if record.name == "bifrost.logs"])
    lost = sum(vars(record)["facts"]["dropped"] for record in kept.records if record.name == "bifrost.logs")
    said = [record for record in kept.records if record.name != "bifrost.logs"]
    # Each refusal is told twice: by the call and by the connection.
    assert lost > 0
    assert lost + len(said) == 16


def test_nothing_is_fetched_from_a_closed_queue() -> None:
    logs = _native.Logs.open(10)
    logs.close()
    assert logs.fetch(10.0) is None


def test_the_filter_adds_what_a_formatter_relies_on() -> None:
    record = logging.makeLogRecord({"msg": "outside", "connection": "graph"})
    assert bifrost.logs.ContextFilter().filter(record)
    found = {name: vars(record)[name] for name in ("tenant", "workflow", "execution", "connection")}
    assert found == {"tenant": "", "workflow": "", "execution": "", "connection": "graph"}


LEFT_OPEN = """
import logging, sys, bifrost
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
opening = bifrost.Hub.open(simulators=bifrost.Simulators())
tenant = opening.__enter__().create_tenant("contoso")
tenant.connections.create("graph", entra_tenant="nowhere.example", client_id="app", client_secret="x")
try:
    tenant.connections.test("graph")
except bifrost.BifrostError:
    pass
"""


def test_what_was_said_last_arrives_though_nobody_closes_the_hub() -> None:
    ended = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=30, check=True)
    assert SAID in ended.stdout
    assert ended.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a platform without fork has nothing to test here")
def test_a_forked_child_may_open_a_hub_of_its_own() -> None:
    code = (
        "import os, warnings, bifrost, threading\n"
        "warnings.simplefilter('ignore')\n"
        "with bifrost.Hub.open():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        with bifrost.Hub.open():\n"
        "            assert any(t.name == 'bifrost-logs' for t in threading.enumerate())\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True)
