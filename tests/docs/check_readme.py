#!/usr/bin/python3
"""The example of README.md, "Order through failure", does what is printed there.

usage: check_readme.py README TIDINGS PRINT

Each line that begins with "$" is given to a shell; what stands behind it is what it says, but for times and ids. A command
that only looks is asked again until it says that, as services take their time.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness.server import Server

LOOKS = ("cat ", "tidings lanes list")
MOST_S = 60
END = "__end__"


def steps_of(path):
    """[(command, what it says)]"""
    with open(path, encoding="utf-8") as file:
        section = file.read().split("\n## Order through failure\n")[1].split("\n## ")[0]
    steps = []
    for line in re.findall(r"^    (.*)$", section, re.M):
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    assert len(steps) > 5, steps
    return [(command, plain("\n".join(said))) for command, said in steps]


def plain(text):
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    return re.sub(r"\btask [0-9a-f]{16}\b", "task ID", text).strip()


class Shell:
    def __init__(self, folder, address, programs):
        path = ":".join([os.path.dirname(program) for program in programs] + [os.environ["PATH"]])
        self.process = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, PATH=path, TIDINGS_BOOTSTRAP_SERVER=address))

        self.run("set -m")

    def run(self, command):
        self.process.stdin.write(f"{command}\necho {END}\n")
        self.process.stdin.flush()
        said = []
        while (line := self.process.stdout.readline().rstrip("\n")) != END:
            assert line or self.process.poll() is None, f"the shell ended: {said}"
            said.append(line)
        return plain("\n".join(said))

    def end(self):
        self.run("kill $(jobs -p) 2>/dev/null; wait")
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def check(shell, command, expected):
    until = time.monotonic() + MOST_S
    while True:
        said = shell.run(command)
        if said == expected:
            return
        assert command.startswith(LOOKS) and time.monotonic() < until, \
            f"$ {command}\nsays\n{said}\nand not\n{expected}"
        time.sleep(0.05)


def main():
    readme, *programs = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tidings-readme-") as folder:
        with Server(os.path.join(folder, "data")) as server:
            shell = Shell(folder, server.address, programs)
            try:
                for command, expected in steps_of(readme):
                    check(shell, command, expected)
            finally:
                shell.end()
            assert server.stop() == 0, "the server did not stop cleanly"
    print("ok: the example of README.md does what it says")


if __name__ == "__main__":
    main()
