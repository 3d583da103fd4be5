"""Compares a type stub with the module it describes, and fails on any difference in either direction.

    python compare_stubs.py [MODULE]

Compared are the names in the module, the members of its classes and the kind of each (attribute, method, static or
class method), the bases of classes, and the parameters: name, kind, and whether there is a default. Types are not: the
module does not know them. Run it with the Python that has the module installed.
"""

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

MODULE = "bifrost._native"

# What a module has without anybody having put it there.
OF_EVERY_MODULE = set(vars(ModuleType("empty"))) | {"__all__", "__builtins__", "__cached__", "__file__", "__path__"}


class _Empty:
    """No member of its own, and yet it has some."""


OF_EVERY_CLASS = set(vars(_Empty)) | {"__annotations__", "__qualname__", "__slots__"}

# Members that come along with others or that every object answers; a stub may name them, and need not.
COMPARISONS = {"__eq__", "__ge__", "__gt__", "__hash__", "__le__", "__lt__", "__ne__"}
OPTIONAL_MEMBERS = COMPARISONS | {"__class_getitem__", "__match_args__", "__reduce__", "__repr__", "__str__"}

STARS: dict[int, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}

CONSTRUCTORS = {"__init__", "__new__"}
CONSTRUCTOR = "constructor"


@dataclass(frozen=True)
class Function:
    """A function or method: how it is called. Parameters are unknown where the module does not tell."""

    kind: str
    parameters: tuple[str, ...] | None

    def differs(self, other: "Function") -> bool:
        """Whether the two cannot be the same."""
        known = self.parameters is not None and other.parameters is not None
        return self.kind != other.kind or (known and self.parameters != other.parameters)

    def __str__(self) -> str:
        parameters = ("…",) if self.parameters is None else self.parameters
        return f"{self.kind}({', '.join(parameters)})"


@dataclass
class Class:
    """A class: what it derives from, how it is constructed if at all, and what is in it."""

    bases: tuple[str, ...] = ()
    constructor: Function | None = None
    members: "dict[str, Member]" = field(default_factory=dict)

    def __str__(self) -> str:
        return "class"


Member = Function | Class | str
ATTRIBUTE = "attribute"


# What the stub says


def from_stub(source: str) -> dict[str, Member]:
    """The names that a stub declares."""
    return dict(_declared(ast.parse(source).body))


def _declared(body: list[ast.stmt]) -> Iterator[tuple[str, Member]]:
    for statement in body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if not _is_type_alias(statement.annotation):
                yield statement.target.id, ATTRIBUTE
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement.name, _declared_function(statement)
        elif isinstance(statement, ast.ClassDef) and not _is_for_types_alone(statement):
            yield statement.name, _declared_class(statement)


def _is_type_alias(annotation: ast.expr) -> bool:
    return ast.unparse(annotation).endswith("TypeAlias")


def _is_for_types_alone(statement: ast.ClassDef) -> bool:
    """Protocols and typed dictionaries of a stub exist for the type checker; the module has none."""
    bases = [ast.unparse(base).split("[")[0].rsplit(".", 1)[-1] for base in statement.bases]
    return bool({"Protocol", "TypedDict"} & set(bases))


def _declared_function(statement: ast.FunctionDef | ast.AsyncFunctionDef) -> Member:
    decorators = {ast.unparse(decorator) for decorator in statement.decorator_list}
    if "property" in decorators or any(name.endswith(".setter") for name in decorators):
        return ATTRIBUTE
    if "overload" in decorators or "typing.overload" in decorators:
        return Function("function", None)
    kind = next((kind for kind in ("staticmethod", "classmethod") if kind in decorators), "function")
    return Function(kind, _declared_parameters(statement.args))


