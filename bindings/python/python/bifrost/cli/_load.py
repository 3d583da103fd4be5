"""Finding the workflow that ``FILE:WORKFLOW`` names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from bifrost._definition import Definition, definitions
from bifrost._suggest import did_you_mean

from ._failures import Usage


def load(target: str) -> Definition:
    """Imports the file or module, so that all its workflows register, and answers the one that is named.

    Without a name after the colon, the file must define exactly one.
    """
    place, _, name = target.rpartition(":") if ":" in target and not os.path.exists(target) else (target, "", "")
    before = set(definitions())
    module = _import(place)
    offered = {
        known.name: known for known in definitions().values() if known.kind == "workflow" and known.name not in before
    }
    offered |= {known.name: known for known in definitions().values() if known.module == module.__name__}
    if name:
        for definition in offered.values():
            if name in (definition.name, definition.qualname):
                return definition
        hint = did_you_mean(name, sorted(offered)) or f" (there are: {', '.join(offered) or 'none'})"
        raise Usage(f"{place} has no workflow {name!r}{hint}")
    if len(offered) == 1:
        return next(iter(offered.values()))
    if not offered:
        raise Usage(f"{place} defines no workflow", next_action="decorate a function with @workflow")
    raise Usage(f"{place} defines {len(offered)} workflows", next_action=f"say which: {place}:{next(iter(offered))}")


def _import(place: str) -> ModuleType:
    if place.endswith(".py") or os.path.sep in place:
        return _import_file(place)
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not place.startswith(error.name):
            raise
        raise Usage(f"there is no module {place!r}", next_action="name a file: path/to/file.py:workflow") from error


def _import_file(place: str) -> ModuleType:
    if not os.path.isfile(place):
        raise Usage(f"there is no file {place}")
    # As `python FILE` has it: what lies beside the file can be imported.
    sys.path.insert(0, os.path.dirname(os.path.abspath(place)))
    name = os.path.splitext(os.path.basename(place))[0]
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise Usage(f"{place} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
