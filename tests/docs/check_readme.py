#!/usr/bin/python3
"""The example of README.md, "Order through failure", does what is printed there.

usage: check_readme.py README TIDINGS PRINT

guide.py says how its commands are run and compared.
"""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness.server import Server
from guide import Shell, commands_of


def steps_of(path):
    """[(command, what it says)]"""
    with open(path, encoding="utf-8") as file:
        section = file.read().split("\n## Order through failure\n")[1].split("\n## ")[0]
    steps = commands_of("\n".join(re.findall(r"^    (.*)$", section, re.M)))
    assert len(steps) > 5, steps
    return steps


def main():
    readme, *programs = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tidings-readme-") as folder:
        with Server(os.path.join(folder, "data")) as server:
            shell = Shell(folder, [os.path.dirname(program) for program in programs],
                          TIDINGS_BOOTSTRAP_SERVER=server.address)
            try:
                for command, expected in steps_of(readme):
                    shell.check(command, expected)
            finally:
                shell.end()
            assert server.stop() == 0, "the server did not stop cleanly"
    print("ok: the example of README.md does what it says")


if __name__ == "__main__":
    main()
