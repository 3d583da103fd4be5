"""demo placeholder"""

from __future__ import annotations
import argparse
from ._output import Output


def configure(parser: argparse.ArgumentParser) -> None: ...
def run(arguments: argparse.Namespace, out: Output) -> int:
    return 0
