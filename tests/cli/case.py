"""The bus that the cases of one file share, and what they ask of the command.

TIDINGS_BIN        the binary (default: build/tidings)
TIDINGS_LOG        set: show the log of the bus at the end
TIDINGS_BOOTSTRAP  HOST:PORT of a bus to use; unset: the binary's own `serve` is started
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# pylint: disable=wrong-import-position
from harness.server import BINARY, Server, WAIT_S, wait_for  # pylint: disable=unused-import

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None


class Bus:
    """Started by the first case of a file, unless one is given."""

    data = server = None
    address = os.environ.get("TIDINGS_BOOTSTRAP")


def setUpModule():
    if not Bus.address:
        Bus.data = tempfile.TemporaryDirectory(prefix="tidings-cli-")
        Bus.server = Server(Bus.data.name)
        Bus.address = Bus.server.address


def tearDownModule():
    if Bus.server:
        code = Bus.server.stop()
        if code != 0 or os.environ.get("TIDINGS_LOG"):
            print(Bus.server.log(), file=sys.stderr)
        if code != 0:
            raise RuntimeError(f"serve ended with {code}")
        Bus.data.cleanup()


def bus_address():
    return Bus.address


def environment(address=None):
    return dict(os.environ, TIDINGS_BOOTSTRAP_SERVER=address or Bus.address)


def start(*words, **options):
    """The command in the background; its output in pipes."""
    return subprocess.Popen([BINARY, *words], env=environment(), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def transaction(topic, values, outcome):
    """Publishes the values within a transaction that is committed or aborted."""
    producer = confluent_kafka.Producer({"bootstrap.servers": Bus.address,
                                         "transactional.id": "t-" + uuid.uuid4().hex[:8]})
    producer.init_transactions(WAIT_S)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    producer.flush(WAIT_S)
    if outcome == "commit":
        producer.commit_transaction(WAIT_S)
    else:
        producer.abort_transaction(WAIT_S)


class Case(unittest.TestCase):
    def run_tidings(self, *words, code=0, text=None, address=None):
        """Runs the command, checks its exit code, returns (stdout, stderr)."""
        data = text.encode() if isinstance(text, str) else text
        result = subprocess.run([BINARY, *words], input=data if data is not None else b"",
                                env=environment(address), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=WAIT_S)
        out, err = result.stdout, result.stderr.decode()
        self.assertEqual(result.returncode, code, "%r said %r %r" % (words, out[:500], err))
        return out, err

    def out(self, *words, **options):
        return self.run_tidings(*words, **options)[0].decode()

    def json(self, *words, **options):
        return json.loads(self.run_tidings(*words, **options)[0])

    def events(self, topic, *words):
        out = self.out("subscribe", topic, "--until-end", "--json", *words)
        return [json.loads(line) for line in out.splitlines()]

    def values(self, topic, *words):
        return self.out("subscribe", topic, "--until-end", "--value-only", *words).splitlines()

    def fails(self, code, pattern, *words, **options):
        out, err = self.run_tidings(*words, code=code, **options)
        self.assertRegex(err, pattern)
        self.assertNotIn("%3|", err)  # librdkafka's own log
        return err

    def topic(self, partitions=1):
        name = "t-" + uuid.uuid4().hex[:12]
        self.run_tidings("topic", "create", name, "--partitions", str(partitions))
        self.addCleanup(self.run_tidings, "topic", "delete", name, "--if-exists")
        return name

    def eventually(self, what, check):
        wait_for(check, what)
