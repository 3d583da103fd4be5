"""The least that must work wherever the wheel is installed: `python -I smoke.py VERSION`, with no other package.

The tests proper run on one Python; this runs on each.
"""

import subprocess
import sys
from pathlib import Path

import bifrost


def main(version: str) -> None:
    """Fails by raising."""
    told = bifrost.__version__
    if told != version:
        raise SystemExit(f"bifrost.__version__ is {told}, Cargo.toml says {version}")
    command = Path(sys.executable).with_name("bifrost")
    printed = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout
    if version not in printed:
        raise SystemExit(f"bifrost --version printed {printed!r}")


if __name__ == "__main__":
    main(sys.argv[1])
