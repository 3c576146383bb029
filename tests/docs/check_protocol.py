"""Compares the coverage table of docs/protocol.md with what the server serves.

    check_protocol.py PRINT_API_TABLE DOCS/PROTOCOL.MD [--write]

The table's lines begin with `| KEY | NAME | VERSIONS | FLEXIBLE |`; a note may follow in a fifth
column. --write brings the first four columns up to date and keeps the notes.
"""
import re
import subprocess
import sys

ROW = re.compile(r"^(\| (\d+) \| \w+ \| \d+–\d+ \| \S+ \|)(.*)$")


def main():
    served = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
    with open(sys.argv[2], encoding="utf-8") as file:
        lines = file.read().splitlines()
    said = [match for line in lines if (match := ROW.match(line))]
    if "--write" in sys.argv:
        notes = {match[2]: match[3] for match in said}
        rows = [row + notes.get(row.split()[1], " |") for row in served.splitlines()]
        first = next((i for i, line in enumerate(lines) if ROW.match(line)), None)
        if first is None:
            first = next(i for i, line in enumerate(lines) if line.startswith("|---")) + 1
        lines = [line for line in lines if not ROW.match(line)]
        lines[first:first] = rows
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return 0
    wrong = set(served.splitlines()) ^ {match[1] for match in said}
    for row in sorted(wrong):
        where = "served but not in" if row in served else "not served but in"
        print(f"{where} docs/protocol.md: {row}")
    if not said:
        print("docs/protocol.md has no table")
    return 1 if wrong or not said else 0


sys.exit(main())
