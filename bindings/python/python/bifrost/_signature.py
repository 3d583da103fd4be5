"""The parameters of a decorated function: what may be wrong with them, their schema, and binding them.

`Signature` reads what needs no evaluated hint, at once; `Signature.compile` the rest, as soon as every name exists.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar

from ._decode import DecoderBuilder
from ._hints import UnsupportedHint, evaluate
from ._kinds import is_model
from ._plan import Decoder
from ._pointer import CodecError
from ._reader import HintReader
from ._schema import SchemaBuilder
from ._shape import Anything, Field, OneOf, Scalar, Shape

T = TypeVar("T")
_KINDS = inspect.Parameter


class Signature:
    """What a function takes after its context.

    Args:
        what: What the function is, for errors, such as ``workflow 'onboard'``.
        function: The function as written.

    Raises:
        TypeError: It has no context, ``*args``, a positional-only parameter, or a parameter without a hint.
    """

    def __init__(self, what: str, function: Callable[..., Any]) -> None:
        self.what = what
        self.function = function
        # A wrapper made with functools.wraps shows the signature of what it wraps, whose globals hold the names.
        self._scope: dict[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        self._result = signature.return_annotation
        self.context = self._context(parameters)
        self.extra = next((p for p in parameters[1:] if p.kind is _KINDS.VAR_KEYWORD), None)
        self.named = [self._checked(p) for p in parameters[1:] if p is not self.extra]

    def _refuse(self, problem: str) -> NoReturn:
        raise TypeError(f"{self.what}: {problem}")

    def _context(self, parameters: list[inspect.Parameter]) -> inspect.Parameter:
        first = parameters[0] if parameters else None
        if first is None or first.kind not in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD):
            self._refuse("the first parameter is the context: write def name(ctx, ...)")
        return first

    def _checked(self, parameter: inspect.Parameter) -> inspect.Parameter:
        if parameter.kind is _KINDS.VAR_POSITIONAL:
            self._refuse(f"*{parameter.name} has no name to pass it by; use a list")
        if parameter.kind is _KINDS.POSITIONAL_ONLY:
            self._refuse(f"parameter {parameter.name!r} is positional-only, but parameters are passed by name")
        if parameter.annotation is _KINDS.empty:
            self._refuse(f"parameter {parameter.name!r} has no type hint; write for example {parameter.name}: str")
        return parameter

    def compile(self, localns: Mapping[str, Any] | None = None) -> Compiled:
        """Evaluate the hints.

        Args:
            localns: Names visible where the function was defined, besides its globals.

        Raises:
            UnresolvedHint: A name in a hint is not defined yet.
            UnsupportedHint: JSON cannot carry a hint; names function and parameter.
        """
        reader = HintReader(localns)
        builder, decoders = SchemaBuilder(reader), DecoderBuilder(reader)
        fields = [self._at(p, partial(self._field, reader, builder, p, localns)) for p in self.named]
        extra_shape = None if self.extra is None else self._extra_shape(reader, localns)
        extra = False if extra_shape is None else isinstance(extra_shape, Anything) or builder.of(extra_shape)
        schema = builder.members(fields, self.function.__doc__, extra=extra)
        if self.extra is not None and self.context.kind is not _KINDS.POSITIONAL_ONLY:
            # **kwargs would let a caller pass the context a second time.
            schema["propertyNames"] = {"not": {"const": self.context.name}}
        if not fields and self.extra is None:
            schema["type"] = ["object", "null"]
        plans = {field.name: decoders.plan(field.shape).decode for field in fields}
        return Compiled(
            schema=builder.root(schema),
            decoders={name: decode for name, decode in plans.items() if decode is not None},
            names=frozenset(plans),
            extra=None if extra_shape is None else decoders.plan(extra_shape).decode,
            result=self._result_decoder(reader, decoders, localns),
        )

    def _at(self, parameter: inspect.Parameter, read: Callable[[], T]) -> T:
        try:
            return read()
        except UnsupportedHint as error:
            raise error.within(f"{self.what}: parameter {parameter.name!r}") from error.__cause__

    def _shape(self, reader: HintReader, hint: object, localns: Mapping[str, Any] | None) -> Shape:
        return reader.read(evaluate(hint, self._scope, localns), self._scope)

    def _field(
        self,
        reader: HintReader,
        builder: SchemaBuilder,
        parameter: inspect.Parameter,
        localns: Mapping[str, Any] | None,
    ) -> Field:
        shape = self._shape(reader, parameter.annotation, localns)
        # Limits that do not apply are found by building: here, where the parameter is known.
        builder.of(shape)
        if parameter.default is _KINDS.empty:
            return Field(parameter.name, shape)
        if parameter.default is None:
            # "name: str = None" is what many people write.
            shape = OneOf((shape, Scalar(types.NoneType)))
        return Field(parameter.name, shape, required=False, default=parameter.default)

    def _extra_shape(self, reader: HintReader, localns: Mapping[str, Any] | None) -> Shape:
        assert self.extra is not None
        if self.extra.annotation is _KINDS.empty:
            return Anything()
        hint = self.extra.annotation
        return self._at(self.extra, lambda: self._shape(reader, hint, localns))

    def _result_decoder(
        self, reader: HintReader, decoders: DecoderBuilder, localns: Mapping[str, Any] | None
    ) -> Decoder | None:
        if self._result is inspect.Signature.empty:
            return None
        try:
            hint = evaluate(self._result, self._scope, localns)
            if hint is NoReturn or _only_writes(hint):
                return None
            return decoders.plan(reader.read(hint, self._scope)).decode
        except UnsupportedHint as error:
            raise error.within(f"{self.what}: result") from error.__cause__


def _only_writes(hint: object) -> bool:
    """Tell whether results of this class can be stored, but only be read back as what ``to_dict`` returned."""
    if not isinstance(hint, type) or dataclasses.is_dataclass(hint) or is_model(hint):
        return False
    return callable(getattr(hint, "to_dict", None)) and not callable(getattr(hint, "from_dict", None))


@dataclass(frozen=True)
class Compiled:
    """A signature with its hints evaluated.

    Attributes:
        schema: JSON Schema of the parameters as one object.
        decoders: How to decode a parameter, for those that need it.
        names: The named parameters.
        extra: How to decode what ``**kwargs`` takes, if at all.
        result: How to decode the result, if at all.
    """

    schema: dict[str, Any]
    decoders: Mapping[str, Decoder]
    names: frozenset[str]
    extra: Decoder | None
    result: Decoder | None

    def bind(self, params: dict[str, Any] | None) -> dict[str, Any]:
        """Return the keyword arguments of a call; see `Definition.bind`."""
        if params is None:
            return {}
        if not self.decoders and self.extra is None:
            return params
        arguments = dict(params)
        for name, value in params.items():
            decode = self.decoders.get(name) if name in self.names else self.extra
            if decode is None:
                continue
            try:
                arguments[name] = decode(value)
            except CodecError as error:
                raise error.within(name) from error.__cause__
        return arguments
