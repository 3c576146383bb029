"""What the demo shows: steps, and the services' progress as lines or, on a terminal, as live bars."""
import os
import sys
import time

WIDTH = 32
REDRAW_S = 0.05
GREEN, RED, YELLOW, DIM, BOLD = "32", "31", "33", "2", "1"


class Bar:
    """One service's line: how much of what was ordered it has done."""

    def __init__(self, name, done, total, note="", colour=GREEN):
        self.name = name
        self.done = done
        self.total = total
        self.note = note
        self.colour = colour


class Screen:
    """Writes to standard output; colours and live bars only where it is a terminal."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.began = time.monotonic()
        self.live = out.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self.colours = self.live and not os.environ.get("NO_COLOR")
        self.drawn = 0  # lines of bars that stand above the cursor
        self.drawn_at = 0.0

    def elapsed(self):
        return time.monotonic() - self.began

    def paint(self, text, *codes):
        if not self.colours or not codes:
            return text
        return "\x1b[%sm%s\x1b[0m" % (";".join(codes), text)

    def say(self, text=""):
        """A line of its own; bars above it stay as they are."""
        self.drawn = 0
        print(text, file=self.out, flush=True)

    def tell(self, text):
        """A line within a step."""
        self.say(" " * 10 + text)

    def step(self, text):
        self.say("\n%s %s" % (self.paint("[%5.1f s]" % self.elapsed(), DIM),
                              self.paint(text, BOLD)))

    def progress(self, bars):
        """Where everybody stands, at the end of a step."""
        if self.live:
            self.draw(bars)
            self.drawn = 0
        else:
            self.tell("orders done:   " + "   ".join("%s %d%s" % (
                bar.name, bar.done, " (%s)" % bar.note if bar.note else "") for bar in bars))

    def watch(self, bars):
        """Called over and over while something is awaited; bars() gives the bars."""
        if self.live and time.monotonic() - self.drawn_at >= REDRAW_S:
            self.draw(bars())

    def draw(self, bars):
        lines = [self.line(bar) for bar in bars]
        up = "\x1b[%dA" % self.drawn if self.drawn else ""
        self.out.write(up + "".join("\r\x1b[2K%s\n" % line for line in lines))
        self.out.flush()
        self.drawn = len(lines)
        self.drawn_at = time.monotonic()

    def line(self, bar):
        filled = WIDTH if bar.total <= 0 else min(WIDTH, bar.done * WIDTH // bar.total)
        return "%s%-10s %s%s %5d of %d  %s" % (
            " " * 10, bar.name, self.paint("█" * filled, bar.colour),
            self.paint("░" * (WIDTH - filled), DIM), bar.done, bar.total,
            self.paint(bar.note, bar.colour) if bar.note else "")
