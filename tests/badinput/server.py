"""The server under test as a child process."""
import os
import re
import select
import signal
import subprocess
import tempfile
import time

BINARY = os.environ.get("TIDINGS_BIN", "build/src/cli/tidings")
WAIT_S = 60


def wait_for(condition, what, seconds=WAIT_S):
    """Waits until the condition gives something true, and returns it."""
    until = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)


def run_to_end(*arguments):
    """A server that is expected to refuse: (exit code, what it printed, seconds)."""
    began = time.monotonic()
    # A start that fails ends the process and leaves its memory to it.
    env = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    done = subprocess.run([BINARY, "serve", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT_S,
                          check=False, text=True, errors="replace", env=env)
    return done.returncode, done.stdout, time.monotonic() - began


class Server:
    """Starts at once; `settings` as for --set."""

    def __init__(self, data, *settings, listen="127.0.0.1:0"):
        self.data = data
        self.log_file = tempfile.NamedTemporaryFile("w+", suffix=".log")
        arguments = [BINARY, "serve", "--data", data, "--listen", listen]
        for setting in settings:
            arguments += ["--set", setting]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log_file)
        ready, _, _ = select.select([self.process.stdout], [], [], WAIT_S)
        line = self.process.stdout.readline().decode() if ready else ""
        match = re.match(r"ready listen=127\.0\.0\.1:(\d+) ", line)
        if not match:
            self.kill()
            raise AssertionError(f"the server did not start: {line}{self.log()}")
        self.port = int(match.group(1))

    def log(self):
        with open(self.log_file.name, encoding="utf-8", errors="replace") as lines:
            return lines.read()

    def log_lines(self, pattern):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def wait_log(self, pattern):
        return wait_for(lambda: self.log_lines(pattern),
                        f"log line {pattern} in\n{self.log()[-1500:]}", 20)

    def memory_kib(self, field="VmRSS"):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as lines:
            return int(re.search(field + r":\s+(\d+) kB", lines.read()).group(1))

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT_S)
        self.process.stdout.close()
        return code
