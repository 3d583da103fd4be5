"""The comparison of stub and module goes red for what it is there to find."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "compare_stubs.py"

AGREED = """
limit: int
class Handle:
    @property
    def id(self) -> str: ...
    def __init__(self, id: str, /, *, name: str = ...) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    @staticmethod
    def parse(text: str) -> "Handle": ...
class Trouble(Exception): ...
def open_hub(path: str, *rest: str, **options: int) -> Handle: ...
"""


def load_tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location("compare_stubs", TOOL)
    assert specification
    assert specification.loader
    tool = importlib.util.module_from_spec(specification)
    sys.modules["compare_stubs"] = tool
    specification.loader.exec_module(tool)
    return tool


def compare(stub: str) -> list[str]:
    tool = load_tool()
    module = ModuleType("native")
    exec(AGREED.replace("limit: int", "limit = 1").replace("...", "None"), vars(module))
    return list(tool.differences(tool.from_stub(stub), tool.from_module(module), "native"))


def test_agreement_is_green() -> None:
    assert compare(AGREED) == []


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ("limit: int", "", "native.limit: only in the module"),
        ("limit: int", "limit: int\nmore: int", "native.more: only in the stub"),
        ("def wait(", "def await_(", "native.Handle.await_: only in the stub"),
        ("timeout: float | None = None", "seconds: float | None = None", "native.Handle.wait: function(seconds=…)"),
        ("timeout: float | None = None", "timeout: float | None", "native.Handle.wait: function(timeout)"),
        ("    @property\n", "", "native.Handle.id: function() in the stub, attribute in the module"),
        ("    @staticmethod\n", "", "native.Handle.parse: function(text)"),
        ("id: str, /, *, name", "id: str, /, name", "native.Handle: constructor(id, /, name=…)"),
        ("(Exception)", "(ValueError)", "native.Trouble: derives from ('ValueError',)"),
        ("**options: int", "**kwargs: int", "native.open_hub: function(path, *rest, **kwargs)"),
    ],
)
def test_each_difference_is_red(written: str, instead: str, told: str) -> None:
    assert any(line.startswith(told) for line in compare(AGREED.replace(written, instead)))
