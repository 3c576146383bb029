#!/usr/bin/python3
"""Listeners that speak TLS, with clients as they are: who gets in, who they are, what is said when something is wrong."""
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness.certificates import Authority
from harness.server import run, run_to_end, Server, wait_for, WAIT_S

try:
    import confluent_kafka
    from confluent_kafka import admin
except ImportError:
    confluent_kafka = None
try:
    import kafka as kafka_python
except ImportError:
    kafka_python = None

HOSTS = "DNS:localhost,IP:127.0.0.1"
RULES = "RULE:^CN=(.*?),O=Store$/$1/L,DEFAULT"
TLS, PLAIN = 0, 1  # listeners


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tidings-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.authority = Authority(os.path.join(cls.folder, "authority"))
        cls.keystore = cls.authority.sign("server", "/CN=bus", HOSTS)
        cls.authority.sign("shop", "/O=Store/CN=Shop")
        cls.server = Server(os.path.join(cls.folder, "data"), *cls.settings(), "ssl.principal.mapping.rules=" + RULES,
                            "ssl.client.auth=requested", "ssl.truststore.location=" + cls.authority.ca,
                            listen=None, options=("--listen", "SSL://127.0.0.1:0,PLAINTEXT://127.0.0.1:0"))
        cls.addClassCleanup(cls.stop)
        cls.addresses = cls.listens(cls.server)

    @classmethod
    def settings(cls, **changed):
        given = {"ssl.keystore.location": cls.keystore, "http.listeners": "127.0.0.1:0", **changed}
        return [f"{name}={value}" for name, value in given.items()]

    @staticmethod
    def listens(server):
        return re.search(r"listen=(\S+)", server.ready).group(1).split(",")

    @classmethod
    def stop(cls):
        code = cls.server.stop()
        if code != 0:
            raise AssertionError(f"serve ended with {code}: {cls.server.log()[-3000:]}")

    def words(self, who=None):
        """As properties of librdkafka; `who`: with this certificate."""
        words = {"security.protocol": "ssl", "ssl.ca.location": self.authority.ca}
        if who:
            words["ssl.certificate.location"] = self.authority.path(who + ".crt")
            words["ssl.key.location"] = self.authority.path(who + ".key")
        return words

    def tidings(self, *words, who=None, code=0):
        properties = [word for name, value in self.words(who).items() for word in ("-X", f"{name}={value}")]
        return run(*words, *properties, address=self.addresses[TLS], code=code)[0]

    def logged(self, pattern, server=None):
        return wait_for(lambda: re.search(pattern, (server or self.server).log()), pattern)

    def handshake(self, address, context=None):
        """An open connection, and the certificate that was shown."""
        host, port = address.split(":")
        context = context or ssl.create_default_context(cafile=self.authority.ca)
        plain = socket.create_connection((host, int(port)), timeout=WAIT_S)
        self.addCleanup(plain.close)
        connection = context.wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(connection.close)
        return connection, connection.getpeercert()

    # -- clients --

    def test_the_command(self):
        self.tidings("publish", "by-command", "--create", "one", "two")
        self.assertEqual(self.tidings("subscribe", "by-command", "--until-end", "--value-only"), "one\ntwo\n")

    def test_overviews_know_what_they_know_over_plain_text(self):
        """What librdkafka has no words for is asked over a connection of the command's own."""
        self.authority.sign("asks", "/CN=asks", password="s3cret-word")
        self.tidings("publish", "seen", "--create", "one", "two")
        self.tidings("subscribe", "seen", "--group", "readers", "--until-end")
        secret = ("-X", "ssl.key.password=s3cret-word")
        for asked in (("topic", "list", "seen"), ("group", "list", "readers")):
            told = [json.loads(run(*asked, "--json", address=self.addresses[PLAIN])[0]),
                    json.loads(self.tidings(*asked, "--json")),
                    json.loads(self.tidings(*asked, "--json", *secret, who="asks"))]
            self.assertNotRegex(str(told), "unknown")
            self.assertEqual(told[1:], told[:1] * 2)
        status = json.loads(self.tidings("status", "--json"))
        self.assertEqual([broker["answer_ms"] is None for broker in status["brokers"]], [False], status)

    def test_kcat(self):
        if not shutil.which("kcat"):
            self.skipTest("no kcat")
        words = [word for name, value in self.words("shop").items() for word in ("-X", f"{name}={value}")]
        kcat = ["kcat", "-q", "-b", self.addresses[TLS], "-t", "by-kcat", *words]
        subprocess.run([*kcat, "-P"], input=b"hello\n", check=True, timeout=WAIT_S)
        done = subprocess.run([*kcat, "-C", "-e", "-o", "beginning"], check=True, timeout=WAIT_S, capture_output=True)
        self.assertEqual(done.stdout, b"hello\n")

    @unittest.skipIf(confluent_kafka is None, "no confluent-kafka")
    def test_large_events_in_a_group(self):
        """Many records of TLS each way, and answers that are sent from files."""
        events = [os.urandom(200_000) for _ in range(20)]
        producer = confluent_kafka.Producer({"bootstrap.servers": self.addresses[TLS], **self.words(),
                                             "linger.ms": 50})
        for event in events:
            producer.produce("large", event)
        self.assertEqual(producer.flush(WAIT_S), 0)
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.addresses[TLS], **self.words(), "group.id": "g",
                                             "auto.offset.reset": "earliest"})
        self.addCleanup(consumer.close)
        consumer.subscribe(["large"])
        got = []
        wait_for(lambda: self.take(consumer, got) == len(events), "the events")
        self.assertEqual(got, events)

    def take(self, consumer, got):
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            got.append(message.value())
        return len(got)

    @unittest.skipIf(kafka_python is None, "no kafka-python")
    def test_kafka_python(self):
        common = {"bootstrap_servers": self.addresses[TLS], "security_protocol": "SSL",
                  "ssl_cafile": self.authority.ca, "api_version": (2, 6)}
        producer = kafka_python.KafkaProducer(**common)
        self.assertEqual(producer.send("by-python", b"hello").get(WAIT_S).offset, 0)
        producer.close()
        consumer = kafka_python.KafkaConsumer("by-python", auto_offset_reset="earliest", consumer_timeout_ms=WAIT_S * 1000,
                                              **common)
        self.addCleanup(consumer.close)
        self.assertEqual(next(consumer).value, b"hello")

    @unittest.skipIf(confluent_kafka is None, "no confluent-kafka")
    def test_a_certificate_says_who_a_client_is(self):
        producers = [confluent_kafka.Producer({"bootstrap.servers": self.addresses[TLS], "client.id": name,
                                               **self.words(who)})
                     for name, who in (("with", "shop"), ("without", None))]
        for producer in producers:
            producer.produce("who", "hello")
            self.assertEqual(producer.flush(WAIT_S), 0)

        def principals():
            clients = json.loads(run("client", "list", "--json", address=self.addresses[PLAIN])[0])
            return {client["client_id"]: client["principal"] for client in clients}
        wait_for(lambda: {"with", "without"} <= set(principals()), "both clients")
        self.assertEqual(principals()["with"], "User:shop")
        self.assertEqual(principals()["without"], "User:ANONYMOUS")

    def test_both_versions_of_tls(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=self.authority.ca)
            context.minimum_version = context.maximum_version = version
            connection, _ = self.handshake(self.addresses[TLS], context)
            self.assertEqual(connection.version(), version.name.replace("_", "."))
            connection.close()

    # -- what is wrong --

    def test_plain_text_to_tls_and_the_reverse(self):
        host, port = self.addresses[TLS].split(":")  # a request, as of a client that was not told
        with socket.create_connection((host, int(port)), timeout=WAIT_S) as plain:
            plain.sendall(b"\0\0\0\x10\0\x12\0\0\0\0\0\1\0\4test\0\0\0\0\0")
            self.rest(plain)
        self.logged("the peer does not speak TLS")
        with self.assertRaises((ssl.SSLError, OSError)):
            self.handshake(self.addresses[PLAIN])
        self.logged("this looks like TLS, but the listener is plain text")
        with self.assertRaises((http.client.HTTPException, OSError)):
            web = http.client.HTTPConnection(self.addresses[TLS], timeout=WAIT_S)
            self.addCleanup(web.close)
            web.request("GET", "/")
            web.getresponse()
        self.logged("the peer speaks HTTP")
        self.tidings("topic", "list")  # nobody else noticed

    def rest(self, connection):
        got = b""
        while True:
            try:
                part = connection.recv(4096)
            except ConnectionResetError:
                return got
            if not part:
                return got
            got += part

    def test_an_authority_that_is_not_trusted(self):
        other = Authority(os.path.join(self.folder, "other"))
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.handshake(self.addresses[TLS], ssl.create_default_context(cafile=other.ca))
        self.logged(r"the peer does not trust the certificate of this server")
        other.sign("stranger", "/CN=stranger")
        context = ssl.create_default_context(cafile=self.authority.ca)
        context.load_cert_chain(other.path("stranger.crt"), other.path("stranger.key"))
        with self.assertRaises((ssl.SSLError, OSError)):
            connection, _ = self.handshake(self.addresses[TLS], context)
            connection.recv(1)  # TLS 1.3: the client is done before the server has seen its certificate
        self.logged("the certificate of the peer is refused: unable to get local issuer certificate")

    def test_wrong_settings_are_named(self):
        broken = os.path.join(self.folder, "broken.pem")
        with open(broken, "w", encoding="utf-8") as file:
            file.write("no certificate\n")
        data = os.path.join(self.folder, "never")
        ssl_listener = ("--data", data, "--listen", "SSL://127.0.0.1:0")
        for settings, said in (
                ([], "ssl.keystore.location must name a PEM file"),
                (["ssl.keystore.location=/nowhere.pem"], "/nowhere.pem cannot be read"),
                (["ssl.keystore.location=" + broken], "no CERTIFICATE in"),
                (["ssl.keystore.location=" + self.authority.path("server.crt")], "no private key"),
                (self.settings(**{"ssl.client.auth": "required"}), "ssl.truststore.location"),
                (self.settings(**{"ssl.enabled.protocols": "TLSv1"}), "TLSv1"),
                (self.settings(**{"ssl.keystore.type": "JKS"}), "openssl pkcs12"),
                (self.settings(**{"ssl.principal.mapping.rules": "RULE:("}), "ssl.principal.mapping.rules")):
            code, text, _ = run_to_end(*ssl_listener, *[word for one in settings for word in ("--set", one)])
            self.assertEqual(code, 2, (settings, text))
            self.assertIn(said, text)
        code, text, _ = run_to_end("--data", data, "--listen", "SMOKE://127.0.0.1:0")
        self.assertEqual(code, 2)
        self.assertIn("SMOKE:// is no protocol", text)
        self.assertFalse(os.path.exists(data))

    @unittest.skipIf(confluent_kafka is None, "no confluent-kafka")
    def test_a_password_is_told_to_nobody(self):
        keystore = self.authority.sign("locked", "/CN=locked", HOSTS, password="s3cret-word")
        settings = self.settings(**{"ssl.keystore.location": keystore, "ssl.key.password": "s3cret-word"})
        with Server(os.path.join(self.folder, "locked"), *settings, listen=None,
                    options=("--listen", "SSL://127.0.0.1:0")) as server:
            client = admin.AdminClient({"bootstrap.servers": self.listens(server)[0], **self.words()})
            resource = admin.ConfigResource(admin.ConfigResource.Type.BROKER, "1")
            entry = client.describe_configs([resource])[resource].result(WAIT_S)["ssl.key.password"]
            self.assertEqual((entry.value, entry.is_sensitive), (None, True))
            self.assertNotIn("s3cret-word", server.log())

    # -- life --

    def test_a_server_of_tls_alone(self):
        """What stands beside the bus is served at a listener that is for nobody else."""
        with Server(os.path.join(self.folder, "alone"), *self.settings(), listen=None,
                    options=("--listen", "SSL://127.0.0.1:0")) as server:
            address = self.listens(server)[0]
            words = [word for name, value in self.words().items() for word in ("-X", f"{name}={value}")]
            run("publish", "orders", "--create", "--ce-type", "OrderPlaced", "--ce-id", "o-1", "x", *words, address=address)
            web = re.search(r"http=(\S+)", server.ready).group(1)

            def is_found():
                connection = http.client.HTTPConnection(web, timeout=WAIT_S)
                self.addCleanup(connection.close)
                connection.request("GET", "/v1/events/o-1/story")
                return connection.getresponse().status == 200
            wait_for(is_found, "the story of o-1")
            for port in self.ports_of(server.process.pid) - {int(address.split(":")[1]), int(web.split(":")[1])}:
                with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as stranger:
                    self.assertEqual(self.rest(stranger), b"")
                self.logged("only the server itself may connect here", server)
                return
            self.fail("no listener of its own")

    def ports_of(self, pid):
        """Where the process listens."""
        sockets = set()
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                sockets.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except FileNotFoundError:
                pass  # closed meanwhile
        with open(f"/proc/{pid}/net/tcp", encoding="utf-8") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}

    def test_a_changed_certificate_is_used(self):
        authority = Authority(os.path.join(self.folder, "renewed"))
        keystore = authority.sign("bus", "/CN=first", HOSTS, days=5)
        context = ssl.create_default_context(cafile=authority.ca)

        def subject():
            connection, certificate = self.handshake(address, context)
            connection.close()
            return certificate["subject"][0][0][1]
        with Server(os.path.join(self.folder, "renews"), *self.settings(**{"ssl.keystore.location": keystore}),
                    listen=None, options=("--listen", "SSL://127.0.0.1:0")) as server:
            address = self.listens(server)[0]
            self.logged("the certificate will expire soon", server)
            self.assertEqual(subject(), "first")
            kept, _ = self.handshake(address, context)
            with open(keystore, "w", encoding="utf-8") as file:
                file.write("broken\n")
            self.logged("the changed certificate cannot be used: the one before stays", server)
            self.assertEqual(subject(), "first")
            authority.sign("bus", "/CN=second", HOSTS)
            wait_for(lambda: subject() == "second", "the second certificate")
            kept.sendall(b"\0\0\0\x0e\0\x12\0\0\0\0\0\x07\0\4test")  # ApiVersions 0
            self.assertEqual(kept.recv(4096)[4:8], b"\0\0\0\x07")
            kept.close()


if __name__ == "__main__":
    unittest.main()
