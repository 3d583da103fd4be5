"""Values to plain JSON and back, by type hint. `encode` and `decoder` are the two halves."""

from __future__ import annotations

from ._decode import decoder
from ._encode import MAX_DEPTH, encode
from ._plan import Decoder
from ._pointer import CodecError

__all__ = ["MAX_DEPTH", "CodecError", "Decoder", "decoder", "encode"]
