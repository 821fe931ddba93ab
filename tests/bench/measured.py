"""Runs a command and prints what it took, by the operating system's own figures, as one JSON object.

    python -I -S measured.py COMMAND...

    seconds  from start to end
    cpu      seconds of user and system time, of the command and what it waited for
    memory   the largest resident set, MB (10^6 bytes)

A program of its own, since Linux counts towards a process's peak what its parent held when it was started (`exec` keeps
the peak of the memory that it replaces): this parent holds 10 MB.
"""

import os
import sys
import time

started = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - started
cpu = usage.ru_utime + usage.ru_stime
print(f'{{"seconds": {seconds}, "cpu": {cpu}, "memory": {usage.ru_maxrss * 1024 / 1e6}}}')
sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
