"""Tenants, configuration, secrets, connections, audit trail: each on a real data folder."""

from __future__ import annotations

import json

from commandline import Cli

from bifrost.cli import Exit


def test_tenants_are_made_listed_and_switched(cli: Cli) -> None:
    made = cli("tenants", "create", "contoso", "--title", "Contoso", "--mapping", "halopsa=7", "--json")
    assert (made.code, made.lines[0]["title"], made.lines[0]["mappings"]["halopsa"]["entity"]) == (0, "Contoso", "7")
    assert cli("tenants", "create", "contoso").code == Exit.FAILED
    assert cli("tenants", "create", "contoso", "--exist-ok").code == Exit.OK
    assert cli("tenants", "disable", "contoso", "--json").lines[0]["status"] == "disabled"
    assert cli("tenants", "enable", "contoso", "--json").lines[0]["status"] == "active"
    assert [tenant["id"] for tenant in cli("--json", "tenants", "list").lines] == ["contoso"]
    assert "Contoso" in cli("tenants", "list").out


def test_looking_makes_no_folder(cli: Cli) -> None:
    ran = cli("tenants", "list")
    assert (ran.code, ran.out) == (Exit.FAILED, "")
    assert ran.err.startswith("bifrost: there is no hub in ")
    assert "; next: " in ran.err
    assert not cli.data.exists()


def test_an_error_is_one_line_and_json_where_that_was_asked_for(contoso: Cli) -> None:
    ran = contoso("config", "get", "-t", "fabrikam", "a", "--json")
    assert ran.code == Exit.FAILED
    assert len(ran.err.splitlines()) == 1
    assert ran.lines[0]["error"]["next_action"] == "bifrost tenants create fabrikam"


def test_configuration_is_json_or_text(contoso: Cli) -> None:
    assert contoso("config", "set", "-t", "contoso", "hours", "0.5").code == 0
    assert contoso("config", "set", "-t", "contoso", "office", "Zürich").code == 0
    assert contoso("config", "get", "-t", "contoso", "hours", "--json").lines == [{"key": "hours", "value": 0.5}]
    assert contoso("config", "get", "-t", "contoso", "office").out == "Zürich\n"
    assert [row["key"] for row in contoso("config", "list", "-t", "contoso", "--json").lines] == ["hours", "office"]
    assert contoso("config", "delete", "-t", "contoso", "office").code == 0
    assert contoso("config", "get", "-t", "contoso", "office").code == Exit.FAILED


def test_secrets_come_from_standard_input_and_never_back(contoso: Cli) -> None:
    assert contoso("secrets", "set", "-t", "contoso", "token", input="geheim-4711\n").code == 0
    listed = contoso("secrets", "list", "-t", "contoso", "--json")
    assert listed.lines == [{"name": "token"}]
    assert contoso("secrets", "set", "-t", "contoso", "empty", input="\n").code == Exit.USAGE
    assert contoso("secrets", "delete", "-t", "contoso", "token").code == 0
    assert contoso("secrets", "list", "-t", "contoso").out == ""
    stored = b"".join(path.read_bytes() for path in contoso.data.rglob("*") if path.is_file())
    assert b"geheim-4711" not in stored


def test_connections_are_made_and_tested(contoso: Cli) -> None:
    options = (
        "-t",
        "contoso",
        "--client-id",
        "b1f05700-0000-4000-8000-00000000d3e0",
        "--set",
        "entra_tenant=contoso.com",
    )
    secret = {"GRAPH_SECRET": "demo-secret-for-simulators-only"}
    made = contoso("connections", "create", "graph", *options, "--secret-env", "GRAPH_SECRET", **secret)
    assert made.code == 0, made.err
    assert contoso("connections", "list", "--json").lines[0]["provider"] == "graph"
    assert contoso("connections", "status", "--json").lines[0]["state"] == "not_connected"
    assert contoso("--simulated", "connections", "test", "graph", "-t", "contoso").code == 0
    wrong = contoso("connections", "create", "graph", *options, "--replace", input="wrong")
    assert wrong.code == 0, wrong.err
    refused = contoso("--simulated", "connections", "test", "graph", "-t", "contoso")
    assert (refused.code, len(refused.err.splitlines())) == (Exit.ATTENTION, 1)
    doctor = contoso("doctor")
    assert doctor.code == Exit.FAILED
    assert "contoso/graph" in doctor.out


def test_a_connection_needs_its_secret(contoso: Cli) -> None:
    options = ("-t", "contoso", "--client-id", "x", "--set", "entra_tenant=contoso.com")
    ran = contoso("connections", "create", "graph", *options, "--secret-env", "NOT_THERE")
    assert (ran.code, "NOT_THERE" in ran.err) == (Exit.USAGE, True)


def test_the_audit_trail_is_verified_here_and_elsewhere(contoso: Cli) -> None:
    contoso("config", "set", "-t", "contoso", "a", "1")
    assert contoso("audit", "verify", "--json").lines[0]["fault"] is None
    exported = contoso("audit", "export", "-t", "contoso", "trail.jsonl", "--json")
    assert exported.code == 0, exported.err
    assert contoso("audit", "export", "-t", "contoso", "trail.jsonl").code == Exit.USAGE
    checked = contoso("audit", "verify", "--file", "trail.jsonl", "-t", "contoso", "--json")
    assert (checked.code, checked.lines[0]["checked"]) == (0, exported.lines[0]["last"])
    trail = contoso.folder / "trail.jsonl"
    lines = trail.read_text(encoding="utf-8").splitlines()
    entry = json.loads(lines[1])
    lines[1] = json.dumps({**entry, "payload": entry["payload"].replace("contoso", "fabrikam")})
    trail.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert contoso("audit", "verify", "--file", "trail.jsonl", "-t", "contoso").code == Exit.FAILED
