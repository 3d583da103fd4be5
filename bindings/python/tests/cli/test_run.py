"""Running workflows and looking at what became of them."""

from __future__ import annotations

import json
import signal
import sys
import time

import pytest
from commandline import Cli, Wait

from bifrost.cli import Exit


def test_parameters_are_read_by_the_schema(contoso: Cli) -> None:
    given = ("name=Zoë", "seats=3", "share=2", "tags=a, b", "numbers=1", "numbers=2", "dry=yes", 'extra={"x":1}')
    flags = [flag for pair in given for flag in ("-p", pair)]
    ran = contoso("run", "wf.py:hello", "-t", "contoso", *flags)
    assert ran.code == Exit.OK, ran.err
    assert json.loads(ran.out) == {
        "name": "Zoë",
        "seats": 3,
        "share": 2.0,
        "tags": ["a", "b"],
        "numbers": [1, 2],
        "dry": True,
        "extra": {"x": 1},
    }
    assert "step finished: look" in ran.err
    assert "1/2  half" in ran.err


def test_json_in_and_json_out(contoso: Cli) -> None:
    (contoso.folder / "params.json").write_text('{"name": "Ann", "seats": 2}', encoding="utf-8")
    ran = contoso("run", "wf.py:hello", "-t", "contoso", "--json", "params.json", "-p", "seats=5")
    assert ran.code == Exit.OK, ran.err
    *events, last = ran.lines
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (last["state"], last["output"]["seats"]) == ("succeeded", 5)
    bare = contoso("run", "wf.py:hello", "-t", "contoso", "-p", "name=Ann", "--json")
    assert bare.lines[-1]["state"] == "succeeded"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("wf.py:hello", "-p", "nam=Ann"), "did you mean 'name'"),
        (("wf.py:hello", "-p", "name"), "key=value"),
        (("wf.py:hello", "-p", "name=Ann", "-p", "seats=many"), "/seats"),
        (("wf.py:hello",), '"name" is a required property'),
        (("wf.py:helo",), "did you mean 'hello'"),
        (("wf.py",), "say which: wf.py:hello"),
        (("nothing.py:hello",), "there is no file nothing.py"),
        (("no_such_module:hello",), "there is no module 'no_such_module'"),
        (("wf.py:hello", "--json", "nothing.json"), "nothing.json"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said(contoso: Cli, args: tuple[str, ...], said: str) -> None:
    ran = contoso("run", *args, "-t", "contoso")
    assert (ran.code, len(ran.err.splitlines())) == (Exit.USAGE, 1), ran.err
    assert said in ran.err


def test_a_failure_says_where(contoso: Cli) -> None:
    ran = contoso("run", "wf.py:breaks", "-t", "contoso")
    assert ran.code == Exit.FAILED
    assert "ValueError: no good, at wf.py:" in ran.err.splitlines()[-1]


def test_the_same_key_finds_the_same_execution(contoso: Cli) -> None:
    args = ("run", "wf.py:hello", "-t", "contoso", "-p", "name=Ann", "--idempotency-key", "k", "--json")
    assert contoso(*args).lines[-1]["execution"] == contoso(*args).lines[-1]["execution"]


def test_what_needs_a_person_waits_until_it_is_decided(contoso: Cli) -> None:
    assert contoso("run", "wf.py:doubtful", "-t", "contoso").code == Exit.ATTENTION
    (record,) = contoso("runs", "list", "--state", "needs_attention", "--json").lines
    before = contoso("runs", "show", record["id"], "--json")
    assert (before.code, before.lines[0]["attention"]["name"]) == (Exit.ATTENTION, "send")
    tail = contoso("runs", "tail", record["id"], "--json")
    assert [event["seq"] for event in tail.lines] == [1, 2, 3, 4]
    # Looking has changed nothing.
    assert contoso("runs", "show", record["id"], "--json").lines == before.lines
    doctor = contoso("doctor", "--json")
    wrong = [finding for finding in doctor.lines if finding["level"] == "wrong"]
    assert (doctor.code, [finding["what"] for finding in wrong]) == (Exit.FAILED, ["contoso/doubtful"])


def test_a_decision_is_kept_until_its_workflow_runs(contoso: Cli) -> None:
    contoso("run", "wf.py:doubtful", "-t", "contoso")
    (record,) = contoso("runs", "list", "--json").lines
    assert contoso("runs", "resolve", record["id"], "done", "--result", "sent").code == 0
    again = contoso("run", "wf.py:hello", "-t", "contoso", "-p", "name=Ann")
    assert again.code == 0, again.err
    shown = contoso("runs", "show", record["id"], "--json").lines[0]
    assert (shown["state"], shown["outcome"]["output"]) == ("succeeded", "sent")


def test_unknown_executions_are_not_found(contoso: Cli) -> None:
    ran = contoso("runs", "show", "01a20637-ae16-770c-8814-9dad578ee367")
    assert (ran.code, len(ran.err.splitlines())) == (Exit.FAILED, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_ends_within_a_second_and_the_next_run_goes_on(contoso: Cli, wait_for: Wait) -> None:
    process = contoso.start("run", "wf.py:slow", "-t", "contoso")
    wait_for(process, "step started")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == Exit.INTERRUPTED
    assert time.monotonic() - began < 1.0
    assert "Traceback" not in said
    (record,) = contoso("runs", "list", "--json").lines
    assert record["state"] == "pending"
    tail = contoso("runs", "tail", record["id"])
    assert (tail.code, "bifrost run FILE:slow" in tail.err) == (0, True)
    assert contoso("runs", "cancel", record["id"], "--json").lines[0]["state"] == "cancelled"


def test_a_folder_in_use_names_who_uses_it(contoso: Cli, wait_for: Wait) -> None:
    process = contoso.start("run", "wf.py:slow", "-t", "contoso")
    try:
        wait_for(process, "step started")
        ran = contoso("tenants", "list")
        assert (ran.code, len(ran.err.splitlines())) == (Exit.STORE, 1)
        assert str(process.pid) in ran.err
        doctor = contoso("doctor")
        assert (doctor.code, f"process {process.pid}" in doctor.out) == (Exit.STORE, True)
    finally:
        process.kill()
        process.communicate()


def test_others_that_wait_are_only_reported(contoso: Cli, wait_for: Wait) -> None:
    process = contoso.start("run", "wf.py:slow", "-t", "contoso")
    wait_for(process, "step started")
    process.kill()
    process.communicate()
    (contoso.folder / "other.py").write_text(
        "from bifrost import Context, workflow\n@workflow\ndef other(ctx: Context) -> int:\n    return 1\n"
    )
    ran = contoso("run", "other.py", "-t", "contoso")
    assert (ran.code, ran.out) == (0, "1\n")
    assert "run the file that defines slow" in ran.err
