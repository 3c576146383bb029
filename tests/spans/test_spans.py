#!/usr/bin/python3
"""What a service sends to a collector of OpenTelemetry: ids, parents, links, attributes; and one that is away or slow.

usage: test_spans.py SPAN_SERVICE [-v] [TEST...]

The collector is played here: an HTTP server that keeps what it is sent.
"""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.server import Server, wait_for  # noqa: E402

PRODUCER, CONSUMER, ERROR = 4, 5, 2
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Keeps spans; answers with `status`, and not before `gate` is open."""

    def __init__(self):
        self.lock = threading.Lock()
        self.bodies, self.headers, self.paths = [], [], []
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.gate.wait()
                with collector.lock:
                    status = collector.status
                    collector.paths.append(self.path)
                    if status == 200:
                        collector.bodies.append(json.loads(body))
                        collector.headers.append(dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def spans(self):
        with self.lock:
            return [span for body in self.bodies for resource in body["resourceSpans"]
                    for scope in resource["scopeSpans"] for span in scope["spans"]]

    def wait(self, count):
        wait_for(lambda: len(self.spans()) >= count, f"{count} spans")
        return self.spans()


def attributes(thing):
    """{name: value}; each name once."""
    found = {}
    for attribute in thing["attributes"]:
        assert attribute["key"] not in found, attribute
        (kind, value), = attribute["value"].items()
        found[attribute["key"]] = int(value) if kind == "intValue" else value
    return found


class Spans(unittest.TestCase):
    program = None

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.home.cleanup)
        cls.server = Server(os.path.join(cls.home.name, "data"), "group.initial.rebalance.delay.ms=0")
        cls.addClassCleanup(cls.server.stop)
        cls.number = 0

    def setUp(self):
        for topic in ("first", "second", "many"):
            self.server.run("topic", "delete", topic, "--if-exists")
            self.server.run("topic", "create", topic, "--partitions", "1")
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def start(self, **environment):
        """A service; variables are those of OpenTelemetry, the endpoint's unless they say otherwise."""
        type(self).number += 1
        self.name = f"spans-{self.number}"
        self.file = os.path.join(self.home.name, self.name)
        self.log = self.file + ".log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url + "/", "OTEL_BSP_SCHEDULE_DELAY": "20"}
        settings.update(environment)
        open(self.file, "w").close()
        with open(self.log, "w", encoding="utf-8") as log:
            self.service = subprocess.Popen(
                [self.program, self.server.address, self.name, self.file], stdin=subprocess.PIPE, stderr=log,
                text=True, env=dict(clean, **settings))
        self.addCleanup(self.end)
        self.wait_log(r"holds 3 partitions")

    def end(self):
        if self.service.returncode is None:
            self.service.send_signal(signal.SIGTERM)
            self.assertEqual(self.service.wait(30), 0, self.read(self.log))
            self.service.stdin.close()

    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def wait_log(self, pattern):
        wait_for(lambda: re.search(pattern, self.read(self.log)), pattern)

    def publish(self, topic, data, count=1):
        self.service.stdin.write(f"{topic} {data}\n" * count)
        self.service.stdin.flush()

    def publish_with(self, traceparent, data):
        self.server.run("publish", "first", "--key", "k", "--header", "traceparent=" + traceparent,
                        "--header", "tracestate=a=b", data)

    def wait_done(self, count):
        wait_for(lambda: self.read(self.file).count("\n") >= count, f"{count} events done")
        return self.read(self.file).splitlines()

    def metric(self, line):
        port = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", self.read(self.log)).group(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            found = re.search("^" + re.escape(line) + r" (\S+)$", answer.read().decode(), re.M)
        return float(found.group(1)) if found else None

    def named(self, name, **wanted):
        """The one span of this name and with these attributes."""
        found = [span for span in self.collector.spans() if span["name"] == name and
                 all(attributes(span).get(key.replace("_", ".")) == value for key, value in wanted.items())]
        self.assertEqual(len(found), 1, (name, wanted, self.collector.spans()))
        return found[0]

    def check_child(self, span, parent):
        self.assertEqual(span["traceId"], parent["traceId"])
        self.assertEqual(span["parentSpanId"], parent["spanId"])
        self.assertGreaterEqual(int(span["startTimeUnixNano"]), int(parent["startTimeUnixNano"]))

    def check_ids(self):
        spans = self.collector.spans()
        for span in spans:
            self.assertRegex(span["traceId"], "^[0-9a-f]{32}$")
            self.assertRegex(span["spanId"], "^[0-9a-f]{16}$")
            self.assertGreaterEqual(int(span["endTimeUnixNano"]), int(span["startTimeUnixNano"]))
        self.assertEqual(len({span["spanId"] for span in spans}), len(spans))

    def test_a_trace_goes_from_hand_to_hand(self):
        self.start(OTEL_SERVICE_NAME="shop", OTEL_RESOURCE_ATTRIBUTES="zone=a%2Cb, service.name=no,broken",
                   OTEL_EXPORTER_OTLP_HEADERS="api-key=se%20cret,x-two=2")
        self.publish("first", "next")
        self.collector.wait(4)
        self.check_ids()
        sent = self.named("send first")
        handled = self.named("process first")
        caused = self.named("send second")
        last = self.named("process second")
        self.assertNotIn("parentSpanId", sent)
        for span, parent in ((handled, sent), (caused, handled), (last, caused)):
            self.check_child(span, parent)
        for span, creation in ((handled, sent), (last, caused)):
            self.assertEqual(span["kind"], CONSUMER)
            self.assertEqual([(link["traceId"], link["spanId"]) for link in span["links"]],
                             [(creation["traceId"], creation["spanId"])])
        for span in (sent, caused):
            self.assertEqual(span["kind"], PRODUCER)
            self.assertNotIn("links", span)
        # the traceparent that went along names the span
        self.assertEqual(self.wait_done(2), [f"first 00-{sent['traceId']}-{sent['spanId']}-01",
                                             f"second 00-{caused['traceId']}-{caused['spanId']}-01"])
        facts = attributes(handled)
        self.assertEqual({name: facts[name] for name in facts if "id" not in name.split(".")[-1]}, {
            "messaging.system": "kafka", "messaging.operation.name": "process", "messaging.operation.type": "process",
            "messaging.destination.name": "first", "messaging.kafka.offset": 0, "messaging.kafka.message.key": "next",
            "messaging.message.body.size": 4, "messaging.consumer.group.name": self.name,
            "cloudevents.event_source": "/" + self.name, "cloudevents.event_type": "First",
            "tidings.handler": "first", "tidings.verdict": "done", "tidings.attempt": 1})
        self.assertEqual(facts["messaging.destination.partition.id"], "0")
        self.assertEqual(facts["messaging.message.id"], facts["cloudevents.event_id"])
        self.assertEqual(attributes(last)["messaging.message.conversation_id"], facts["messaging.message.id"])
        self.assertEqual(attributes(caused)["messaging.operation.type"], "send")
        self.assertEqual(attributes(caused)["messaging.kafka.offset"], 0)
        resource = attributes(self.collector.bodies[0]["resourceSpans"][0]["resource"])
        self.assertEqual(resource["service.name"], "shop")
        self.assertEqual(resource["zone"], "a,b")
        headers = {name.lower(): value for name, value in self.collector.headers[0].items()}
        self.assertEqual((headers["api-key"], headers["x-two"], headers["content-type"]),
                         ("se cret", "2", "application/json"))
        self.assertEqual(set(self.collector.paths), {"/v1/traces"})

    def test_what_is_published_in_a_transaction_has_its_span(self):
        self.start(SPAN_EXACTLY_ONCE="1")
        self.server.run("topic", "alter", "many", "--config", "max.message.bytes=2000")
        self.publish("first", "next")
        self.collector.wait(4)  # else one transaction has both, and is aborted with the other one
        self.publish("first", "large")
        self.collector.wait(10)
        self.check_ids()
        sent = [span for span in self.collector.spans() if span["name"] == "send second"]
        self.assertEqual(len(sent), 1)
        handled = [span for span in self.collector.spans() if span["name"] == "process first" and
                   attributes(span)["messaging.kafka.message.key"] == "next"]
        self.check_child(sent[0], handled[0])
        self.assertEqual(attributes(sent[0])["messaging.kafka.offset"], 0)
        self.check_child(self.named("process second"), sent[0])
        large = sorted((span for span in self.collector.spans() if span["name"] == "send many"),
                       key=lambda span: int(span["startTimeUnixNano"]))
        self.assertEqual([span.get("status", {}).get("code") for span in large], [ERROR, None])
        attempts = {span["spanId"]: attributes(span)["tidings.attempt"] for span in self.collector.spans()
                    if span["name"] == "process first" and attributes(span)["messaging.kafka.message.key"] == "large"}
        self.assertEqual([attempts.get(span["parentSpanId"]) for span in large], [1, 2])

    def test_a_trace_that_comes_is_gone_on_with(self):
        self.start()
        self.publish_with(f"00-{TRACE}-{SPAN}-01", "next")
        self.collector.wait(3)
        handled = self.named("process first")
        self.assertEqual((handled["traceId"], handled["parentSpanId"]), (TRACE, SPAN))
        self.assertEqual(handled["links"], [{"traceId": TRACE, "spanId": SPAN, "flags": 1, "traceState": "a=b"}])
        self.check_child(self.named("send second"), handled)

    def test_one_that_nobody_records_is_handed_on(self):
        self.start()
        self.publish_with(f"00-{TRACE}-{SPAN}-00", "next")
        lines = self.wait_done(2)
        self.assertRegex(lines[1], rf"^second 00-{TRACE}-(?!{SPAN})[0-9a-f]{{16}}-00$")
        self.publish("first", "ok")  # recorded: nothing of the other one is still to come
        self.collector.wait(2)
        self.assertEqual([span for span in self.collector.spans() if span["traceId"] == TRACE], [])

    def test_a_failure_is_told(self):
        self.start()
        self.publish("first", "fail")
        self.collector.wait(3)
        failed = self.named("process first", tidings_attempt=1)
        self.assertEqual(failed["status"], {"code": ERROR, "message": "nobody answers"})
        self.assertEqual(attributes(failed)["error.type"], "smtp")
        self.assertEqual(attributes(failed)["tidings.verdict"], "retry")
        again = self.named("process first", tidings_attempt=2)
        self.assertNotIn("status", again)
        self.assertEqual(again["parentSpanId"], failed["parentSpanId"])

    def test_each_event_of_a_batch_has_its_own(self):
        self.start()
        for i in range(5):
            self.publish("many", f"m{i}")
        self.collector.wait(10)
        self.check_ids()
        sent = {span["spanId"]: span for span in self.collector.spans() if span["name"] == "send many"}
        handled = [span for span in self.collector.spans() if span["name"] == "process many"]
        self.assertEqual((len(sent), {span["parentSpanId"] for span in handled}), (5, set(sent)))
        for span in handled:
            self.check_child(span, sent[span["parentSpanId"]])

    def test_a_collector_that_does_not_answer_holds_up_nobody(self):
        self.start()
        self.collector.gate.clear()
        self.publish("first", "ok", count=1500)
        self.wait_done(1500)  # while nothing was answered
        self.assertEqual(self.collector.spans(), [])
        wait_for(lambda: self.metric('tidings_service_spans_total{result="dropped"}') > 0, "dropped spans")
        self.collector.gate.set()
        self.collector.wait(2048)
        self.check_ids()

    def test_one_that_is_overloaded_is_asked_again(self):
        self.start()
        self.collector.status = 503
        self.publish("first", "ok")
        self.wait_log("spans cannot be sent to .*: it answers 503")
        self.collector.status = 200
        self.collector.wait(2)
        self.wait_log("spans are sent again")
        self.assertEqual(self.read(self.log).count("spans cannot be sent"), 1)

    def test_what_is_queued_at_the_end_is_sent(self):
        self.start(OTEL_BSP_SCHEDULE_DELAY="3600000")
        self.publish("first", "ok")
        self.wait_done(1)
        self.assertEqual(self.collector.spans(), [])
        self.end()
        self.assertEqual(len(self.collector.spans()), 2)

    def test_one_that_is_away_does_not_keep_a_service_from_its_end(self):
        self.collector.close()
        self.start()
        self.publish("first", "ok")
        self.wait_done(1)
        self.wait_log("spans cannot be sent")
        self.end()

    def has_curl(self):
        return "libcurl" in self.read(f"/proc/{self.service.pid}/maps")

    def test_without_an_endpoint_nothing_is_loaded_or_made(self):
        for environment in ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, {"OTEL_SDK_DISABLED": "true"},
                            {"OTEL_TRACES_EXPORTER": "none"}):
            self.start(**environment)
            self.assertFalse(self.has_curl(), environment)
            self.publish("first", "next")
            self.assertEqual({line.split(" ")[1] for line in self.wait_done(2)}, {""})
            self.end()
        self.assertEqual(self.collector.paths, [])
        self.start(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=self.collector.url + "/own")
        self.assertTrue(self.has_curl())
        self.publish("first", "ok")
        self.collector.wait(2)
        self.assertEqual(set(self.collector.paths), {"/own"})

    def test_a_sampler_decides_where_a_trace_begins(self):
        self.start(OTEL_TRACES_SAMPLER="parentbased_always_off")
        self.publish("first", "ok")
        self.wait_done(1)
        self.publish_with(f"00-{TRACE}-{SPAN}-01", "ok")
        self.assertEqual([span["traceId"] for span in self.collector.wait(1)], [TRACE])
        self.end()
        self.start(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="half")
        self.wait_log("OTEL_TRACES_SAMPLER_ARG: 'half' is not within 0 and 1")


if __name__ == "__main__":
    Spans.program = sys.argv.pop(1)
    unittest.main()
