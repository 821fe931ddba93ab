"""A log that is being written: appends lines at a steady rate, and says when it began to write each.

    python -I appending.py LOG SAMPLE LINES_A_SECOND SECONDS

Lines are those of SAMPLE, over and over, each written by itself. On standard output, for each: the offset of its end, and
the moment (CLOCK_MONOTONIC, which all processes share, in nanoseconds) right before it was written.
"""

import os
import sys
import time
from itertools import cycle, islice
from pathlib import Path


def main() -> None:
    log, sample, rate, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    lines = sample.read_bytes().splitlines(keepends=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    written: list[tuple[int, int]] = []
    end, begun = os.fstat(descriptor).st_size, time.monotonic()
    for number, line in enumerate(islice(cycle(lines), int(rate * seconds))):
        early = begun + number / rate - time.monotonic()
        if early > 0:
            time.sleep(early)
        moment = time.monotonic_ns()
        end += os.write(descriptor, line)
        written.append((end, moment))
    print("\n".join(f"{end} {moment}" for end, moment in written))


if __name__ == "__main__":
    main()
