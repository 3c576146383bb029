"""HTTP of the bus layer: publishing, reading, streams, metrics, health, and what is wrong with requests.

Beside a server that has no HTTP of its own (no http= in its ready line) build/tests/bus/http-beside
stands in for `tidings bus`. `--write-openapi` renews docs/openapi.json from the server.
"""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "harness"))
from server import Server, run, wait_for  # noqa: E402

BUILD = os.environ.get("TIDINGS_BUILD") or os.path.join(ROOT, "build")
BESIDE = os.path.join(BUILD, "tests", "bus", "http-beside")
PATIENCE_S = 60
JSON = {"Content-Type": "application/json"}


class Beside:
    """The HTTP of the bus layer as a process of its own."""

    def __init__(self, bootstrap, timeout_ms=10000):
        self.process = subprocess.Popen([BESIDE, bootstrap, "127.0.0.1:0", str(timeout_ms)], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE)
        self.address = self.process.stdout.readline().strip().removeprefix("http=")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        return code


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        kind = response.headers.get("Content-Type", "")
        self.json = json.loads(self.body) if "json" in kind else None


class Stream:
    """Server-sent events."""

    def __init__(self, address, path, headers=None):
        self.address, self.path, self.headers = address, path, headers or {}
        wait_for(self.open, "a stream, when those of before are gone")

    def open(self):
        self.connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        self.connection.request("GET", self.path, headers=self.headers)
        self.response = self.connection.getresponse()
        if self.response.status == 503:
            self.close()
            return False
        assert self.response.status == 200, self.response.read()
        return True

    def next(self, kind=None):
        """The next event of this kind: its fields."""
        fields = {}
        while True:
            line = self.response.readline().decode()
            if line == "":
                raise AssertionError("the stream has ended")
            name, _, value = line.rstrip("\n").partition(": ")
            if line == "\n" and fields:
                if fields.get("event") == kind:
                    return fields
                fields = {}
            elif name:
                fields[name] = value

    def next_value(self):
        fields = self.next()
        return json.loads(fields["data"])["value"], fields["id"]

    def close(self):
        self.response.close()
        self.connection.close()


