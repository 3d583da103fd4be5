"""Failures as they are shown: compared with the files in `snapshots`, and searched for secrets."""

from __future__ import annotations

import os
import pickle
import re
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from bifrost import BifrostError

#: What no failure may show, in any form.
CANARY = "canary-Zoë-4711"

SNAPSHOTS = Path(__file__).parent / "snapshots"

#: What differs from run to run, and how it is written in a snapshot.
VARIES = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "<execution>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"(pid=|process )\d+"), r"\1<pid>"),
    (re.compile(r"/[^ ;,)]*/(pytest-of|store-full)[^ ;,)]*"), "<path>"),
    (re.compile(r"at=(\w+\.py):\d+"), r"at=\1:<line>"),
]


def shown(error: BifrostError) -> str:
    """The error as a snapshot has it: its line, then its kind and what a program can go by."""
    line = str(error)
    for pattern, name in VARIES:
        line = pattern.sub(name, line)
    return f"{line}\n{type(error).__name__} code={error.code} tenant={error.tenant} retryable={error.is_retryable}\n"


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Compares a failure with its snapshot; ``BIFROST_SNAPSHOTS=write`` writes what is there."""

    def check(name: str, error: BifrostError, *, tenant: str | None = "contoso") -> None:
        path = SNAPSHOTS / f"{name}.txt"
        found = shown(error)
        if os.environ.get("BIFROST_SNAPSHOTS") == "write":
            path.write_text(found)
        assert found == path.read_text()
        assert "\n" not in str(error), "one line"
        assert len(str(error)) < 700, "one readable line"
        assert error.tenant == tenant
        assert error.next_action, "it says what to do next"
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.code, copy.context) == (type(error), str(error), error.code, error.context)
        forms = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(vars(error))]
        forms += [pickle.dumps(error).decode("utf-8", "replace"), error.traceback or ""]
        for form in forms:
            assert CANARY not in form
            assert CANARY.encode().hex() not in form

    return check
