"""The exit codes, in one place."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What the shell is told."""

    OK = 0
    FAILED = 1
    USAGE = 2
    ATTENTION = 3
    STORE = 4
    INTERRUPTED = 130


#: For people, at the foot of ``--help``.
HELP = """\
exit codes:
    0  done
    1  failed, or what you asked about is not so
    2  the command line or a parameter is wrong; nothing was started
    3  a person must decide or sign in before it goes on
    4  the data folder is in use by another process, or its store refuses
  130  interrupted with Ctrl-C; what ran goes on with the next run"""