class Case(unittest.TestCase):
    """A server, and its HTTP."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="tidings-http-")
        cls.server = Server(os.path.join(cls.directory.name, "data"))
        match = re.search(r" http=(\S+)", cls.server.ready)
        cls.beside = None if match else Beside(cls.server.address)
        cls.address = match[1] if match else cls.beside.address

    @classmethod
    def tearDownClass(cls):
        if cls.beside:
            assert cls.beside.stop() == 0
        cls.server.stop()
        cls.directory.cleanup()

    def ask(self, method, path, body=None, headers=None, status=200):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        self.assertEqual(answer.status, status, (method, path, answer.body))
        if status >= 400:
            self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
            self.assertTrue(answer.json["detail"])
        return answer

    def get(self, path, status=200, **more):
        return self.ask("GET", path, status=status, **more).json

    def publish(self, topic, body, headers=None, status=200):
        return self.ask("POST", f"/v1/topics/{topic}", body, headers or JSON, status).json

    def event_page(self, topic, query):
        """A whole one: a busy machine may have more to do than is done in the time of one question."""
        return wait_for(lambda: [page for page in [self.get(f"/v1/topics/{topic}/events?{query}")]
                                 if page["stopped"] != "time"], f"an answer about {topic}")[0]

    def events(self, topic, query="from=start"):
        return self.event_page(topic, query)["events"]

    def command(self, *words):
        return run(*words, address=self.server.address)[0]


def cloud(number, **more):
    return dict({"specversion": "1.0", "id": str(number), "source": "/shop", "type": "order.placed",
                 "data": {"n": number}}, **more)


BATCH = {"Content-Type": "application/cloudevents-batch+json"}
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BINARY = {"ce-specversion": "1.0", "ce-id": "b-1", "ce-source": "/shop", "ce-type": "order.placed"}


class Publishing(Case):
    def test_any_bytes_are_kept_as_they_are(self):
        body = bytes(range(256))
        self.publish("raw", body, {"Content-Type": "application/octet-stream", "Tidings-Key": "k"})
        self.publish("raw", b"", {"Content-Type": "a/b"})
        self.ask("POST", "/v1/topics/raw?key=a%2Fb", b"{}", JSON)
        first, empty, last = self.events("raw")
        self.assertEqual(base64.b64decode(first["value"]), body)
        self.assertEqual(first["headers"]["content-type"], "application/octet-stream")
        self.assertEqual((first["key"], empty["value"], last["key"]), ("k", "", "a/b"))

    def test_the_answer_says_where_it_is(self):
        result = self.publish("where", b"1")["results"][0]
        self.assertEqual((result["status"], result["partition"], result["offset"]), (200, 0, 0))
        self.assertEqual(self.publish("where", b"2")["results"][0]["offset"], 1)

    def test_cloud_events_in_binary_mode(self):
        self.publish("binary", b'{"a": 1}', dict(
            BINARY, traceparent="00-1-2-01", **JSON, **{"ce-subject": "caf%C3%A9 %22x%22",
                                                        "ce-partitionkey": "p"}))
        event, = self.events("binary")
        self.assertEqual(event["headers"]["ce_subject"], 'café "x"')
        self.assertEqual(event["headers"]["traceparent"], "00-1-2-01")
        self.assertEqual((event["key"], event["value"]), ("p", '{"a": 1}'))
        self.assertEqual(event["cloudevent"]["type"], "order.placed")

    def test_cloud_events_in_structured_mode(self):
        self.publish("structured", json.dumps(cloud(1, partitionkey="p")), STRUCTURED)
        event, = self.events("structured")
        self.assertEqual((event["key"], json.loads(event["value"])), ("p", {"n": 1}))
        self.assertEqual(event["headers"]["ce_id"], "1")
        self.assertEqual(event["headers"]["content-type"], "application/json")

    def test_batches(self):
        answer = self.publish("batch", json.dumps([cloud(i) for i in range(500)]), BATCH)
        self.assertEqual((answer["kept"], answer["refused"]), (500, 0))
        self.assertEqual([result["id"] for result in answer["results"]], [str(i) for i in range(500)])
        self.assertEqual(len(self.events("batch", "limit=1000")), 500)
        self.assertEqual(self.publish("batch", "[]", BATCH)["kept"], 0)

    def test_of_a_batch_with_a_broken_event_nothing_is_published(self):
        self.command("topic", "create", "half")
        batch = [cloud(1), {"id": "x"}, cloud(2), 17, cloud(3, specversion="9")]
        problem = self.publish("half", json.dumps(batch), BATCH, status=400)
        self.assertEqual([wrong["index"] for wrong in problem["wrong"]], [1, 3, 4])
        self.assertEqual(self.events("half"), [])

    def test_what_the_bus_refuses_is_told_of_each_event(self):
        self.command("topic", "create", "small", "--config", "max.message.bytes=2000")
        large = "x" * 5000
        problem = self.publish("small", json.dumps(large), status=413)
        self.assertEqual(problem["kafka_error"], "MSG_SIZE_TOO_LARGE")
        self.assertEqual(self.events("small"), [])

    def test_some_of_a_batch_may_be_kept(self):
        self.command("topic", "create", "mixed", "--partitions", "2", "--config",
                     "max.message.bytes=5000")
        batch = [cloud(i, partitionkey=f"k{i}", data="x" * (20000 if i == 3 else 10)) for i in range(10)]
        answer = self.publish("mixed", json.dumps(batch), BATCH, status=207)
        self.assertEqual(answer["results"][3]["status"], 413)
        self.assertEqual((answer["kept"] > 0, answer["kept"] + answer["refused"]), (True, 10))
        kept = [result["id"] for result in answer["results"] if result["status"] == 200]
        self.assertEqual(sorted(kept), sorted(event["cloudevent"]["id"] for event in self.events("mixed")))

    def test_bodies_that_cannot_be_taken(self):
        for status, body, headers in (
                (400, b"{", JSON),
                (400, b"{}", STRUCTURED),
                (400, b"[]", STRUCTURED),
                (400, b"{}", BATCH),
                (400, b"[", BATCH),
                (400, b"[" * 100000, BATCH),
                (400, b"x", {"ce-id": "1"}),
                (400, b"x", dict(BINARY, **{"ce-specversion": "0.3"})),
                (415, b"x", {"Content-Type": "application/cloudevents+avro"}),
                (415, b"x", {"Content-Type": ""}),
                (415, b"x", {"Content-Type": "text/plain"}),
                (431, b"x", dict(BINARY, **{f"ce-x{i}": "1" for i in range(80)})),
                (413, b"x" * 1000001, {"Content-Type": "a/b"}),
                (413, b"x" * (17 << 20), {"Content-Type": "a/b"}),
                (413, json.dumps([cloud(i) for i in range(10001)]), BATCH)):
            with self.subTest(status=status, body=body[:20], headers=list(headers)[:3]):
                self.publish("refused", body, headers, status=status)
        self.publish("__consumer_offsets", b"{}", status=403)
        self.publish("bad%20name", b"{}", status=400)
        self.publish("a" * 300, b"{}", status=400)
        self.get("/v1/topics/refused", status=404)


    def test_json_of_many_small_values_takes_little_memory(self):
        process = (self.beside or self.server).process
        objects = b"{}," * (5 << 20) + b"{}"
        event = json.dumps(cloud(1))[:-1].encode() + b', "data": [' + objects + b"]}"
        for status, body, headers in ((413, b"[" + objects + b"]", JSON), (400, event, STRUCTURED),
                                      (413, b"[" + objects + b"]", BATCH),
                                      (400, b"[" + event + b"]", BATCH)):
            with self.subTest(headers=headers, body=body[:20]):
                self.publish("many", body, headers, status=status)
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            peak_kb = int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])
        self.assertLess(peak_kb, 500 << 10)


class Reading(Case):
    def fill_pages(self, topic):
        self.command("topic", "create", topic, "--partitions", "3")
        for i in range(30):
            began_ms = int(time.time() * 1000)
            self.ask("POST", f"/v1/topics/{topic}?key=k{i % 7}", json.dumps({"n": i}), JSON)
            wait_for(lambda began_ms=began_ms: int(time.time() * 1000) > began_ms, "the time by which they are in order")

    def check_pages(self, topic):
        numbers = lambda query: [json.loads(event["value"])["n"]
                                 for event in self.events(topic, query)]
        self.assertEqual(numbers("from=start"), list(range(30)))
        self.assertEqual(numbers("from=start&limit=8"), list(range(8)))
        self.assertEqual(numbers("from=start&limit=2&where=data.n%3E9"), [10, 11])
        self.assertEqual(numbers("from=-1h&limit=3"), [0, 1, 2])
        self.assertEqual(numbers("limit=4"), [29, 28, 27, 26])
        self.assertEqual(numbers("where=data.n%20%3D%203"), [3])
        self.assertEqual(numbers("where=data.n%3C10&where=key%3Dk1&from=start"), [1, 8])
        self.assertEqual(len(numbers("from=-1")), 3)
        self.assertEqual(numbers("from=end"), [])
        by_partition = [numbers(f"partition={p}&from=start") for p in range(3)]
        self.assertEqual(sorted(sum(by_partition, [])), list(range(30)))
        for query, stopped in (("limit=2", "limit"), ("from=start&limit=29", "limit"),
                               ("from=start", "complete"), ("limit=30", "complete")):
            with self.subTest(query=query):
                page = self.event_page(topic, query)
                self.assertEqual(page["stopped"], stopped)
        self.assertEqual(page["order"], "newest first")

    def test_pages(self):
        self.fill_pages("pages")
        self.check_pages("pages")

    def test_pages_beside_a_bus(self):
        """The same of a bus whose log is in another process."""
        if self.beside:
            self.skipTest("it stands beside one already")
        self.fill_pages("far")
        beside = Beside(self.server.address)
        own, self.address = self.address, beside.address
        try:
            self.check_pages("far")
        finally:
            self.address = own
            self.assertEqual(beside.stop(), 0)

    def test_what_is_wrong_is_told(self):
        self.command("topic", "create", "wrong")
        for status, path in ((404, "nope/events"), (404, "wrong/events?partition=1"),
                             (400, "wrong/events?limit=0"), (400, "wrong/events?limit=1001"),
                             (400, "wrong/events?from=yesterday"), (400, "wrong/events?where=%28"),
                             (400, "wrong/events?colour=red"), (404, "nope/stream"),
                             (400, "wrong/stream?last-event-id=1,2,3,x"),
                             (400, "wrong/stream?from=yesterday"), (404, "nope"), (404, "a%00b"[:1])):
            with self.subTest(path=path):
                self.get(f"/v1/topics/{path}", status=status)

    def test_topics_and_groups(self):
        self.command("topic", "create", "seen", "--partitions", "2", "--config", "retention.ms=7d")
        for i in range(5):
            self.ask("POST", f"/v1/topics/seen?key=k{i}", "{}", JSON)
        self.command("group", "reset", "readers", "--topic", "seen", "--to", "start", "--execute")
        topic = self.get("/v1/topics/seen")
        self.assertEqual(topic["settings"]["retention.ms"], {"value": "604800000", "own": True})
        self.assertEqual(sum(at["end"] for at in topic["partitions"]), 5)
        self.assertEqual([(group["name"], group["lag"]) for group in topic["groups"]],
                         [("readers", 5)])
        group = self.get("/v1/groups/readers")
        self.assertEqual((group["lag"], group["state"], len(group["partitions"])), (5, "Empty", 2))
        self.assertIn("seen", [one["name"] for one in self.get("/v1/topics")["topics"]])
        self.assertNotIn("__consumer_offsets",
                         [one["name"] for one in self.get("/v1/topics")["topics"]])
        self.assertIn("__consumer_offsets",
                      [one["name"] for one in self.get("/v1/topics?internal=true")["topics"]])
        self.get("/v1/groups/nobody", status=404)


class Streams(Case):
    def test_a_stream_goes_on_where_it_was(self):
        self.command("topic", "create", "live", "--partitions", "2")
        stream = Stream(self.address, "/v1/topics/live/stream")
        stream.next("position")
        for i in range(10):
            self.ask("POST", f"/v1/topics/live?key=k{i}", str(i), JSON)
        seen = [stream.next_value() for _ in range(4)]
        stream.close()
        again = Stream(self.address, "/v1/topics/live/stream", {"Last-Event-ID": seen[-1][1]})
        rest = [again.next_value() for _ in range(6)]
        again.close()
        self.assertEqual(sorted(value for value, _ in seen + rest), [str(i) for i in range(10)])

    def test_only_what_fits(self):
        self.publish("picked", json.dumps([cloud(i, type="ab"[i % 2]) for i in range(10)]), BATCH)
        stream = Stream(self.address, "/v1/topics/picked/stream?from=start&where=type%3Db")
        self.assertEqual([json.loads(stream.next_value()[0])["n"] for _ in range(5)],
                         [1, 3, 5, 7, 9])
        stream.close()

    def test_what_is_hostile_stays_one_event(self):
        self.publish("hostile", b"a\n\ndata: b\r\nevent: c\0\xff\x9b31m", {"Content-Type": "a/b"})
        self.publish("hostile", "\n\nid: 7\n\u009b\u202e".encode(), {"Content-Type": "a/b"})
        stream = Stream(self.address, "/v1/topics/hostile/stream?from=start")
        first, second = stream.next(), stream.next()
        stream.close()
        self.assertTrue(json.loads(first["data"])["value_encoding"])
        self.assertEqual(json.loads(second["data"])["value"], "\n\nid: 7\n\u009b\u202e")
        self.assertNotIn("\u202e", second["data"])

    def test_many_streams_are_bounded(self):
        self.publish("many", b"{}")
        streams = []
        try:
            for _ in range(32):
                streams.append(Stream(self.address, "/v1/topics/many/stream"))
            answer = self.ask("GET", "/v1/topics/many/stream", status=503)
            self.assertTrue(answer.headers["Retry-After"])
            self.get("/v1/topics/many")  # and nobody else waits
            self.assertIn("tidings_http_topic_streams 32\n", self.ask("GET", "/metrics").body.decode())
        finally:
            for stream in streams:
                stream.close()


HELP = re.compile(r"# HELP ([a-z_]+) \S.*")
TYPE = re.compile(r"# TYPE ([a-z_]+) (counter|gauge|histogram)")
LABEL = r'[a-z_]+="(?:[^"\\\n]|\\[\\n"])*"'
SAMPLE = re.compile(r"([a-z_]+)(\{" + LABEL + "(?:," + LABEL + r")*\})? (-?[0-9.e+-]+|[+-]Inf|NaN)")


def parse_metrics(text):
    """Metric -> labels -> value; fails on what Prometheus would not take."""
    found, kind, told = {}, None, set()
    for line in text.rstrip("\n").split("\n"):
        if (match := HELP.fullmatch(line)):
            assert match[1] not in found and match[1] not in told, line
            told.add(match[1])
        elif (match := TYPE.fullmatch(line)):
            assert match[1] in told, line
            kind, found[match[1]] = match[1], {}
            assert match[2] != "counter" or match[1].endswith("_total"), line
        else:
            match = SAMPLE.fullmatch(line)
            assert match and match[1] == kind and match[2] not in found[kind], line
            found[kind][match[2]] = float(match[3])
    return found


class Watching(Case):
    def metrics(self):
        answer = self.ask("GET", "/metrics")
        self.assertIn("version=0.0.4", answer.headers["Content-Type"])
        return answer.body.decode()

    def test_metrics(self):
        name = 'a"b\\c\n<script>\u009b'
        for i in range(4):
            self.publish("counted", str(i).encode())
        self.command("group", "reset", name, "--topic", "counted", "--to", "1", "--execute")
        of_group = '{consumergroup="a\\"b\\\\c\\n<script>\u009b",topic="counted"'
        text = wait_for(lambda: (lambda text: text if "kafka_consumergroup_lag_sum" + of_group in text else None)(
            self.metrics()), "the group in the metrics")
        found = parse_metrics(text)
        self.assertEqual(found["kafka_consumergroup_lag"][of_group + ',partition="0"}'], 3)
        self.assertEqual(found["kafka_consumergroup_lag_sum"][of_group + "}"], 3)
        at = '{topic="counted",partition="0"}'
        self.assertEqual(found["kafka_topic_partition_current_offset"][at], 4)
        self.assertEqual(found["kafka_topic_partition_oldest_offset"][at], 0)
        self.assertEqual([found["kafka_topic_partition_" + kind][at] for kind in (
            "replicas", "in_sync_replica", "leader_is_preferred", "under_replicated_partition")], [1, 1, 1, 0])
        self.assertEqual(found["kafka_brokers"][None], 1)
        self.assertGreaterEqual(found["tidings_http_events_total"]['{result="kept"}'], 4)
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                  capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_dashboard_shows_what_there_is(self):
        with open(os.path.join(ROOT, "docs", "grafana.json"), encoding="utf-8") as file:
            board = json.load(file)
        asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
        names = set(re.findall(r"\b(?:kafka|tidings|process)_[a-z_]+", asked))
        self.assertGreater(len(names), 10)
        self.publish("board", b"1")
        self.command("group", "reset", "shown", "--topic", "board", "--to", "0", "--execute")
        missing = []

        def all_there():
            missing[:] = names - set(parse_metrics(self.metrics()))
            return not missing
        try:
            wait_for(all_there, "all that the dashboard asks for")
        except AssertionError as error:
            raise AssertionError(f"{error}: {missing}") from None

    def test_what_is_not_ready_says_why(self):
        self.assertEqual(self.get("/readyz")["status"], "ready")
        self.assertEqual(self.get("/healthz")["status"], "ok")
        if self.beside:
            self.beside.say("broken its disk is full")
            checks = {check["name"]: check for check in json.loads(self.ask_plain("/readyz", 503))["checks"]}
            self.assertEqual(checks["index"]["detail"], "its disk is full")
            self.assertTrue(checks["bus"]["ok"])
            self.beside.say("mended")
        self.assertEqual(self.get("/readyz")["status"], "ready")

    def ask_plain(self, path, status):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        connection.request("GET", path)
        answer = Answer(connection.getresponse())
        connection.close()
        self.assertEqual(answer.status, status, answer.body)
        return answer.body

    def test_the_description_is_the_one_in_docs(self):
        served = self.get("/v1/openapi.json")
        with open(os.path.join(ROOT, "docs", "openapi.json"), encoding="utf-8") as file:
            written = json.load(file)
        self.assertEqual(served["openapi"], "3.1.0")
        self.assertEqual(written, served,
                         "docs/openapi.json is not what is served: tests/bus/test_http.py "
                         "--write-openapi renews it")
        ids = [operation["operationId"] for path in served["paths"].values()
               for operation in path.values()]
        self.assertEqual(len(ids), len(set(ids)))

    def test_requests_of_strangers(self):
        self.get("/v1/topics", headers={"Host": "evil.example"}, status=403)
        self.publish("never", b"{}", dict(JSON, Origin="http://evil.example"), status=403)
        self.publish("never", b"{}", {"Content-Type": "text/plain"}, status=415)
        self.get("/v1/topics/never", status=404)
        self.assertIsNone(self.ask("GET", "/v1/topics").headers["Access-Control-Allow-Origin"])

    def get(self, path, status=200, headers=None):
        return self.ask("GET", path, headers=headers, status=status).json


class Documented(Case):
    def test_each_example_works(self):
        with open(os.path.join(ROOT, "docs", "http.md"), encoding="utf-8") as file:
            lines = [line.strip() for line in file if line.startswith("    curl ")]
        self.assertGreater(len(lines), 10)
        for line in lines:
            with self.subTest(line=line):
                for seconds in ("2", "10", "50"):  # a busy machine has nothing to show after two
                    done = subprocess.run(line.replace("127.0.0.1:8080", self.address).replace(
                        "--max-time 2 ", f"--max-time {seconds} "), shell=True, capture_output=True, text=True,
                                          timeout=2 * PATIENCE_S, check=False)
                    if done.stdout:
                        break
                self.assertIn(done.returncode, (0, 28) if "--max-time" in line else (0,),
                              done.stdout + done.stderr)
                self.assertTrue(done.stdout)


class Faults(unittest.TestCase):
    """The bus dies and returns while its HTTP stands beside it."""

    def test_the_bus_dies_and_returns(self):
        with tempfile.TemporaryDirectory(prefix="tidings-http-") as directory:
            server = Server(os.path.join(directory, "data"))
            server.listen = server.address  # again at the same place
            beside = Beside(server.address)
            case = Publishing()
            case.address, case.server = beside.address, server
            case.publish("orders", b"1")
            stream = Stream(beside.address, "/v1/topics/orders/stream?from=start")
            self.assertEqual(stream.next_value()[0], "1")
            server.kill()
            wait_for(lambda: self.status(beside, "GET", "/readyz") == 503, "not ready")
            self.assertEqual(self.status(beside, "GET", "/healthz"), 200)
            status = self.status(beside, "POST", "/v1/topics/orders", b"lost?")
            self.assertIn(status, (503, 504))
            if status == 504:  # the next ones do not wait for it any more
                wait_for(lambda: self.status(beside, "POST", "/v1/topics/orders", b"never") == 503, "a word at once")
            server.start()
            wait_for(lambda: self.status(beside, "GET", "/readyz") == 200, "ready again")
            wait_for(lambda: self.status(beside, "POST", "/v1/topics/orders", b"2") == 200, "kept")
            values = [stream.next_value()[0]]
            while values[-1] != "2":  # what was answered by 504 may be there as well
                values.append(stream.next_value()[0])
            stream.close()
            self.assertEqual(beside.stop(), 0)
            server.stop()

    def test_those_who_wait_for_a_bus_that_hangs_wait_together(self):
        with tempfile.TemporaryDirectory(prefix="tidings-http-") as directory:
            server = Server(os.path.join(directory, "data"))
            asked, timeout_ms = 32, 1500
            beside = Beside(server.address, timeout_ms=timeout_ms)
            self.assertEqual(self.status(beside, "GET", "/v1/topics"), 200)
            server.process.send_signal(signal.SIGSTOP)
            statuses = {"/v1/topics": [], "/readyz": []}
            threads = [threading.Thread(target=lambda path=path: statuses[path].append(
                self.status(beside, "GET", path))) for path in list(statuses) * (asked // 2)]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took_s = time.monotonic() - began
            server.process.send_signal(signal.SIGCONT)
            self.assertEqual(statuses["/readyz"], [503] * (asked // 2))
            # The connection may be found to be dead before the question is late.
            self.assertLessEqual(set(statuses["/v1/topics"]), {503, 504})
            self.assertLess(took_s, asked * timeout_ms / 1000 / 2)  # one after the other: twice that
            wait_for(lambda: self.status(beside, "GET", "/v1/topics") == 200, "the bus again")
            self.assertEqual(beside.stop(), 0)
            server.stop()

    def test_a_stream_goes_on_behind_a_restart(self):
        with tempfile.TemporaryDirectory(prefix="tidings-http-") as directory:
            server = Server(os.path.join(directory, "data"))
            if " http=" not in server.ready:
                server.stop()
                self.skipTest("this server has no HTTP in its process")
            case = Publishing()
            for i in range(3):
                case.address = re.search(r" http=(\S+)", server.ready)[1]
                case.publish("orders", str(i))
            stream = Stream(case.address, "/v1/topics/orders/stream?from=start")
            seen = [stream.next_value() for _ in range(2)]
            server.kill()
            stream.close()
            server.start()
            case.address = re.search(r" http=(\S+)", server.ready)[1]
            case.publish("orders", "3")
            stream = Stream(case.address, "/v1/topics/orders/stream",
                            {"Last-Event-ID": seen[-1][1]})
            self.assertEqual([stream.next_value()[0] for _ in range(2)], ["2", "3"])
            stream.close()
            self.assertEqual(server.stop(), 0)

    def test_names_that_it_may_be_called_by(self):
        with tempfile.TemporaryDirectory(prefix="tidings-http-") as directory:
            server = Server(os.path.join(directory, "data"), "http.listeners=127.0.0.1:0",
                            "http.allowed.hosts=bus.example")
            case = Watching()
            case.address = re.search(r" http=(\S+)", server.ready)[1]
            case.get("/v1/topics", headers={"Host": "bus.example:8080"})
            case.get("/v1/topics", headers={"Host": "other.example"}, status=403)
            self.assertEqual(server.stop(), 0)

    @staticmethod
    def status(beside, method, path, body=None):
        connection = http.client.HTTPConnection(beside.address, timeout=PATIENCE_S)
        connection.request(method, path, body=body, headers={"Content-Type": "a/b"})
        status = connection.getresponse().status
        connection.close()
        return status


def write_openapi():
    Case.setUpClass()
    connection = http.client.HTTPConnection(Case.address, timeout=PATIENCE_S)
    connection.request("GET", "/v1/openapi.json")
    text = json.dumps(json.loads(connection.getresponse().read()), indent=2)
    connection.close()
    Case.tearDownClass()
    with open(os.path.join(ROOT, "docs", "openapi.json"), "w", encoding="utf-8") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    if "--write-openapi" in sys.argv:
        write_openapi()
    else:
        unittest.main()
