"""The server and the clients as child processes, and how far they have come."""
import mmap
import os
import re
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import server  # pylint: disable=wrong-import-position

WAIT_S = 90
CLIENT_GIVEN_UP = 3


class Failure(Exception):
    """What the campaign is there to find: the text says what went wrong."""


class Server(server.Server):
    """The real binary over the fault layer; the same ports at every start."""

    def __init__(self, tools, folder, data, settings):
        super().__init__(
            data, *settings, listen=None, binary=tools.server, start=False,
            before=("setpriv", "--pdeathsig", "KILL"),  # a killed campaign leaves no server behind
            log_path=os.path.join(folder, "server.log"),
            preload=(tools.faults, tools.witness),
            env={"FAULTS_DIR": data, "FAULTS_CONTROL": os.path.join(folder, "faults"),
                 "WITNESS_DIR": data, "WITNESS_FILE": os.path.join(folder, "witness")})
        self.tools = tools
        self.folder = folder
        self.ports = [server.held_port(self) for _ in range(2)]  # the second is told as the proxy's
        self.proxy_port = None
        self.frozen = False

    def failed(self, text):
        raise Failure(text)

    def command(self):
        direct, behind = (f"127.0.0.1:{port}" for port in self.ports)
        return super().command() + [
            "--set", f"listeners={direct},{behind}",
            "--set", f"advertised.listeners={direct},127.0.0.1:{self.proxy_port}"]

    def check(self):
        code = self.process.poll()
        if code is not None:
            raise Failure(f"the server ended by itself with {code}:\n{self.log()[-2000:]}")

    def kill(self):
        self.check()
        super().kill()

    def stop(self):
        """SIGTERM must end it with exit code 0."""
        self.check()
        try:
            code = self.end(signal.SIGTERM, WAIT_S)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"SIGTERM did not end the server within {WAIT_S} s") from error
        if code != 0:
            raise Failure(f"SIGTERM ended the server with {code}:\n{self.log()[-2000:]}")

    def all_log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def lose_unsynced(self, seed, order):
        """What a power failure may take, while the server is down: the numbers of bytes and of
        changed names. order: "ordered" or "unordered", as the file system keeps changes."""
        done = subprocess.run([self.tools.tear, self.data, os.path.join(self.folder, "witness"),
                               str(seed), order], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"campaign-tear: {done.stdout}")
        return tuple(int(number) for number in done.stdout.split())


class Progress:
    """One counter for each client's place, in a mapped file."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.truncate(4096)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def of(self, slot):
        return struct.unpack_from("<q", self.map, 8 * slot)[0]


class Client:
    """One place in the workload; who fills it may be killed and replaced: p1.0, p1.1, ..."""

    def __init__(self, campaign_round, name, slot, command, options):
        self.round = campaign_round
        self.name = name
        self.slot = slot
        self.command = command          # the program and its first arguments
        self.options = options
        self.incarnation = -1
        self.process = None

    @property
    def progress(self):
        return self.round.progress.of(self.slot)

    def start(self):
        self.incarnation += 1
        folder = self.round.folder
        name = f"{self.name}.{self.incarnation}"
        options = dict(self.options, process=name, slot=self.slot,
                       history=os.path.join(folder, "history", name + ".history"),
                       progress=self.round.progress.path,
                       seed=self.round.random_seed(name))
        with open(os.path.join(folder, "clients.log"), "ab") as log:
            self.process = subprocess.Popen(
                self.command + [f"{key}={value}" for key, value in options.items()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def tend(self):
        """Replaces one that the library gave up (fenced, for example)."""
        code = self.process.poll() if self.process else 0
        if code == CLIENT_GIVEN_UP:
            self.round.counts["clients that the library gave up"] += 1
            self.start()
        elif code == -signal.SIGABRT and self.round.library_asserted():
            self.round.counts["clients that librdkafka ended by a known assertion"] += 1
            self.start()
        elif code not in (None, 0, -signal.SIGKILL):
            raise Failure(f"client {self.name}.{self.incarnation} ended with {code}: "
                          f"see {self.round.folder}/clients.log")

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM: it ends what it began."""
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"client {self.name}.{self.incarnation} did not end within {WAIT_S} s "
                          "of SIGTERM: something it waits for never comes") from error
        if code not in (0, CLIENT_GIVEN_UP):
            raise Failure(f"client {self.name}.{self.incarnation} ended with {code}")


def wait_for(condition, what, tend, seconds=WAIT_S):
    """Until the condition gives something true; tend() looks after the processes meanwhile."""
    until = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        tend()
        if time.monotonic() > until:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.005)


ERROR_LINE = re.compile(r"level=(error|warn) room=(\S+) msg=\"([^\"]*)\"")
