"""The command ``bifrost``: one file per command, each with ``configure`` (its arguments) and ``run`` (what it does)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from . import _failures
from ._exit import Exit
from ._output import Output
from ._parser import build

__all__ = ["Exit", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Reads the command line and does what it says; answers the exit code, see :class:`Exit`."""
    arguments = build().parse_args(argv)
    # Where it takes a file, it may be there without one.
    out = Output(as_json=arguments.json is not False)
    if arguments.debug:
        _show_log()
    try:
        code: int = arguments.run(arguments, out)
        out.flush()
    except BrokenPipeError:
        # Whoever read has read enough, as `head` does.
        out.abandon()
        return Exit.OK
    except KeyboardInterrupt:
        out.note("bifrost: interrupted; next: run the same again, it goes on where it was")
        return Exit.INTERRUPTED
    except Exception as error:
        if arguments.debug:
            raise
        return _failures.told(error, out)
    return code


def _show_log() -> None:
    """What the hub logs is for ``--debug``: each command says itself what failed. A program's own logging stays."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger("bifrost").addHandler(handler)
