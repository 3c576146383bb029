#!/usr/bin/python3
"""Logins by SASL, with clients as they are and token by token; what a wrong one gets; users told and changed by Kafka's APIs."""
import contextlib
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness.certificates import Authority
from harness.kafka import Client, Closed
from harness.sasl import plain, salted, Scram, upsertion
from harness.server import BINARY, run, Server, wait_for

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None
try:
    import kafka
except ImportError:
    kafka = None

PASSWORD = "correct, horse=battery"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
SCRAMS = MECHANISMS[1:]
ILLEGAL_STATE, UNSUPPORTED_MECHANISM, FAILED = 34, 33, 58
DUPLICATE, NOT_FOUND, UNACCEPTABLE, DENIED = 92, 91, 93, 31


class Logins(unittest.TestCase):
    """One server for all: by SASL, by SASL and TLS, and (for who has no user yet) in plain text."""
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tidings-sasl-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.authority = Authority(os.path.join(cls.folder, "authority"))
        keystore = cls.authority.sign("bus", "/CN=bus", "DNS:localhost,IP:127.0.0.1")
        cls.server = Server(
            os.path.join(cls.folder, "data"), "ssl.keystore.location=" + keystore, "http.listeners=",
            "sasl.enabled.mechanisms=" + ",".join(MECHANISMS), "connection.failed.authentication.delay.ms=1",
            *cls.settings, listen=None, options=("--test-clock", "--listen", ",".join(
                name + "://127.0.0.1:0" for name in ("SASL_PLAINTEXT", "PLAINTEXT", "SASL_SSL"))))
        cls.addClassCleanup(cls.server.stop)
        cls.find_ports()
        cls.put(*(upsertion("shop", name, PASSWORD) for name in SCRAMS))
        cls.put(upsertion("mail", "SCRAM-SHA-256", "of mail"))

    @classmethod
    def find_ports(cls):
        listen = re.search("listen=(.*) data=", cls.server.ready).group(1)
        cls.port, cls.open_port, cls.tls_port = (int(port) for port in re.findall(r":(\d+)", listen)[:3])

    @classmethod
    def alter(cls, upsertions=(), deletions=(), client=None):
        """The results, by user: (error code, message)."""
        with contextlib.ExitStack() as stack:
            if client is None:
                client = stack.enter_context(contextlib.closing(Client(cls.open_port)))
            answer = client.ask("alter_user_scram_credentials", 0, upsertions=list(upsertions), deletions=list(deletions))
        return {result["user"]: (result["error_code"], result["error_message"]) for result in answer["results"]}

    @classmethod
    def put(cls, *upsertions):
        assert all(code == 0 for code, _ in cls.alter(upsertions).values())

    def connect(self, port=None):
        client = Client(port or self.port)
        self.addCleanup(client.close)
        return client

    def shake(self, client, mechanism, version=1):
        return client.ask("sasl_handshake", version, mechanism=mechanism)

    def token(self, client, token, version=2):
        return client.ask("sasl_authenticate", version, auth_bytes=token)

    def scram(self, client, user="shop", password=PASSWORD, mechanism="SCRAM-SHA-256", shakes=True):
        """The last answer of an exchange."""
        if shakes:
            self.assertEqual(self.shake(client, mechanism)["error_code"], 0)
        exchange = Scram(mechanism, user, password)
        challenge = self.token(client, exchange.first())
        self.assertEqual(challenge["error_code"], 0, challenge)
        answer = self.token(client, exchange.final(challenge["auth_bytes"]))
        if answer["error_code"] == 0:
            self.assertTrue(exchange.is_proven(answer["auth_bytes"]))
        return answer

    def logged_in(self, user="shop", password=PASSWORD):
        client = self.connect()
        self.assertEqual(self.scram(client, user, password)["error_code"], 0)
        return client

    def expect_failure(self, client, answer):
        """One that says nothing but that, and the end of the connection."""
        self.assertEqual(answer["error_code"], FAILED)
        self.assertRegex(answer["error_message"], r"^Authentication failed during (re-)?authentication due to invalid "
                                                  r"credentials with SASL mechanism [-A-Z0-9]+$")
        self.assertFalse(answer["auth_bytes"])
        client.ends()

    def wait_for_log(self, text):
        wait_for(lambda: text in self.server.log(), f"'{text}' in the log")