def _declared_parameters(arguments: ast.arguments) -> tuple[str, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    found = [_shown(item.arg, index >= required) for index, item in enumerate(positional)]
    if arguments.posonlyargs:
        found.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg:
        found.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        found.append("*")
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    found.extend(_shown(item.arg, default is not None) for item, default in pairs)
    if arguments.kwarg:
        found.append(f"**{arguments.kwarg.arg}")
    return _without_self(found)


def _declared_class(statement: ast.ClassDef) -> Class:
    members = dict(_declared(statement.body))
    constructors = [members.pop(name) for name in CONSTRUCTORS if name in members]
    constructor = next((item for item in constructors if isinstance(item, Function)), None)
    bases = (ast.unparse(base).split("[")[0] for base in statement.bases)
    return Class(tuple(base for base in bases if base != "Generic"), _as_constructor(constructor), members)


def _as_constructor(function: Function | None) -> Function | None:
    return function and Function(CONSTRUCTOR, function.parameters)


# What the module has


def from_module(module: ModuleType) -> dict[str, Member]:
    """The names that are in a module."""
    present = {name: value for name, value in vars(module).items() if name not in OF_EVERY_MODULE}
    return {name: _present(value) for name, value in present.items()}


def _present(value: object) -> Member:
    if isinstance(value, type):
        return _present_class(value)
    if isinstance(value, staticmethod):
        return Function("staticmethod", _present_parameters(value.__func__))
    if isinstance(value, classmethod) or type(value).__name__ == "classmethod_descriptor":
        called = value.__func__ if isinstance(value, classmethod) else value
        return Function("classmethod", _present_parameters(called))
    if inspect.isroutine(value) and not inspect.isdatadescriptor(value):
        return Function("function", _present_parameters(value))
    return ATTRIBUTE


def _present_class(value: type) -> Class:
    members = {name: item for name, item in vars(value).items() if name not in OF_EVERY_CLASS}
    constructor = Function(CONSTRUCTOR, _present_parameters(value)) if CONSTRUCTORS & members.keys() else None
    found = {name: _present(item) for name, item in members.items() if name not in CONSTRUCTORS}
    bases = tuple(base.__name__ for base in value.__bases__ if base is not object)
    return Class(bases, constructor, found)


def _present_parameters(value: object) -> tuple[str, ...] | None:
    name = getattr(value, "__name__", "")
    if inspect.ismethoddescriptor(value) and name.startswith("__") and name.endswith("__"):
        # Slots of the interpreter name their parameters as the interpreter likes.
        return None
    try:
        signature = inspect.signature(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    found: list[str] = []
    last: inspect.Parameter | None = None
    for parameter in signature.parameters.values():
        if last and last.kind is parameter.POSITIONAL_ONLY and parameter.kind is not parameter.POSITIONAL_ONLY:
            found.append("/")
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in {item[0] for item in found}:
            found.append("*")
        prefix = STARS.get(parameter.kind, "")
        found.append(prefix + _shown(parameter.name, parameter.default is not parameter.empty))
        last = parameter
    if last and last.kind is last.POSITIONAL_ONLY:
        found.append("/")
    return _without_self(found)


def _shown(name: str, has_default: bool) -> str:
    return f"{name}=…" if has_default else name


def _without_self(parameters: list[str]) -> tuple[str, ...]:
    """Without what a caller does not pass, and without the slash that would stand after it alone."""
    if parameters and parameters[0] in ("self", "cls", "slf"):
        parameters = parameters[1:]
        if parameters and parameters[0] == "/":
            parameters = parameters[1:]
    return tuple(parameters)


# The comparison


def differences(stub: dict[str, Member], module: dict[str, Member], place: str) -> Iterator[str]:
    """What is in one and not in the other, or is something else there; one line each."""
    for name in sorted(stub.keys() | module.keys()):
        here = f"{place}.{name}"
        declared, present = stub.get(name), module.get(name)
        if declared is None or present is None:
            if name not in OPTIONAL_MEMBERS:
                yield f"{here}: only in the {'module' if declared is None else 'stub'}"
        elif isinstance(declared, Class) and isinstance(present, Class):
            yield from _class_differences(declared, present, here)
        elif isinstance(declared, Function) and isinstance(present, Function):
            if declared.differs(present):
                yield f"{here}: {declared} in the stub, {present} in the module"
        elif declared != present:
            yield f"{here}: {declared} in the stub, {present} in the module"


def _class_differences(declared: Class, present: Class, place: str) -> Iterator[str]:
    if declared.bases != present.bases:
        yield f"{place}: derives from {declared.bases} in the stub, from {present.bases} in the module"
    stub, module = declared.constructor, present.constructor
    if stub is None or module is None:
        if stub is not module:
            yield f"{place}: a constructor only in the {'module' if stub is None else 'stub'}"
    elif stub.differs(module):
        yield f"{place}: {stub} in the stub, {module} in the module"
    yield from differences(declared.members, present.members, place)


def main(name: str = MODULE) -> int:
    """Prints the differences; answers the exit code."""
    module = importlib.import_module(name)
    stub = Path(str(module.__file__)).with_name(f"{name.rsplit('.', 1)[-1]}.pyi")
    declared = from_stub(stub.read_text(encoding="utf-8"))
    found = list(differences(declared, from_module(module), name))
    for line in found:
        print(line)
    if not found:
        print(f"{len(declared)} names agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
