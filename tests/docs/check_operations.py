"""Every warning and error line of the server stands in docs/operations.md, and no other does.

    check_operations.py SRC DOCS/OPERATIONS.MD

In the document a line is quoted as: error `message` or warn `message`; more may follow with commas.
"""
import pathlib
import re
import sys

TEXT = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
IN_SOURCE = [re.compile(r'LOG_(ERROR|WARN)\(\s*"\w+",\s*' + TEXT),
             re.compile(r'(reactor_log_peer|say_unreadable|write_line)\([^;"]*,\s*' + TEXT)]
IN_DOCUMENT = re.compile(r"\b(?:error|warn)s? (`[^`]+`(?:(?:,| or| and) `[^`]+`)*)")


def messages(folder):
    """Message -> file."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*.c")):
        for pattern in IN_SOURCE:
            for match in pattern.finditer(path.read_text(encoding="utf-8")):
                text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[2]))
                found[text] = path.name
    return found


def main():
    said = messages(sys.argv[1])
    document = " ".join(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").split())
    quoted = {text for group in IN_DOCUMENT.findall(document)
              for text in re.findall(r"`([^`]+)`", group)}
    wrong = [f'{file}: "{text}" is not in docs/operations.md'
             for text, file in said.items() if text not in quoted]
    wrong += [f'docs/operations.md: "{text}" is no line of the server'
              for text in quoted if text not in said]
    print("\n".join(sorted(wrong)) or f"{len(said)} messages")
    return 1 if wrong or len(said) < 10 else 0


sys.exit(main())