class Exchanges(Logins):
    def test_each_mechanism_logs_in(self):
        for mechanism in SCRAMS:
            client = self.connect()
            self.assertEqual(client.api_versions(), 0)
            self.assertEqual(self.scram(client, mechanism=mechanism)["session_lifetime_ms"], 0)
            self.assertEqual(client.ask("metadata", 1, topics=[])["topics"], [])
        for user, password in (("shop", PASSWORD), ("mail", "of mail")):
            client = self.connect()
            self.assertEqual(self.shake(client, "PLAIN")["mechanisms"], list(MECHANISMS))
            self.assertEqual(self.token(client, plain(user, password))["error_code"], 0)
            self.assertEqual(client.api_versions(), 0)

    def test_bare_tokens_behind_the_first_handshake(self):
        def bare(client, token):
            client.send(struct.pack(">i", len(token)) + token)
            return client.read(struct.unpack(">i", client.read(4))[0])
        client = self.connect()
        self.shake(client, "PLAIN", 0)
        self.assertEqual(bare(client, plain("shop", PASSWORD)), b"")
        self.assertEqual(client.api_versions(), 0)
        client = self.connect()
        self.shake(client, "SCRAM-SHA-512", 0)
        exchange = Scram("SCRAM-SHA-512", "shop", PASSWORD)
        self.assertTrue(exchange.is_proven(bare(client, exchange.final(bare(client, exchange.first())))))
        self.assertEqual(client.api_versions(), 0)
        for token in (plain("shop", "wrong"), b"", b"nonsense"):
            client = self.connect()
            self.shake(client, "PLAIN", 0)
            with self.assertRaises(Closed):
                bare(client, token)

    def test_who_may_not_log_in_learns_no_more_than_that(self):
        for mechanism in SCRAMS:
            for user in ("shop", "nobody", "mail"):
                client = self.connect()
                self.expect_failure(client, self.scram(client, user, "wrong", mechanism))
        for user in ("shop", "nobody"):
            client = self.connect()
            self.shake(client, "PLAIN")
            self.expect_failure(client, self.token(client, plain(user, "wrong")))
        self.wait_for_log('user="nobody" mechanism="PLAIN" reason="no such user')
        self.wait_for_log('user="shop" mechanism="PLAIN" reason="wrong password')
        self.assertNotIn(PASSWORD, self.server.log())

    def test_the_salt_of_who_is_not_there_stays(self):
        def salt(user):
            client = self.connect()
            self.shake(client, "SCRAM-SHA-256")
            answer = self.token(client, Scram("SCRAM-SHA-256", user, "").first())["auth_bytes"]
            return re.search(rb",s=([^,]+),i=4096$", answer).group(1)
        self.assertEqual(salt("nobody"), salt("nobody"))
        self.assertNotEqual(salt("nobody"), salt("nobody else"))
        before = salt("nobody")
        self.server.kill()
        self.server.start()
        self.find_ports()
        self.assertEqual(salt("nobody"), before)
        self.logged_in()

    def test_malformed_tokens_fail(self):
        for mechanism, token in (("PLAIN", b""), ("PLAIN", b"\0\0"), ("PLAIN", b"\0shop\0" + b"x" * 100000),
                                 ("PLAIN", plain("shop", PASSWORD, "mail")), ("SCRAM-SHA-256", b""),
                                 ("SCRAM-SHA-256", b"n,,n=shop"), ("SCRAM-SHA-256", b"n,,n=" + b"x" * 5000 + b",r=x"),
                                 ("SCRAM-SHA-256", b"p=tls-unique,,n=shop,r=x"),
                                 ("SCRAM-SHA-256", plain("shop", PASSWORD))):
            with self.subTest(mechanism=mechanism, token=token[:40]):
                client = self.connect()
                self.shake(client, mechanism)
                self.expect_failure(client, self.token(client, token))

    def test_a_final_message_counts_once_and_in_its_own_exchange(self):
        client = self.connect()
        self.shake(client, "SCRAM-SHA-256")
        exchange = Scram("SCRAM-SHA-256", "shop", PASSWORD)
        final = exchange.final(self.token(client, exchange.first())["auth_bytes"])
        self.assertEqual(self.token(client, final)["error_code"], 0)
        self.assertEqual(self.token(client, final)["error_code"], ILLEGAL_STATE)  # it is logged in, and stays so
        self.assertEqual(client.api_versions(), 0)
        other = self.connect()
        self.shake(other, "SCRAM-SHA-256")
        self.token(other, exchange.first())
        self.expect_failure(other, self.token(other, final))
        early = self.connect()
        self.shake(early, "SCRAM-SHA-256")
        self.expect_failure(early, self.token(early, final))

    def test_a_header_that_was_changed_on_the_way_fails(self):
        client = self.connect()
        self.shake(client, "SCRAM-SHA-256")
        exchange = Scram("SCRAM-SHA-256", "shop", PASSWORD)
        challenge = self.token(client, exchange.first())["auth_bytes"]
        self.expect_failure(client, self.token(client, exchange.final(challenge, header="y,,")))

    def test_a_mechanism_that_is_not_served(self):
        for mechanism in ("OAUTHBEARER", "scram-sha-256", ""):
            client = self.connect()
            answer = self.shake(client, mechanism)
            self.assertEqual((answer["error_code"], answer["mechanisms"]), (UNSUPPORTED_MECHANISM, list(MECHANISMS)))
            client.ends()

    def test_only_a_login_comes_before_it(self):
        client = self.connect()
        client.request("metadata", 1, topics=None)
        client.ends()
        self.wait_for_log("a request (Metadata) before a login")
        client = self.connect()
        self.shake(client, "SCRAM-SHA-256")
        client.request("metadata", 1, topics=None)
        client.ends()
        self.wait_for_log("a request (Metadata) in the middle of a login")
        client = self.connect()
        self.assertEqual(self.token(client, plain("shop", PASSWORD))["error_code"], ILLEGAL_STATE)
        client.ends()
        client = self.connect()
        self.shake(client, "SCRAM-SHA-256")
        self.assertEqual(self.shake(client, "PLAIN")["error_code"], ILLEGAL_STATE)
        client.ends()
        client = self.connect()
        client.send(client.frame(999, 0, b""))
        client.ends()

    def test_what_comes_behind_a_failure_is_not_looked_at(self):
        client = self.connect()
        self.shake(client, "PLAIN")
        client.request("sasl_authenticate", 2, auth_bytes=plain("shop", "wrong"))
        client.request("sasl_handshake", 1, mechanism="PLAIN")
        client.request("sasl_authenticate", 2, auth_bytes=plain("shop", PASSWORD))
        self.expect_failure(client, client.answer("sasl_authenticate", 2))

    def test_a_request_is_small_before_a_login(self):
        client = self.connect()
        client.send(struct.pack(">i", 524289))
        client.ends()
        self.wait_for_log("sasl.server.max.receive.size")
        client = self.logged_in()
        topic = "large"
        self.assertEqual(client.create_topic(topic)[0], 0)
        records = b"x" * 600000
        self.assertNotEqual(client.produce(topic, records)[0], 0)  # taken, though it is nonsense

    def test_a_listener_without_sasl_says_so(self):
        client = self.connect(self.open_port)
        self.assertEqual(self.shake(client, "PLAIN"), {"error_code": ILLEGAL_STATE, "mechanisms": []})
        self.assertEqual(self.token(client, b"x")["error_code"], ILLEGAL_STATE)
        self.assertEqual(client.api_versions(), 0)

    def test_many_may_log_in_at_once(self):
        clients = [self.connect() for _ in range(30)]
        for client in clients:
            client.request("sasl_handshake", 1, mechanism="PLAIN")
            client.request("sasl_authenticate", 2, auth_bytes=plain("shop", PASSWORD))
        self.assertEqual(self.connect(self.open_port).api_versions(), 0)
        for client in clients:
            client.answer("sasl_handshake", 1)
            self.assertEqual(client.answer("sasl_authenticate", 2)["error_code"], 0)
        half = self.connect()
        self.shake(half, "SCRAM-SHA-512")
        self.token(half, Scram("SCRAM-SHA-512", "shop", "").first())
        half.close()


