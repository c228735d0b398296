"""Runs a program on a terminal of its own, closes the terminal when a file appears, and prints how the program ended."""

import os
import pty
import select
import sys
import time

flag, program = sys.argv[1], sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(program[0], program)
deadline = time.monotonic() + 60
while not os.path.exists(flag) and time.monotonic() < deadline:
    if select.select([terminal], [], [], 0.05)[0]:
        os.read(terminal, 65536)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
