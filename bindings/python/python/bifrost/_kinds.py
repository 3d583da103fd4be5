"""Kinds of classes told apart by what they offer, because their packages may not be installed."""

from __future__ import annotations

import sys


def is_model(cls: type) -> bool:
    """Tell whether ``cls`` is a pydantic 2 model. Never imports pydantic: without it there are no models."""
    base = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return base is not None and issubclass(cls, base) and hasattr(cls, "model_json_schema")


def converts_itself(cls: type) -> bool:
    """Tell whether ``cls`` has both halves of its own conversion, which then stand above its fields."""
    return callable(getattr(cls, "to_dict", None)) and callable(getattr(cls, "from_dict", None))