class Sessions(Logins):
    settings = ("connections.max.reauth.ms=3600000", "http.listeners=127.0.0.1:0")

    def advance(self, duration):
        run("clock", "--advance", duration, "--data", self.server.data)

    def test_who_logs_in_again_goes_on_and_who_does_not_is_closed(self):
        client, other = self.logged_in(), self.logged_in()
        self.advance("50m")
        self.assertEqual(self.scram(client)["session_lifetime_ms"], 3600000)
        self.advance("50m")
        self.assertEqual(client.ask("metadata", 1, topics=[])["topics"], [])
        other.request("metadata", 1, topics=[])
        other.ends()
        self.wait_for_log("its login has expired")
        self.advance("50m")
        self.assertEqual(self.scram(client)["error_code"], 0)  # late, and before any other request
        self.assertEqual(client.api_versions(), 0)

    def http(self):
        return re.search(r" http=(\S+)", self.server.ready).group(1)

    def test_logins_are_counted(self):
        def counts():
            with urllib.request.urlopen(f"http://{self.http()}/metrics", timeout=60) as got:
                return dict(re.findall(r'^tidings_logins_total\{result="(\w+)"\} (\d+)$', got.read().decode(), re.M))
        before = counts()
        self.logged_in()
        for _ in range(2):
            client = self.connect()
            self.expect_failure(client, self.scram(client, password="wrong"))
        after = counts()
        self.assertEqual([int(after[name]) - int(before[name]) for name in ("succeeded", "failed")], [1, 2])

    def test_nobody_becomes_somebody_else(self):
        client = self.logged_in()
        answer = self.scram(client, "mail", "of mail")
        self.assertEqual((answer["error_code"], answer["error_message"]),
                         (FAILED, "Cannot change principals during re-authentication"))
        client.ends()
        client = self.logged_in()
        self.shake(client, "SCRAM-SHA-512")
        self.expect_failure(client, self.token(client, Scram("SCRAM-SHA-512", "shop", PASSWORD).first()))
        client = self.logged_in()
        self.expect_failure(client, self.scram(client, password="wrong"))

    def test_not_more_often_than_once_a_second(self):
        client = self.logged_in()
        self.assertEqual(self.scram(client)["error_code"], 0)
        codes = {self.shake(client, "SCRAM-SHA-256")["error_code"]}
        self.assertLessEqual(codes, {0, ILLEGAL_STATE})  # by the clock
        if codes == {ILLEGAL_STATE}:
            self.assertEqual(client.api_versions(), 0)


