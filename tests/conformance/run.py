#!/usr/bin/python3
"""Checks each API's answers, to ordinary and to edge input, against answers.txt.

    run.py                        starts $TIDINGS_BIN and compares; exit code 1: an answer differs
    run.py --write                takes its answers as the right ones
    run.py --against HOST:PORT    shows where another server answers differently (+) from Tidings
                                  (-); it must be fresh
    run.py ... GROUP ...          only some groups of cases, printed

See README.md.
"""
import argparse
import difflib
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import kafka  # noqa: E402
from harness.server import Server  # noqa: E402
import session  # noqa: E402
import cases_data
import cases_groups
import cases_topics
import cases_txn

ANSWERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "answers.txt")
CASES = cases_topics.CASES + cases_data.CASES + cases_groups.CASES + cases_txn.CASES


def ranges(address):
    """What both the server and the schema know, by API: (lowest, highest)."""
    answer = kafka.Client(address).ask("api_versions", 0)
    served = {api["api_key"]: (api["min_version"], api["max_version"])
              for api in answer["api_keys"]}
    out = {}
    for name, (key, request, _) in kafka.APIS.items():
        if key in served:
            low, high = served[key]
            out[name] = max(low, request.low), min(high, request.high)
    return out


def play(address, names, served):
    """The text of the server's answers."""
    k = session.Session(address, served)
    for case in CASES:
        if not names or case.__name__ in names:
            try:
                case(k)
            except (AssertionError, OSError, KeyError, TypeError) as error:
                k.write("the case broke off", [f"{type(error).__name__}: {error}"[:200]])
    return k.out


def played_by_tidings(names):
    with tempfile.TemporaryDirectory() as data, Server(data) as server:
        address = ("127.0.0.1", server.port)
        served = ranges(address)
        return play(address, names, served), served


def by_title(text):
    out, title = {}, None
    for line in text:
        if line.startswith("-- "):
            title = line
        if line and title and not line.startswith("##"):
            out.setdefault(title, []).append(line)
    return out


def difference(expected, got):
    """Lines that say which answers differ, and how."""
    expected, got = by_title(expected), by_title(got)
    out = []
    for title in [*expected, *(title for title in got if title not in expected)]:
        lines = difflib.ndiff(expected.get(title, []), got.get(title, []))
        changed = [line for line in lines if line[0] in "+-"]
        if changed:
            out += [title] + [line for line in changed if line[2:] != title] + [""]
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--against")
    parser.add_argument("groups", nargs="*")
    options = parser.parse_args()
    unknown = set(options.groups) - {case.__name__ for case in CASES}
    if unknown:
        parser.error(f"no group {unknown}; there are: {' '.join(c.__name__ for c in CASES)}")
    text, served = played_by_tidings(options.groups)
    if options.against:
        host, port = options.against.rsplit(":", 1)
        other = play((host, int(port)), options.groups, served)
        print("\n".join(difference(text, other)))
        return 0
    if options.write:
        with open(ANSWERS, "w", encoding="utf-8") as file:
            file.write("\n".join(text) + "\n")
        return 0
    if options.groups:
        print("\n".join(text))
        return 0
    with open(ANSWERS, encoding="utf-8") as file:
        expected = file.read().splitlines()
    wrong = difference(expected, text)
    print("\n".join(wrong) or f"{sum(line.startswith('-- ') for line in text)} answers as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
