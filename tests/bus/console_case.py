"""What tests of the console share: a page's structure, questions, and a server with something of everything in it."""
import base64
import html.parser
import http.client
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests"))
# pylint: disable=wrong-import-position
from harness.server import Server, wait_for  # pylint: disable=unused-import  # noqa: E402

BUILD = os.environ.get("TIDINGS_BUILD") or os.path.join(ROOT, "build")
BESIDE = os.path.join(BUILD, "tests", "bus", "console-beside")
PATIENCE_S = 60
HOSTILE = "<img src=x onerror=alert(1)>'\"&\u202e{{"
EVIL_GROUP = "g<b>\"'&/../?#% "
PAGES = ["/", "/map", "/story", "/topics", "/groups", "/dead-letters", "/clients", "/alerts", "/settings"]
VOID = {"meta", "link", "input", "br", "img"}
FORM = "application/x-www-form-urlencoded"


class Page(html.parser.HTMLParser):
    """A page's structure: complains about what is not balanced, not unique, or would run."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.wrong, self.words = [], set(), [], [], []
        self.labels, self.headings, self.forms = 0, [], []
        self.feed(text)
        self.close()
        if self.open:
            self.wrong.append(f"left open: {self.open}")

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        if len(names) != len(attrs):
            self.wrong.append(f"an attribute twice: {tag} {attrs}")
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "srcdoc"):
                self.wrong.append(f"{tag} {name}={value}")
        if tag == "style" or tag == "script" and "src" not in names:
            self.wrong.append(f"inline {tag}")
        if "id" in names:
            if names["id"] in self.ids:
                self.wrong.append(f"id {names['id']} twice")
            self.ids.add(names["id"])
        if tag == "a" and "href" in names:
            self.links.append(names["href"])
        if tag == "img" and "alt" not in names:
            self.wrong.append("a picture without words")
        if tag in ("input", "textarea") and names.get("type") not in ("hidden", "submit") \
                and "aria-label" not in names and "label" not in self.open:
            self.wrong.append(f"a field without a label: {names}")
        if tag == "th" and "scope" not in names:
            self.wrong.append("a heading of a table without scope")
        if tag == "form":
            self.forms.append(names)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> ends something else")

    def handle_data(self, data):
        self.words.append(data)

    def text(self):
        return "".join(self.words)


class Beside:
    def __init__(self, bootstrap, timeout_ms=30000, payloads="shown"):
        self.process = subprocess.Popen([BESIDE, bootstrap, str(timeout_ms), payloads], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip().removeprefix("http=")

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        return code


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        self.text = self.body.decode()


def ask(address, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def put(server, name, lines):
    server.run("publish", name, "--create", "--input", "json", "--quiet", text="".join(json.dumps(line) + "\n" for line in lines))


def fill(server):
    server.run("topic", "create", "orders", "--partitions", "3")
    server.run("topic", "create", "quiet")
    cloud = {"ce_specversion": "1.0", "ce_source": "/shop", "ce_type": "order.placed"}
    put(server, "orders", [{"key": f"c-{i % 7}", "value": json.dumps({"order": i, "total": 1.10}, indent=None),
                              "headers": dict(cloud, ce_id=f"o-{i}")} for i in range(30)])
    put(server, "hostile", [
        {"key": HOSTILE, "value": HOSTILE, "headers": {HOSTILE: HOSTILE, "tenant": "s3cret", **cloud, "ce_id": HOSTILE, "ce_type": HOSTILE}},
        {"value": base64.b64encode(bytes(range(256))).decode(), "value_encoding": "base64"},
        {"key": "gone", "value": None},
        {"value": json.dumps({"deep": [HOSTILE, {"</pre>": []}]})}])
    put(server, "dlq.mail", [{"key": "k", "value": "v", "headers": {
        "__dlq.errors.topic": "orders", "__dlq.errors.partition": "0", "__dlq.errors.offset": str(i),
        "__dlq.errors.message": HOSTILE if i else "550 no"}} for i in range(3)])
    server.run("subscribe", "orders", "--group", "mail", "--max", "5")
    server.run("subscribe", "orders", "--group", EVIL_GROUP, "--max", "2")


def crawl(address, starts):
    """Every page that links lead to, with its answer."""
    seen, left = {}, list(starts)
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen[path] = answer = ask(address, path)
        if not answer.headers["Content-Type"].startswith("text/html") or len(seen) > 400:
            continue
        for link in Page(answer.text).links:
            link = urllib.parse.urljoin("http://here" + path, link.split("#")[0] or path)
            assert link.startswith("http://here/"), link
            link = link[len("http://here"):]
            if "as=" not in link and link.count("/") < 4 or link.endswith("/0/3"):
                left.append(link)
    return seen


def http_of(server):
    return server.ready.split(" http=")[1].split()[0]


class Console(unittest.TestCase):
    """The console beside a server that has something of everything; the server has it as well, with its layer."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tidings-console-")
        cls.server = Server(os.path.join(cls.folder.name, "data"), "http.listeners=127.0.0.1:0")
        fill(cls.server)
        cls.beside = Beside(cls.server.address)
        cls.address = cls.beside.address

    @classmethod
    def tearDownClass(cls):
        code = cls.beside.stop()
        cls.server.stop()
        cls.folder.cleanup()
        assert code == 0, code

    def page(self, path, status=200):
        answer = ask(self.address, path)
        self.assertEqual(answer.status, status, f"{path}: {answer.text[:2000]}")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/html"), path)
        page = Page(answer.text)
        self.assertEqual(page.wrong, [], path)
        return page
