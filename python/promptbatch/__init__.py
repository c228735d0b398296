"""The program promptbatch, for Python: where it is, and how to run it. `promptbatch.ray` starts workers of a shared run under Ray."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence

__all__ = ["find_program", "run_program"]


def find_program() -> str:
    """Returns the path of the program: in the folder of scripts of this Python, or else on the PATH."""
    scripts = sysconfig.get_path("scripts")
    program = shutil.which("promptbatch", path=scripts) or shutil.which("promptbatch")
    if program is None:
        raise FileNotFoundError(
            f"could not find the program promptbatch, neither in {scripts} nor on the PATH; install the wheel, or add its folder to the PATH"
        )
    return os.path.abspath(program)


def run_program(args: Sequence[str]) -> int:
    """Runs the program with these arguments, on this process's input and output. Returns its exit code."""
    return subprocess.run([find_program(), *args], check=False).returncode
