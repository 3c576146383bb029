"""docs/library.md says what the library does: each setting with its default, and each line of its log.

    check_library.py ROOT [--lines]

A setting is a row `| name | default | ...`, in the order of tidings_options; the default stands in brackets in the header, in the comment that
belongs to the setting. A line of the log is quoted as `text`, with … for what is another one each time. --lines prints those of the source.
"""
import pathlib
import re
import sys

TEXT = r'((?:"(?:[^"\\]|\\.)*"|PRI\w+|\s)+)'
IN_SOURCE = [re.compile(r"\b(?:service_log|service_log_often|lane_tell|say|tell)\([^;\"]*LOG_\w+,\s*" + TEXT),
             re.compile(r"\bsnprintf\((?:what\.)?text, sizeof (?:what\.)?text,\s*" + TEXT),
             re.compile(r"\bsnprintf\(left_out, sizeof left_out,\s*" + TEXT),
             re.compile(r"\bbuf_printf\(&text,\s*" + TEXT),
             re.compile(r"\bclient_fail\(&(?:what|runner->failure), [^;\"]*" + TEXT)]
FOLDERS = ("sdk/*.c", "src/client/*/lane_*.c", "src/client/reader/*.c", "src/client/connection/connection.c",
           "src/client/*/outcome*.c")
CONVERSION = re.compile(r"%[-+0-9.*]*(?:hh|h|ll|l|z|j)?[diuxscfp]")


def joined(source):
    """One C string made of several, with conversions as …"""
    source = re.sub(r'%"\s*PRI\w+\s*"', "…", source)
    source = re.sub(r'%"\s*PRI\w+', '…"', source)
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', source))
    return CONVERSION.sub("…", text).replace('\\"', '"')


def lines_of(root):
    """Text -> file."""
    found = {}
    for pattern in FOLDERS:
        for path in sorted(root.glob(pattern)):
            source = path.read_text(encoding="utf-8")
            for call in IN_SOURCE:
                for match in call.finditer(source):
                    text = joined(match[1])
                    if re.match(r"[\w…]", text) and len(re.sub(r"[…\W]", "", text)) > 3:
                        found[text] = path.name
    return found


def settings_of(root):
    """[(name, [what stands in brackets in its comment])] of tidings_options."""
    header = (root / "sdk" / "tidings.h").read_text(encoding="utf-8")
    body = re.search(r"^struct tidings_options \{\n(.*?)^\};", header, re.M | re.S)[1]
    found, above = [], []
    for part in re.finditer(r"/\*.*?\*/|^    [^/\n]*;|\n\n", body, re.M | re.S):
        text = part[0]
        if text.startswith("/*"):
            brackets = [item for inside in re.findall(r"\[([^\]]*)\]", text) for item in re.split("[,;] ", inside)]
            if body[:part.start()].rstrip(" ").endswith("\n"):
                above = brackets
            else:
                for name in last:
                    found[-1 - last[::-1].index(name)][1].extend(brackets)
        elif text.strip():
            last = re.findall(r"(\w+)\s*(?=[,;])", text)
            found += [(name, list(above)) for name in last]
        else:
            above = above if body[part.end():].startswith(("    int ", "    enum", "    size_t")) else []
    return found


def check_settings(root, document):
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", document, re.M)
    settings = settings_of(root)
    wrong = []
    if [name for name, _ in rows] != [name for name, _ in settings]:
        wrong.append(f"settings: the table has {[name for name, _ in rows]}, "
                     f"tidings.h {[name for name, _ in settings]}")
    known = dict(settings)
    wrong += [f"settings: {name} has the default {default} in the table, tidings.h says {known[name]}"
              for name, default in rows if name in known and default not in (known[name] or ["required", "none"])]
    return wrong, len(rows)


def main(root, *options):
    root = pathlib.Path(root)
    said = lines_of(root)
    if "--lines" in options:
        for text, file in said.items():
            print(f"{file}: {text}")
        return 0
    document = (root / "docs" / "library.md").read_text(encoding="utf-8")
    table = document.split("\n## Log\n")[1].split("\n## ")[0]
    quoted = set(re.findall(r"`([^`]+)`", "\n".join(row.split("|")[1] for row in table.split("\n") if row.startswith("| `"))))
    wrong, count = check_settings(root, document)
    wrong += [f"{file}: `{text}` is not in docs/library.md" for text, file in said.items() if text not in quoted]
    wrong += [f"docs/library.md: `{text}` is no line of the library" for text in quoted if text not in said]
    print("\n".join(sorted(wrong)) or f"{count} settings, {len(said)} lines")
    return 1 if wrong or count < 20 or len(said) < 30 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
