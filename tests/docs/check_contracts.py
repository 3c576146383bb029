#!/usr/bin/env python3
"""Counts the public prototypes that have their contract above them.

    check_contracts.py ROOT            what is without one, and the share of each room
    check_contracts.py ROOT --strict   fails unless all have one

A prototype has its contract when a comment stands above it, or when it follows another prototype
without an empty line between: then they share one. A comment that ends with a colon and has an
empty line below it is the contract of all functions up to the next comment. Functions of
src/**/*.h and sdk/tidings.h; those that are defined in the header (static inline) count too.
"""
import pathlib
import re
import sys
from collections import defaultdict

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
BLANKED = re.compile(r"[^\n]")
# At the left margin: words, a name, the parameters, and ; or {.
FUNCTION = re.compile(r"^(?!(?:struct|enum|union)\s+\w+\s*[{;]|typedef|#|return|else)"
                      r"[A-Za-z_][\w\s*]*?[\s*](\w+)\s*\(([^;{}()]|\([^()]*\))*\)"
                      r"(?:\s*__attribute__\s*\(\(.*?\)\))?\s*[;{]", re.M | re.S)


def without_comments(text):
    """The same text with every comment, and every macro, as blanks."""
    text = COMMENT.sub(lambda found: BLANKED.sub(" ", found[0]), text)
    return re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*", lambda found: BLANKED.sub(" ", found[0]), text,
                  flags=re.M)


def functions(text):
    """(name, line, last line)"""
    code = without_comments(text)
    for found in FUNCTION.finditer(code):
        last = found.end()
        if found[0].endswith("{"):
            last = code.find("\n}", last)
        yield (found[1], code.count("\n", 0, found.start()), code.count("\n", 0, last) +
               found[0].endswith("{"))


def missing(path):
    """The functions of a header without a contract, and how many there are."""
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    lacking, count, covered_to = [], 0, -2
    for name, first, last in functions(text):
        count += 1
        before = "\n".join(lines[:first]).rpartition("*/")[0]
        above = lines[first - 1].strip() if first > 0 else ""
        # Behind a prototype on its last line: /* what holds */
        beside = re.search(r";\s*/\*.*\*/$", lines[last])
        if above.endswith("*/") and not above.endswith(("{ */", "---- */")) or beside or \
                covered_to == first - 1 or before.rstrip().endswith(":"):
            covered_to = last
        else:
            lacking.append((name, first + 1))
    return lacking, count


def main(root, *options):
    root = pathlib.Path(root)
    rooms = defaultdict(lambda: [0, 0])
    for path in sorted([*root.glob("src/**/*.h"), root / "sdk" / "tidings.h"]):
        lacking, count = missing(path)
        room = rooms[path.parent.relative_to(root).as_posix()]
        room[0] += count - len(lacking)
        room[1] += count
        for name, line in lacking:
            print(f"{path.relative_to(root)}:{line}: {name} has no contract above it")
    for room, (good, count) in rooms.items():
        print(f"{room:16} {good:4} of {count:4}")
    good, count = (sum(numbers[i] for numbers in rooms.values()) for i in (0, 1))
    print(f"{good} of {count} public functions have their contract above them: "
          f"{100 * good / count:.1f} %")
    return 1 if good < count and "--strict" in options else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
