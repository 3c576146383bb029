"""Runs what a document shows: its commands, and the files that it has the reader write.

In a block of ```console each line that begins with "$" is given to a shell, and what stands behind it is what it says: but for
times, ids and the width of columns; "…" stands for anything. A command that only looks is asked again until it says that, as services
take their time. Any other block is a file, whose name ends the paragraph before: `shop.c`:
"""
import os
import re
import subprocess
import time

LOOKS = re.compile(r"(?:cat|curl|sort|tail|head|ls|grep|sqlite3) |tidings (?:lanes list|deadletter list|group describe|subscribe) ")
MOST_S = 60
END = "__end__"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
NAMED = re.compile(r"`([\w./-]+\.\w+)`:\n*$")
CHANGES = [  # what is another one each time
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "TIME"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "ID"),
    (r"\b(task|plan) [0-9a-f]{16}\b", r"\1 ID"),
    (r"\bpid=\d+", "pid=N"),
    (r"\bafter \d+\.\d s\b", "after N s"),
    (r"\b127\.0\.0\.1:\d+\b", "ADDRESS"),
    (r"[ \t]+", " "),
]


# What a shell says of its jobs.
OF_JOBS = re.compile(r"^(?:bash: line \d+: +\d+ (?:Terminated|Killed|Aborted)|\[\d+\][+-]? ).*\n?", re.M)


def plain(text):
    text = OF_JOBS.sub("", text)
    for what, instead in CHANGES:
        text = re.sub(what, instead, text)
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def is_said(said, expected):
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, said, re.S) is not None


def commands_of(block):
    """[(command, what it says)] of lines that begin with "$", and what stands below each."""
    steps = []
    for line in block.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif line.startswith("> "):
            steps[-1] = (steps[-1][0] + "\n" + line[2:], [])
        else:
            steps[-1][1].append(line)
    return [(command, plain("\n".join(said))) for command, said in steps]


def parts_of(text):
    """Of a document, in its order: ("file", name, text), ("run", command, what it says) or ("sh", lines, None)."""
    for found in FENCE.finditer(text):
        kind, block = found.groups()
        if kind == "console":
            yield from (("run", *step) for step in commands_of(block))
        elif kind == "sh":
            yield "sh", block, None
        else:
            name = NAMED.search(text[:found.start()].rsplit("\n\n", 2)[-2] + "\n\n")
            assert name, f"the block has no name before it:\n{block[:200]}"
            yield "file", name[1], block


class Shell:
    def __init__(self, folder, paths, **environment):
        path = ":".join([*paths, os.environ["PATH"]])
        self.process = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=dict(os.environ, PATH=path, **environment))
        self.run("set -m")

    def run(self, command):
        """What it says, on standard output and error."""
        self.process.stdin.write(f"{{ {command}\n}} 2>&1\necho {END}\n")
        self.process.stdin.flush()
        said = []
        while (line := self.process.stdout.readline()).rstrip("\n") != END:
            assert line, f"the shell ended: {said}"
            said.append(line.rstrip("\n"))
        return plain("\n".join(said))

    def check(self, command, expected):
        """A command in the background may say it later, with what the next ones say: so it is waited for."""
        until = time.monotonic() + MOST_S
        looks, said = LOOKS.match(command), self.run(command)
        while not is_said(said, expected):
            assert time.monotonic() < until and (looks or command.endswith("&")), \
                f"$ {command}\nsays\n{said}\nand not\n{expected}"
            time.sleep(0.05)
            said = self.run(command) if looks else plain(said + "\n" + self.run(":"))

    def end(self):
        self.run("kill -9 $(jobs -p) 2>/dev/null; wait")
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
