"""A test that failed and is run again by itself: does it fail, or was it something that it does not wait for?

What it was is a fault either way, of the product or of the test, and is named at the end of `make test` until it is
mended. But one such test of thousands does not keep all others' work from landing. Nothing is forgiven that left
evidence of a fault (EVIDENCE), nor more than MOST at once; and of the programs that judge whole histories (campaigns,
attacks, clients) nothing at all.
"""
import os
import re
from collections import Counter
from dataclasses import dataclass, field

TIMES = 3  # each of which it has to pass
MOST = 3
# What no bad luck prints: a sanitizer's report, an assertion, a process that a signal of its own ended, lost events.
EVIDENCE = re.compile(r"Sanitizer|runtime error:|[Aa]ssertion .*failed|(?:ended with|returncode|exit code) -(?!9\b|15\b)\d+"
                      r"|SIG(?:SEGV|ABRT|BUS|ILL|FPE)|[Ss]egmentation fault|core dumped|damaged|\blost\b")


@dataclass
class Again:
    """A failure that can be run again: `count` failures in the sum of its phase, of `command` alone."""
    what: str
    command: tuple
    passed: re.Pattern  # what it prints when it ran and passed
    env: dict = field(default_factory=dict)
    count: int = 1

    def passes(self, run):
        """Whether it passes each time. `run(*command, **env)` gives (succeeded, what was printed)."""
        for _ in range(TIMES):
            good, text = run(*self.command, **self.env)
            if not good or not self.passed.search(text) or is_evidence(text):
                return False
        return True


# Tests that passed, by names that may say any of it.
PASSED = re.compile(r"^(?:\[ .*|.* \.\.\. ok)$", re.M)
ALL_OF_UNITTEST = re.compile(r"^Ran [1-9]\d* tests? in [^\n]*\n+OK$", re.M)
ALL_OF_MESON = re.compile(r"^Ok:\s+1\s*$", re.M)


def is_evidence(text):
    return bool(EVIDENCE.search(PASSED.sub("", text)))


def of_unittest(what, command, env, text):
    """The failed tests of a suite, from what it printed."""
    if is_evidence(text):
        return []
    names = Counter(map(unittest_name, re.findall(r"^(?:FAIL|ERROR): (\w+) \((?:__main__\.?)?([\w.]*)\)", text, re.M)))
    return [Again(f"{what}: {name or 'all of it'}", (*command, *([name] if name else [])), ALL_OF_UNITTEST, env, count)
            for name, count in names.items()]


def unittest_name(found):
    """As a suite's command line takes it: Class.test, Class when it could not be set up, nothing for the whole suite."""
    test, place = found
    if test.startswith(("setUp", "tearDown")) or place.split(".")[-1] == test:
        return place
    return f"{place}.{test}"


def of_meson(path, name, output, *options):
    """A unit test that failed in the build folder `path`."""
    if is_evidence(output):
        return []
    command = ("meson", "test", "-C", path, "--no-rebuild", "--print-errorlogs", *options, name)
    return [Again(f"{os.path.basename(path)}: {name}", command, ALL_OF_MESON)]
