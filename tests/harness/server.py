"""The server under test as a child process, and the command beside it."""
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("TIDINGS_BIN") or os.path.join(ROOT, "build", "tidings"))
WAIT_S = 60
TOLD = 3000  # characters of a log that a failure shows
ANY_PORT = "127.0.0.1:0"


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


def held_port(owner):
    """A port that nobody else gets as long as there is the owner: a server that is killed finds it free again. The
    kernel gives a bound port to nobody who asks for any; who names it, with SO_REUSEADDR, may listen there."""
    held = socket.socket()
    weakref.finalize(owner, held.close)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held.getsockname()[1]


def run(*words, text=None, code=0, address=None):
    """Runs the command; checks its exit code (None: any); returns standard output and error."""
    env = dict(os.environ, **({"TIDINGS_BOOTSTRAP_SERVER": address} if address else {}))
    done = subprocess.run([BINARY, *words], input=text, capture_output=True, text=True, env=env,
                          timeout=2 * WAIT_S, check=False)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{words} ended with {done.returncode}, not {code}: "
                             f"{done.stdout[-2000:]} {done.stderr[-2000:]}")
    return done.stdout, done.stderr


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
    """
    A server on a data directory. It starts at once, is ready when the constructor returns, and
    again with start(); `with` stops it cleanly, and shows the end of its log when the block fails.

    `settings` as for --set. `options`: more words of the command line. `env`: added to the
    environment. `preload`: libraries that come before all others (LD_PRELOAD). `before`: the words
    in front of the program. `popen`: more arguments for subprocess.Popen. `log_path`: where its log
    is kept, over restarts too; else it is gone with this object.
    """

    def __init__(self, data, *settings, listen=ANY_PORT, options=(), env=None, preload=(),
                 before=(), popen=None, binary=BINARY, log_path=None, start=True):
        self.data, self.settings, self.listen = data, settings, listen
        self.options, self.before, self.binary = options, before, binary
        self.popen = popen or {}
        self.env = dict(env or {}, **self.preloading(preload))
        self.log_file = None if log_path else tempfile.NamedTemporaryFile(suffix=".log")
        self.log_path = log_path or self.log_file.name
        self.log_from = 0
        self.process = self.address = self.port = None
        self.ready = self.rest = ""  # the line that it is ready, and what it printed behind that
        if start:
            self.start()

    def preloading(self, libraries):
        """A blank or a colon would end a path in LD_PRELOAD: links to the libraries have neither."""
        if not libraries:
            return {}
        self.links = tempfile.TemporaryDirectory(prefix="tidings-preload-")
        places = [os.path.join(self.links.name, f"{i}.so") for i in range(len(libraries))]
        for library, place in zip(libraries, places):
            os.symlink(os.path.abspath(library), place)
        return {"LD_PRELOAD": ":".join(places)}

    # -- what a special server has its own way of --

    def failed(self, text):
        raise AssertionError(text)

    def command(self):
        words = [*self.before, self.binary, "serve"]
        words += ["--data", self.data] if self.data else []
        words += ["--listen", self.place()] if self.listen else []
        words += [word for setting in self.settings for word in ("--set", setting)]
        return words + list(self.options)

    def place(self):
        """Any port is another one at each start; where it listened is kept for who wants to start there again."""
        if self.listen != ANY_PORT:
            return self.listen
        return f"127.0.0.1:{held_port(self)}"

    # -- its life --

    def spawn(self):
        """Does not wait for the start to be done."""
        with open(self.log_path, "ab") as log:
            self.log_from = log.tell()
            self.process = subprocess.Popen(self.command(), env=dict(os.environ, **self.env),
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, **self.popen)

    def start(self):
        self.spawn()
        ready, _, _ = select.select([self.process.stdout], [], [], WAIT_S)
        line = self.process.stdout.readline().decode() if ready else ""
        match = re.match(r"ready listen=(\S+?:(\d+))[, ]", line)
        if not match:
            self.kill()
            self.failed(f"the server did not start: {line}{self.log()[-TOLD:]}")
        self.ready, self.address, self.port = line, match.group(1), int(match.group(2))

    def alive(self):
        return self.process.poll() is None

    def end(self, how, seconds=2 * WAIT_S):
        """Sends the signal and waits; the exit code."""
        self.process.send_signal(how)
        return self.reap(seconds)

    def reap(self, seconds=2 * WAIT_S):
        code = self.process.wait(seconds)
        self.rest = self.process.stdout.read().decode()
        self.process.stdout.close()
        return code

    def kill(self):
        return self.end(signal.SIGKILL)

    def stop(self):
        """SIGTERM; the exit code."""
        return self.end(signal.SIGTERM)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.log()[-TOLD:], file=sys.stderr)
        if self.process.stdout.closed:
            return
        code = self.stop()
        if kind is None and code != 0:
            self.failed(f"the server stopped with {code}\n{self.log()[-TOLD:]}")

    # -- what it says and takes --

    def run(self, *words, text=None, code=0):
        """The command against this server: see run()."""
        return run(*words, text=text, code=code, address=self.address)

    def log(self, since=0):
        """The lines since the last start, or since the log was so long."""
        with open(self.log_path, encoding="utf-8", errors="replace") as lines:
            lines.seek(max(self.log_from, since))
            return lines.read()

    def log_size(self):
        return os.path.getsize(self.log_path)

    def lines_of(self, client, pattern=""):
        """The lines that name the client and match, since the log was as long as client.log_from:
        its port may have been somebody else's before."""
        peer = f"peer={client.address} "
        return [line for line in self.log(client.log_from).splitlines()
                if peer in line and re.search(pattern, line)]

    def wait_lines_of(self, client, pattern=""):
        return wait_for(lambda: self.lines_of(client, pattern),
                        f"log line of {client.address} {pattern} in\n{self.log()[-TOLD:]}")

    def log_lines(self, pattern):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def wait_log(self, pattern):
        return wait_for(lambda: self.log_lines(pattern),
                        f"log line {pattern} in\n{self.log()[-TOLD:]}")

    def memory_kib(self, field="VmRSS"):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as lines:
            return int(re.search(field + r":\s+(\d+) kB", lines.read()).group(1))
