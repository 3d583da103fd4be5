"""What `import bifrost` adds to the start of Python.

Timed: a whole process, from starting it until it has ended, that imports bifrost and does nothing; of so many fresh
processes the median, minus the median of as many that import nothing, started in turn with them.
Not timed: one of each before, which brings the files into the page cache and writes the bytecode.
"""

import statistics
import subprocess
import sys
import time

from load import arguments, tell


def taken(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - started) * 1e3


def main() -> None:
    given = arguments(__doc__)
    codes = ("import bifrost", "pass")
    for code in codes:
        taken(code)
    pairs = [[taken(code) for code in codes] for _ in range(given.fresh)]
    importing, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
    tell({"import_time": importing - bare}, f"bare interpreter: {bare:.1f} ms", "bifrost-hub")


main()
