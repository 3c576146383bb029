"""What the demo shows: one calm screen on a terminal, which is drawn in place, and lines anywhere else.

On a terminal the demo has the alternate screen, as an editor has: what stood there is back at the end.
Only what changed is written, between the marks of a synchronized update, so nothing scrolls or flickers.
"""
import os
import re
import sys
import textwrap
import time

REDRAW_S = 0.1
LEAST_WIDTH, LEAST_HEIGHT = 60, 20  # a smaller terminal gets lines
MOST_WIDTH = 130
GREEN, RED, YELLOW, CYAN, DIM, BOLD = "32", "31", "33", "36", "2", "1"
NAME_WIDTH = 11
NOTE_WIDTH = 26
ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
BEGIN_UPDATE, END_UPDATE = "\x1b[?2026h", "\x1b[?2026l"


class Row:
    """
    One service: what it has done, what is there to be done, what will be in the end. Its lag is two
    numbers: what it has not done yet, and how far its group's commits are behind the end (None: not known).
    """

    def __init__(self, name, done, there, total, behind=None):
        self.name, self.done, self.there, self.total = name, done, max(there, done), total
        self.behind = behind
        self.note, self.colour = "", GREEN

    def to_do(self):
        return self.there - self.done

    def words(self):
        """What there is to say of it beside its number."""
        return ", ".join(word for word in (self.note, "%d to do" % self.to_do() if self.to_do() else "") if word)


def terminal_size(out):
    """(columns, lines); some terminals do not say."""
    size = os.get_terminal_size(out.fileno())
    return size.columns or 80, size.lines or 24


