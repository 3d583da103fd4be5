"""The command `bifrost`."""

import argparse

from bifrost import __version__


def main() -> int:
    """Read the command line and do what it says; answers the exit code."""
    parser = argparse.ArgumentParser(prog="bifrost", description="The Bifrost Hub on the command line.")
    parser.add_argument("--version", action="version", version=f"bifrost {__version__}")
    parser.parse_args()
    parser.print_help()
    return 0
