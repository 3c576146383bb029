#!/usr/bin/python3
"""Runs docs/tutorial.md, docs/recipes.md and docs/testing.md as a reader does (guide.py), with what `make install` gives.

usage: run_guides.py [DOCUMENT...]        TIDINGS_BUILD: the build folder

Each has a home of its own. Where the document has the bus at its usual address it is at a free one, which the program `tidings` in front of
the installed one cares for.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from guide import Shell, parts_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TIDINGS_BUILD", os.path.join(ROOT, "build"))
DOCUMENTS = ("tutorial.md", "recipes.md", "testing.md")
WRAPPER = """#!/bin/sh
case $1 in
serve) shift; exec '{program}' serve --listen '{address}' "$@" ;;
*) exec '{program}' "$@" ;;
esac
"""


def install(home):
    """As `make install PREFIX=HOME/tidings`, of what is built."""
    stage = os.path.join(home, "stage")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", stage], check=True,
                   stdout=subprocess.DEVNULL)
    target = os.path.join(home, "tidings")
    package = next(os.path.join(at, "tidings.pc") for at, _, names in os.walk(stage)
                   if "tidings.pc" in names)
    with open(package, encoding="utf-8") as file:
        text = file.read()
    prefix = re.search(r"^prefix=(.*)$", text, re.M)[1]
    with open(package, "w", encoding="utf-8") as file:
        file.write(text.replace(f"prefix={prefix}\n", f"prefix={target}\n"))
    os.rename(stage + prefix, target)
    shutil.rmtree(stage)
    return target


def address_of(held):
    """One that nobody else gets while the socket is open: the guide's server may listen there."""
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{held.getsockname()[1]}"


def stand_in(folder, program, address):
    os.mkdir(folder)
    path = os.path.join(folder, "tidings")
    with open(path, "w", encoding="utf-8") as file:
        file.write(WRAPPER.format(program=program, address=address))
    os.chmod(path, 0o700)
    return folder


def is_export(command):
    return command.startswith("export PATH=")


def follow(shell, home, parts, first):
    """How many commands were run. The program in front stays the first one."""
    count, folder = 0, home
    for kind, what, content in parts:
        if kind == "file":
            with open(os.path.join(folder, what), "w", encoding="utf-8") as file:
                file.write(content)
        elif kind == "run":
            shell.check(what, content)
            folder = shell.run("pwd")
            count += 1
            if is_export(what):
                shell.run(f"export PATH={first}:$PATH")
    return count


def run(document):
    with tempfile.TemporaryDirectory(prefix="tidings-guide-") as home, socket.socket() as held:
        target = install(home)
        address = address_of(held)
        first = stand_in(os.path.join(home, "first"), os.path.join(target, "bin", "tidings"), address)
        with open(os.path.join(ROOT, "docs", document), encoding="utf-8") as file:
            parts = list(parts_of(file.read()))
        shell = Shell(home, [first], HOME=home, TIDINGS_BOOTSTRAP_SERVER=address)
        try:
            count = follow(shell, home, parts, first)
        except AssertionError as error:
            said = shell.run("tail -n 20 *.log")
            return 0, f"docs/{document}: {error}\n{said}"
        finally:
            shell.end()
    assert count > 15, f"docs/{document} has {count} commands"
    return count, None


def main(documents):
    with ThreadPoolExecutor(len(documents)) as threads:
        results = list(threads.map(run, documents))
    for document, (count, failure) in zip(documents, results):
        print(failure or f"ok: {count} commands of docs/{document}")
    failed = sum(failure is not None for _, failure in results)
    print(f"{sum(count for count, _ in results)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or DOCUMENTS))
