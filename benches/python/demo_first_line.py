"""How soon `bifrost demo` says something.

Timed: from starting the command until its first line is read from its standard output; of so many fresh processes the
median. The command is ended after that line.
Not timed: one before, which brings the files into the page cache.
"""

import statistics
import subprocess
import sys
import time

from load import arguments, tell

COMMAND = [sys.executable, "-c", "import sys; from bifrost.cli import main; sys.exit(main())", "demo"]


def taken(folder: str) -> float:
    started = time.perf_counter()
    process = subprocess.Popen(COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - started
        if not line:
            sys.exit(f"bifrost demo said nothing: {process.stderr.read()}")
        process.kill()
    return seconds


def main() -> None:
    given = arguments(__doc__)
    taken(given.folder)
    times = [taken(given.folder) for _ in range(given.fresh)]
    tell({"demo_first_line": statistics.median(times)}, "", "bifrost-hub")


main()