class Users(Logins):
    settings = ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users=User:ANONYMOUS;User:root")

    def describe(self, *users, client=None):
        """By user: (error code, {mechanism: iterations})."""
        client = client or self.connect(self.open_port)
        answer = client.ask("describe_user_scram_credentials", 0, users=[{"name": user} for user in users] or None)
        return {result["user"]: (result["error_code"], {info["mechanism"]: info["iterations"]
                                                        for info in result["credential_infos"] or []})
                for result in answer["results"]}, answer["error_code"]

    def test_users_are_told_changed_and_removed(self):
        self.put(upsertion("ann", "SCRAM-SHA-256", "one", 4096), upsertion("ann", "SCRAM-SHA-512", "one", 16384))
        found, _ = self.describe("ann", "nobody", "mail", "mail")
        self.assertEqual(found, {"ann": (0, {1: 4096, 2: 16384}), "nobody": (NOT_FOUND, {}), "mail": (DUPLICATE, {})})
        everybody = list(self.describe()[0])
        self.assertEqual(everybody, sorted(everybody))
        self.assertLessEqual({"ann", "mail", "shop"}, set(everybody))
        client = self.logged_in("ann", "one")
        self.put(upsertion("ann", "SCRAM-SHA-256", "two"))
        other = self.connect()
        self.expect_failure(other, self.scram(other, "ann", "one"))
        self.logged_in("ann", "two")
        gone = self.alter(deletions=[{"name": "ann", "mechanism": 1}, {"name": "nobody", "mechanism": 1}])
        self.assertEqual({user: code for user, (code, _) in gone.items()}, {"ann": 0, "nobody": NOT_FOUND})
        other = self.connect()
        self.expect_failure(other, self.scram(other, "ann", "two"))
        self.assertEqual(client.api_versions(), 0)  # who was let in stays, as with Kafka
        self.server.kill()
        self.server.start()
        self.find_ports()
        self.assertEqual(self.describe("ann")[0]["ann"], (0, {2: 16384}))

    def test_the_command_lists_more_than_one_answer_tells(self):
        names = [f"many-{i:03}" for i in range(250)]
        self.put(*(dict(upsertion("many-000", "SCRAM-SHA-256", "x"), name=name) for name in names))
        out, _ = run("user", "list", "--json", "--data", self.server.data)
        found = [user["name"] for user in json.loads(out)]
        self.assertEqual([name for name in found if name in names], names)
        self.alter(deletions=[{"name": name, "mechanism": 1} for name in names])

    def test_what_is_not_taken(self):
        good = upsertion("eve", "SCRAM-SHA-256", "x")
        for changes, code in (([dict(good, iterations=4095)], UNACCEPTABLE), ([dict(good, iterations=16385)], UNACCEPTABLE),
                              ([dict(good, salt=b"")], UNACCEPTABLE), ([dict(good, salt=b"x" * 129)], UNACCEPTABLE),
                              ([dict(good, salted_password=b"short")], UNACCEPTABLE),
                              ([dict(good, name="e\nve")], UNACCEPTABLE), ([dict(good, name="")], UNACCEPTABLE),
                              ([dict(good, name="e" * 256)], UNACCEPTABLE),
                              ([dict(good, mechanism=3)], UNSUPPORTED_MECHANISM), ([good, good], DUPLICATE),
                              ([good, dict(good, mechanism=2, iterations=1)], UNACCEPTABLE)):
            with self.subTest(changes=changes):
                self.assertEqual([found[0] for found in self.alter(changes).values()], [code])
        found = self.alter([good], [{"name": "eve", "mechanism": 1}])
        self.assertEqual(found["eve"][0], NOT_FOUND)  # the first thing that is wrong
        self.assertEqual(self.describe("eve")[0]["eve"][0], NOT_FOUND)

    def test_it_takes_the_rights_that_kafka_asks_for(self):
        client = self.logged_in()
        self.assertEqual(self.alter([upsertion("root", "SCRAM-SHA-256", "x")], client=client)["root"][0], DENIED)
        self.assertEqual(self.describe(client=client), ({}, DENIED))
        self.put(upsertion("root", "SCRAM-SHA-256", "of root"))
        root = self.logged_in("root", "of root")
        self.assertEqual(self.describe("root", client=root)[0]["root"][0], 0)
        self.assertEqual(self.alter([upsertion("tom", "SCRAM-SHA-256", "x")], client=root)["tom"][0], 0)
        self.wait_for_log('user="tom" mechanism=SCRAM-SHA-256 removed=no by="User:root"')

    def test_nothing_tells_what_is_kept(self):
        salt = b"a salt of 21 letters."
        self.put(upsertion("kim", "SCRAM-SHA-256", "hidden", salt=salt))
        client = self.connect(self.open_port)
        answer = client.ask("describe_configs", 1, resources=[{"resource_type": 4, "resource_name": "1",
                                                               "configuration_keys": None}])
        self.assertNotIn(salted("SCRAM-SHA-256", "hidden", salt).hex(), repr(answer))
        self.assertNotIn("hidden", self.server.log())


