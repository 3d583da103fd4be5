"""The hub's own log records in `logging`, and the workflow's name on everybody else's.

While a hub is open, what it says of itself arrives at the loggers below ``bifrost``, named for the part that says it,
such as ``bifrost.actors.connection``. Each record has the attributes ``tenant``, ``connection`` and ``execution``,
empty where there is none, and ``facts`` with whatever else was said. Records come from a bounded queue over a thread of
their own: a slow handler never holds up the hub. Where it falls behind, records are dropped, and ``bifrost.logs`` says
how many.

    import logging
    import bifrost.logs

    handler = logging.StreamHandler()
    handler.addFilter(bifrost.logs.ContextFilter())
    handler.setFormatter(logging.Formatter("%(levelname)s %(tenant)s %(workflow)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
"""

from __future__ import annotations

import logging

from . import _bridge
from .context import current

__all__ = ["ContextFilter", "refresh_levels"]


class ContextFilter(logging.Filter):
    """Lets every record through and says in ``tenant``, ``workflow``, ``execution`` and ``connection`` where it comes
    from, so that a formatter can rely on them. What a record says already stays; what nobody knows is empty.

    Add it to a handler: a filter of a logger sees nothing of the loggers below.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Adds what is missing."""
        context = current.get(None)
        for name in ("tenant", "workflow", "execution"):
            if not getattr(record, name, ""):
                setattr(record, name, "" if context is None else getattr(context, name))
        if not hasattr(record, "connection"):
            record.connection = ""
        return True


def refresh_levels() -> None:
    """Lets changed levels of ``bifrost`` loggers hold at once; by itself the hub looks every two seconds.

    What no ``bifrost`` logger wants is not even formatted.
    """
    _bridge.refresh_levels()