class Screen:
    """Writes to standard output; colours and the live screen only where it is a terminal."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.began = time.monotonic()
        self.steps = 0
        self.number = 0
        self.title = ""
        self.what = ()       # lines about the step
        self.story = []      # (text, code) told within the step
        self.rows = []
        self.bus = ("", DIM)  # how it is, and its colour
        self.passed = []     # (title, seconds)
        self.drawn = []      # lines as they stand on the terminal
        self.drawn_at = 0.0
        self.size = (0, 0)
        self.is_terminal = out.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self.colours = self.is_terminal and not os.environ.get("NO_COLOR")
        width, height = terminal_size(out) if self.is_terminal else (0, 0)
        self.live = self.is_terminal and width >= LEAST_WIDTH and height >= LEAST_HEIGHT
        fancy = "utf" in (out.encoding or "").lower()
        self.bar_parts = "█▒░" if fancy else "#=-"
        self.marks = "●○─" if fancy else "*.-"

    def elapsed(self):
        return time.monotonic() - self.began

    def paint(self, text, *codes):
        if not self.colours or not codes:
            return text
        return "\x1b[%sm%s\x1b[0m" % (";".join(codes), text)

    def width(self):
        """Of the terminal; anywhere else lines may be long."""
        return terminal_size(self.out)[0] if self.is_terminal else 200

    # ---- what is told ----

    def say(self, text=""):
        """A line that stays; only outside of the live screen."""
        print(text, file=self.out, flush=True)

    def step(self, title, *what):
        """The next step begins."""
        self.number += 1
        self.passed.append((title, self.elapsed()))
        self.title, self.what, self.story = title, what, []
        if self.live:
            self.draw()
            return
        self.say("\n%s %s" % (self.paint("[%5.1f s]" % self.elapsed(), DIM),
                              self.paint(title, BOLD)))
        for line in what:
            self.say("          " + self.paint(line, DIM))

    def tell(self, text, *codes):
        """A line within a step."""
        self.story.append((text, codes))
        if self.live:
            self.draw()
        else:
            self.say("          " + self.paint(text, *codes))

    def show(self, command, output):
        """A command as a person would type it, and what it printed."""
        self.tell("$ " + command, CYAN)
        for line in output.rstrip("\n").split("\n"):
            self.tell("  " + line)

    def progress(self, rows):
        """Where everybody stands, at the end of a step."""
        self.rows = rows
        if self.live:
            self.draw()
        else:
            self.say("          done:   " + "   ".join("%s %d%s" % (
                row.name, row.done, " (%s)" % row.words() if row.words() else "") for row in rows))

    def watch(self, rows):
        """Called over and over while something is awaited; rows() gives the rows."""
        if self.live and time.monotonic() - self.drawn_at >= REDRAW_S:
            self.rows = rows()
            self.draw()

    # ---- the live screen ----

    def open(self):
        if self.live:
            self.out.write(ENTER)
            self.out.flush()

    def close(self):
        """Back to what stood there before, with one line for each step that was shown."""
        if not self.live:
            return
        self.live = False
        self.out.write(LEAVE)
        self.out.flush()
        for title, at in self.passed:
            self.say("%s %s" % (self.paint("[%5.1f s]" % at, DIM), title))

    def draw(self):
        size = terminal_size(self.out)
        if size != self.size:
            self.size, self.drawn = size, []
        lines = self.frame(max(20, min(size[0], MOST_WIDTH)), size[1])
        text = "" if self.drawn else "\x1b[2J"
        for i, line in enumerate(lines):
            if i >= len(self.drawn) or self.drawn[i] != line:
                text += "\x1b[%d;1H%s\x1b[K" % (i + 1, line)
        if text:
            self.out.write(BEGIN_UPDATE + text + END_UPDATE)
            self.out.flush()
        self.drawn = lines
        self.drawn_at = time.monotonic()

    def frame(self, width, height):
        """All lines of the screen, none longer than its width."""
        top = self.head(width) + [""] + self.table(width) + [""]
        room = height - len(top) - 2
        below = []
        for text, codes in self.story:
            below += [self.paint(part, *codes) for part in wrap(text, width - 4)]
        below = [("  " + line) for line in below[-room:]] if room > 0 else []
        lines = (top + below)[:height - 1]
        return lines + [""] * (height - 1 - len(lines)) + [self.foot(width)]

    def table(self, width):
        if not self.rows:
            return []
        bar_width = max(8, width - 2 - NAME_WIDTH - 14 - 16 - NOTE_WIDTH)
        words = "%14s%8s%8s" % ("done", "to do", "behind")
        bus, colour = self.bus
        return ["  %s%s" % (self.paint("bus".ljust(NAME_WIDTH), BOLD), self.paint(bus, colour)),
                " " * (2 + NAME_WIDTH + bar_width) + self.paint(words, DIM)] + \
            [self.row(row, bar_width, width) for row in self.rows]

    def head(self, width):
        time_text = "%d:%02d" % divmod(int(self.elapsed()), 60)
        name = "The store on Tidings"
        lines = [" " + self.paint(name, BOLD) + time_text.rjust(width - len(name) - 3),
                 " " + self.paint(self.marks[2] * (width - 2), DIM),
                 " " + self.paint(self.title[:width - 2], BOLD, CYAN)]
        what = textwrap.wrap(" ".join(self.what), width - 2)[:3]
        return lines + [" " + self.paint(line, DIM) for line in what + [""] * (3 - len(what))]

    def row(self, row, bar_width, width):
        done, there = (0 if row.total <= 0 else min(bar_width, count * bar_width // row.total)
                       for count in (row.done, row.there))
        if row.to_do() and there == done and there < bar_width:
            there += 1  # something waits: it shows
        numbers = ("%d of %d" % (row.done, row.total)).rjust(14)
        to_do = "%8s" % (row.to_do() or "")
        behind = "%8s" % (row.behind or "")
        note = row.note[:max(0, width - 4 - NAME_WIDTH - bar_width - 14 - 16)]
        return "  %s%s%s%s%s%s%s  %s" % (
            self.paint(row.name.ljust(NAME_WIDTH), BOLD),
            self.paint(self.bar_parts[0] * done, GREEN),
            self.paint(self.bar_parts[1] * (there - done), YELLOW),
            self.paint(self.bar_parts[2] * (bar_width - there), DIM), numbers,
            self.paint(to_do, YELLOW), self.paint(behind, DIM), self.paint(note, row.colour))

    def foot(self, width):
        dots = self.marks[0] * self.number + self.marks[1] * (self.steps - self.number)
        legend = "%s done  %s to do  %s to come   behind: the commits" % tuple(self.bar_parts)
        if len(dots) + len(legend) + 4 > width:
            legend = ""
        return " " + self.paint(dots, CYAN) + self.paint(legend.rjust(width - len(dots) - 3), DIM)


def wrap(text, width):
    """Lines of at most that width; those of a table keep their blanks, and are cut."""
    if len(text) <= width:
        return [text]
    if re.search(r"\S  +\S", text):
        return [text[:width - 3] + "..."]
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text, width, subsequent_indent=indent + "  ") or [""]
