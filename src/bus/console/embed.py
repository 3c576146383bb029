#!/usr/bin/python3
"""Writes the files of the console as C: embed.py OUTPUT FILE..."""
import hashlib
import os
import sys

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml"}


def main(output, paths):
    arrays, rows = [], []
    for number, path in enumerate(paths):
        with open(path, "rb") as file:
            content = file.read()
        name = os.path.basename(path)
        digits = [", ".join(str(byte) for byte in content[at:at + 24])
                  for at in range(0, len(content), 24)]
        arrays.append(f"static const unsigned char file_{number}[] = {{\n" + ",\n".join(digits) + "};\n")
        rows.append(f'    {{"{name}", "/console/{name}", "{TYPES[os.path.splitext(name)[1]]}", '
                    f'"{hashlib.sha256(content).hexdigest()[:12]}", file_{number}, sizeof file_{number}}},\n')
    with open(output, "w", encoding="ascii") as to:
        to.write('#include "bus/console/console_files.h"\n\n' + "\n".join(arrays) +
                 "\nconst struct console_file console_files[] = {\n" + "".join(rows) + "};\n"
                 f"const size_t console_file_count = {len(rows)};\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
