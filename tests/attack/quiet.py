"""The client beside an attack: publishes at a steady, modest rate and reads what it published."""
import time

from harness import kafka

TOPIC = "quiet"
PAIRS = 2  # a publisher and a consumer each: new connections go to the event loops by turns
EVENTS_PER_S = 100
ANSWER_S = 120  # gives up on an answer; not a bound that a test asserts


def value(pair, number):
    return b"event %d of %d " % (number, pair) + b"." * 200


class Pair:
    """A publisher and a consumer of one partition, a connection each."""

    def __init__(self, port, partition):
        self.partition = partition
        self.publisher = kafka.Client(port, timeout_s=ANSWER_S)
        self.consumer = kafka.Client(port, timeout_s=ANSWER_S)
        self.count = 0  # events acknowledged and read

    def wait_for_next(self):
        fields = kafka.Client.fetch_fields(TOPIC, self.count, 1 << 20, self.partition)
        self.consumer.request("fetch", 4, **dict(fields, max_wait_ms=500))

    def one(self):
        """One event goes in and out."""
        sent = value(self.partition, self.count)
        self.wait_for_next()
        code, offset, message, _ = self.publisher.produce(
            TOPIC, kafka.good_batch(sent), partition=self.partition)
        assert (code, offset) == (0, self.count), f"event {self.count}: {code} {message} {offset}"
        while True:
            answer = self.consumer.answer("fetch", 4)["responses"][0]["partitions"][0]
            assert answer["error_code"] == 0, f"fetch at {self.count}: {answer['error_code']}"
            if answer["records"]:
                break
            self.wait_for_next()  # it waited long enough, or gave its memory to others
        found = list(kafka.batches(answer["records"]))
        assert found == [(self.count, self.count, True)] and sent in answer["records"], found
        self.count += 1

    def close(self):
        self.publisher.close()
        self.consumer.close()


class Quiet:
    """All pairs, by turns. What it sees is asserted."""

    def __init__(self, port):
        self.pairs = [Pair(port, i) for i in range(PAIRS)]

    @property
    def count(self):
        return sum(pair.count for pair in self.pairs)

    def run(self, until, goes_on):
        """Until this time, and a round at least: how many events."""
        count = 0
        due = time.monotonic()
        while goes_on() and (due < until or count == 0):
            for pair in self.pairs:
                time.sleep(max(0, due - time.monotonic()))
                pair.one()
                count += 1
                due = max(due + 1 / EVENTS_PER_S, time.monotonic())
        return count

    def check_all(self, port):
        """Everything that was acknowledged is there, in order, for who reads from the beginning."""
        client = kafka.Client(port, timeout_s=ANSWER_S)
        for pair in self.pairs:
            offset = 0
            while offset < pair.count:
                code, _, data = client.fetch(TOPIC, offset, partition=pair.partition)
                assert code == 0 and data, f"fetch at {offset} of {pair.count}: {code}"
                for base, last, good in kafka.batches(data):
                    assert good and base == last == offset, f"at {offset}: {base} to {last}, {good}"
                    assert value(pair.partition, offset) in data, f"another event at {offset}"
                    offset += 1
        client.close()

    def close(self):
        for pair in self.pairs:
            pair.close()
