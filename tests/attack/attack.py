#!/usr/bin/python3
"""One attacker against one server with little memory, and a quiet client beside it.

    TIDINGS_BIN=build/tidings tests/attack/attack.py [NAME ...] [--seconds 3] [--list]

Each scenario has a server of its own. Under the attack and after it the quiet client gets all its
events acknowledged and read, in order; the server's memory stays below memory.max, also when it has
started again; it stops cleanly. How long the client waits: measure.py.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from attacker import Attacker
from harness import kafka
from harness.server import Server
from quiet import PAIRS, TOPIC, Quiet
from scenarios import SCENARIOS

MIB = 1 << 20
MEMORY_MAX = 128 * MIB
PENDING = {}  # scenarios that do not hold yet: why


class Trial:
    """One scenario against one server."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.events = 0  # beside the attack
        self.most_kib = self.last_kib = 0
        self.counts = {}

    def check_memory(self, server):
        """Sanitizers take memory of their own: not asserted there."""
        self.most_kib = max(self.most_kib, server.memory_kib("VmHWM"))
        if server.memory_kib("VmSize") < 100 << 20:
            assert self.most_kib << 10 < MEMORY_MAX, \
                f"{self.most_kib >> 10} MiB in memory, of {MEMORY_MAX >> 20}"

    def run(self, folder):
        server = Server(os.path.join(folder, "data"), f"memory.max={MEMORY_MAX}",
                        "offsets.topic.num.partitions=2",
                        "transaction.state.log.num.partitions=2",
                        log_path=os.path.join(folder, "log"))
        try:
            self.against(server)
        except BaseException:
            print(server.log()[-3000:], file=sys.stderr)
            raise
        finally:
            if server.alive():
                server.kill()

    def against(self, server):
        client = kafka.Client(server.port, timeout_s=120)
        code, message = client.create_topic(TOPIC, PAIRS)
        assert code == 0, message
        lines = SCENARIOS[self.name](client)
        quiet = Quiet(server.port)
        with Attacker(server.port, lines) as attacker:
            until = time.monotonic() + self.options.seconds
            while True:
                self.events += quiet.run(until, server.alive)
                assert server.alive(), "the server has ended"
                self.check_memory(server)
                if attacker.has_begun():
                    break
                assert time.monotonic() < until + 60, "the attack came to nothing"
            self.counts = attacker.counts()
        quiet.run(0, server.alive)
        quiet.check_all(server.port)
        self.last_kib = server.memory_kib()
        self.check_memory(server)
        quiet.close()
        client.close()
        assert server.stop() == 0, "the server did not stop cleanly"
        server.start()
        quiet.check_all(server.port)
        self.check_memory(server)
        assert server.stop() == 0, "the server did not stop cleanly after a restart"

    def tell(self):
        did = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        print(f"ok {self.name}: at most {self.most_kib >> 10} MiB, {self.last_kib >> 10} MiB after; "
              f"{self.events} events beside {did}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *SCENARIOS])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--folder", help="where the data directories are made")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:17} {' '.join(scenario.__doc__.split())}")
        return 0
    passed = failed = skipped = 0
    for name in options.names or SCENARIOS:
        if name in PENDING and not options.names:
            print(f"skip {name}: {PENDING[name]}")
            skipped += 1
            continue
        folder = tempfile.mkdtemp(prefix="tidings-attack-", dir=options.folder)
        trial = Trial(name, options)
        try:
            trial.run(folder)
            trial.tell()
            passed += 1
        except (AssertionError, OSError) as error:
            traceback.print_exc()
            print(f"FAIL: {name}: {error!r}", flush=True)
            failed += 1
        finally:
            shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
