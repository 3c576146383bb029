"""Each command of the program and each function of the library has its manual page, and groff has no word against any.

    check_manpages.py TIDINGS VERSION LIBTIDINGS.SO SDK
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def page_of(folder, section, name):
    """Its text, of the page that it leads to; None: there is none."""
    path = os.path.join(folder, f"man{section}", f"{name}.{section}")
    text = read(path) if os.path.exists(path) else None
    link = re.match(r"\.so (\S+)\n", text or "")
    return read(os.path.join(folder, link[1])) if link else text


def is_shown(page, name):
    """Its prototype is there, and what the header says of it."""
    synopsis = page.split(".SH SYNOPSIS")[1].split(".SH DESCRIPTION")[0]
    return re.search(r"\b%s\(" % name, synopsis) and \
        re.search(r"^\.SS .*\b%s\b.*\n(?:\.PP\n)?\S" % name, page, re.M)


def main(program, version, library, sdk):
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        headers = sorted(glob.glob(os.path.join(sdk, "tidings*.h")))
        run(sys.executable, "-B", os.path.join(ROOT, "tools", "manpage"), program, version, folder, *headers)
        functions = re.findall(r" T (tidings_\w+)(?:@@\S+)?$", run("nm", "-D", "--defined-only", library).stdout, re.M)
        for header in headers:
            functions += re.findall(r"^static inline .*?\b(tidings_\w+)\(", read(header), re.M | re.S)
        wrong += [f"no manual page tells of {name}" for name in functions
                  if not is_shown(page_of(folder, 3, name) or ".SH SYNOPSIS", name)]
        commands = re.findall(r"^  (\w+)", run(program, "help").stdout.split("Commands:\n")[1].split("\n\n")[0], re.M)
        for name in commands:
            page = page_of(folder, 1, f"tidings-{name}") or ""
            options = re.findall(r"^ +(?:-\w, )?(--[\w-]+)", run(program, name, "--help").stdout, re.M)
            wrong += [f"tidings-{name}(1) does not tell of {option}" for option in options
                      if option.replace("-", "\\-") not in page]
        pages = glob.glob(os.path.join(folder, "man*", "*"))
        if shutil.which("groff"):
            for path in pages:
                said = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z", path], cwd=folder, check=False,
                                      capture_output=True, text=True).stderr
                wrong += [said] if said else []
        else:
            print("skip: no groff looks at the manual pages")
    print("\n".join(wrong) or f"{len(pages)} pages, of {len(functions)} functions and {len(commands)} commands")
    return 1 if wrong or len(functions) < 20 or len(commands) < 10 else 0


sys.exit(main(*sys.argv[1:]))