class Command(unittest.TestCase):
    """tidings user: before the first start, while the bus runs, and when it is stopped."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidings-user-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.data = os.path.join(self.folder, "data")

    def user(self, *words, text=None, code=0):
        out, err = run("user", *words, "--data", self.data, text=text, code=code)
        self.assertNotIn(PASSWORD, out + err)
        return out + err

    def users(self):
        return {user["name"]: [kept["mechanism"] for kept in user["mechanisms"]]
                for user in json.loads(self.user("list", "--json"))}

    def may_log_in(self, port, user, password, mechanism="SCRAM-SHA-256"):
        with contextlib.closing(Client(port)) as client:
            client.ask("sasl_handshake", 1, mechanism=mechanism)
            exchange = Scram(mechanism, user, password)
            challenge = client.ask("sasl_authenticate", 2, auth_bytes=exchange.first())["auth_bytes"]
            return client.ask("sasl_authenticate", 2, auth_bytes=exchange.final(challenge))["error_code"] == 0

    def test_the_first_user_is_made_before_the_first_start(self):
        self.user("add", "root", text=PASSWORD + "\n")
        self.assertEqual(self.users(), {"root": list(SCRAMS)})
        with Server(self.data, "http.listeners=", listen="SASL_PLAINTEXT://127.0.0.1:0") as server:
            for mechanism in SCRAMS:
                self.assertTrue(self.may_log_in(server.port, "root", PASSWORD, mechanism))
            self.while_it_runs(server)
        self.assertNotIn(PASSWORD, server.log())
        self.assertEqual(self.users(), {"o'ann \"x": ["SCRAM-SHA-512"], "root": list(SCRAMS)})
        self.user("remove", "o'ann \"x")
        self.assertEqual(list(self.users()), ["root"])
        self.assertIn("root", self.user("list"))

    def while_it_runs(self, server):
        secret = os.path.join(self.folder, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("of ann\r\nmore")
        self.user("add", "o'ann \"x", "--password-file", secret, "--mechanism", "sha-512", "--iterations", "8192")
        self.assertTrue(self.may_log_in(server.port, "o'ann \"x", "of ann", "SCRAM-SHA-512"))
        self.user("add", "root", text="another")
        self.assertFalse(self.may_log_in(server.port, "root", PASSWORD))
        self.assertTrue(self.may_log_in(server.port, "root", "another"))
        for name in ("some", "sum"):
            self.user("add", name, "--mechanism", "sha-256", text="x")
        self.assertEqual(list(self.users()), ["o'ann \"x", "root", "some", "sum"])
        self.user("remove", "some", "sum")
        self.assertIn("there is no user some", self.user("remove", "some", code=4))

    def test_a_password_is_typed_twice_and_not_shown(self):
        def add(*lines):
            outer, inner = pty.openpty()
            with subprocess.Popen([BINARY, "user", "add", "root", "--data", self.data], stdin=inner,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                late = threading.Timer(60, process.kill)
                late.start()
                told = b""
                for line in lines:
                    while not told.endswith(b" of root: "):
                        piece = process.stderr.read1(100)
                        self.assertTrue(piece, told)
                        told += piece
                    os.write(outer, line)
                    told += b"|"
                out, err = process.communicate()
                late.cancel()
            os.close(inner)
            shown = b""
            while select.select([outer], [], [], 0)[0]:
                try:
                    shown += os.read(outer, 1000)
                except OSError:
                    break
            os.close(outer)
            self.assertNotIn(b"word", shown)
            return process.returncode, told + out + err
        self.assertEqual(add(b"a wordx\x7f\n", b"another word\n")[0], 2)
        self.assertEqual(add(b"a wo\x03")[0], 1)
        self.assertFalse(os.path.exists(self.data))
        code, told = add(b"a wordx\x7f\n", b"a word\n")
        self.assertEqual(code, 0, told)
        with Server(self.data, "http.listeners=", listen="SASL_PLAINTEXT://127.0.0.1:0") as server:
            self.assertTrue(self.may_log_in(server.port, "root", "a word"))

    def test_what_is_no_password_or_user(self):
        for words, text, said in ((("add", "a"), "", "is empty"), (("add", "a"), "\n", "is empty"),
                                  (("add", "a"), "x" * 1025, "longer than 1024"), (("add", "a"), "x\0y", "a NUL"),
                                  (("add", "a\nb"), "x", "no user can have this name"),
                                  (("add",), "x", "which user"), (("add", "a", "secret"), "x", "never here"),
                                  (("add", "a", "--mechanism", "md5"), "x", "not 'md5'"),
                                  (("add", "a", "--iterations", "1"), "x", "4096")):
            with self.subTest(words=words):
                self.assertIn(said, self.user(*words, text=text, code=2))
        self.assertIn("there is no", self.user("list", code=4))
        self.assertIn("cannot open", self.user("add", "a", "--password-file", self.data + "/none", code=4))
        self.assertFalse(os.path.exists(self.data))


class Clients(Logins):
    """Those that exist, with a password that is right, wrong, and over TLS."""

    def words(self, mechanism, password=PASSWORD, tls=False):
        words = {"security.protocol": "sasl_ssl" if tls else "sasl_plaintext", "sasl.mechanism": mechanism,
                 "sasl.username": "shop", "sasl.password": password}
        return dict(words, **({"ssl.ca.location": self.authority.ca} if tls else {}))

    def address(self, tls=False):
        return f"localhost:{self.tls_port if tls else self.port}"

    @unittest.skipUnless(shutil.which("kcat"), "no kcat")
    def test_kcat(self):
        for mechanism in MECHANISMS:
            for tls in (False, True):
                words = [word for pair in self.words(mechanism, tls=tls).items() for word in ("-X", "=".join(pair))]
                subprocess.run(["kcat", "-b", self.address(tls), "-t", "kcat", "-P", *words], input=b"hello", check=True,
                               timeout=120)
        done = subprocess.run(["kcat", "-b", self.address(), "-t", "kcat", "-C", "-e", "-q", *words], check=False,
                              timeout=120, capture_output=True)
        self.assertNotEqual(done.returncode, 0)  # TLS to where none is spoken
        done = subprocess.run(["kcat", "-b", self.address(True), "-t", "kcat", "-C", "-e", "-q", *words], check=True,
                              timeout=120, capture_output=True)
        self.assertEqual(done.stdout.split(), [b"hello"] * 6)

    @unittest.skipIf(confluent_kafka is None, "no confluent-kafka")
    def test_confluent_kafka(self):
        def topics(words):
            return confluent_kafka.Producer(dict(words, **{"bootstrap.servers": self.address()})).list_topics(timeout=60)
        for mechanism in MECHANISMS:
            self.assertEqual(len(topics(self.words(mechanism)).brokers), 1)
        told = []
        producer = confluent_kafka.Producer(dict(self.words("SCRAM-SHA-512", "wrong"), **{
            "bootstrap.servers": self.address(), "error_cb": told.append}))
        wait_for(lambda: producer.poll(0.1) is not None and told, "the error")
        self.assertEqual(told[0].code(), confluent_kafka.KafkaError._AUTHENTICATION)

    @unittest.skipIf(kafka is None, "no kafka-python")
    def test_kafka_python(self):
        def producer(mechanism, password, tls=False):
            made = kafka.KafkaProducer(
                bootstrap_servers=self.address(tls), security_protocol="SASL_SSL" if tls else "SASL_PLAINTEXT",
                ssl_cafile=self.authority.ca if tls else None, sasl_mechanism=mechanism, sasl_plain_username="shop",
                sasl_plain_password=password)
            self.addCleanup(made.close)
            return made
        for offset, mechanism in enumerate(MECHANISMS):
            found = producer(mechanism, PASSWORD, mechanism == "SCRAM-SHA-512").send("python", b"x").get(60)
            self.assertEqual(found.offset, offset)
        with self.assertRaises(kafka.errors.KafkaError):
            producer("SCRAM-SHA-256", "wrong")

    def test_the_command(self):
        words = [word for pair in self.words("SCRAM-SHA-256").items() for word in ("-X", "=".join(pair))]
        run("publish", "command", "--create", "x", *words, address=self.address())
        out, _ = run("client", "list", *words, address=self.address(), code=None)
        _, err = run("publish", "command", "x", *words[:-1], "sasl.password=wrong", address=self.address(), code=None)
        self.assertIn("Authentication failed", err + out)


if __name__ == "__main__":
    unittest.main()
