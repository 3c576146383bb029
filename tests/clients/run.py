#!/usr/bin/python3
"""Runs scenario.json through every client that can be had here, against one server.

    tests/clients/run.py [--clients kcat,kafkajs] [--bootstrap HOST:PORT] [STEP ...]

Starts $TIDINGS_BIN (build/tidings) on a directory of its own, unless --bootstrap names a server.
Prints one line a client and step, and last the counts. A step that a client does not report has
failed; so has a server that does not stop cleanly.
"""
import argparse
import contextlib
import fcntl
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
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.server import Server  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(HERE, ".cache")
SCENARIO = os.path.join(HERE, "scenario.json")
PYTHON = "/usr/bin/python3"
RUN_S = 240
PREPARE_S = 600
# Java for some seconds: what optimizes for longer, and collects with threads of its own, costs more than it gives.
BRIEFLY = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
JAVA = ("java", "-Xmx256m", *BRIEFLY)
JAVAC = ("javac", *("-J" + option for option in BRIEFLY))


class Missing(Exception):
    """The client cannot be had on this machine; the text says why."""


def sh(what, *command, cwd=HERE, env=None):
    """Runs a preparing command; its failure means that the client is not to be had here."""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, timeout=PREPARE_S, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{what}: {error}") from error
    if done.returncode != 0:
        text = done.stdout.strip().splitlines()[-3:]
        raise Missing(f"{what} failed: {' '.join(text)}")
    return done.stdout


def need(*commands):
    for command in commands:
        if not shutil.which(command):
            raise Missing(f"{command} is not installed")


@contextlib.contextmanager
def alone(what):
    """One at a time gets a client, of all threads and all processes: other suites use them too."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, what + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def stamped(name, made_from, make):
    """Calls make() unless it succeeded before, later than any change to the files made_from.
    In alone(), where others make the same."""
    stamp = os.path.join(CACHE, name + ".done")
    changed = max(os.stat(path).st_mtime for path in made_from)
    if not os.path.exists(stamp) or os.stat(stamp).st_mtime < changed:
        make()
        with open(stamp, "w", encoding="utf-8"):
            pass


def python_module(runner, module):
    sh(f"Debian's python3 module {module}", PYTHON, "-c", f"import {module}")
    return [PYTHON, os.path.join(HERE, "python", runner)]


def kcat():
    need("kcat")
    return python_module("run_kcat.py", "confluent_kafka")


def confluent():
    return python_module("run_confluent_kafka.py", "confluent_kafka")


def kafka_python():
    return python_module("run_kafka_python.py", "kafka")


def librdkafka():
    """Built with Tidings itself: in the build directory that TIDINGS_BUILD names."""
    build = os.environ.get("TIDINGS_BUILD", os.path.join(REPOSITORY, "build"))
    need("meson", "ninja")
    if not os.path.exists(os.path.join(build, "build.ninja")):
        sh("meson setup", "meson", "setup", build, cwd=REPOSITORY)
    sh("building the C runner", "ninja", "-C", build, "tests/clients/run_librdkafka")
    return [os.path.join(build, "tests", "clients", "run_librdkafka")]


def node(runner):
    need("node", "npm")
    folder = os.path.join(HERE, "node")
    version = tuple(int(part) for part in sh("node", "node", "--version").strip("v\n").split("."))
    if "platformatic" in runner and version < (20, 19, 4):
        raise Missing(f"@platformatic/kafka needs Node 20.19.4, here is {version}")
    packages = [os.path.join(folder, name) for name in ("package.json", "package-lock.json")]
    with alone("npm"):
        if not os.path.isdir(os.path.join(folder, "node_modules")):
            os.utime(packages[0])
        stamped("npm", packages,
                lambda: sh("npm ci", "npm", "ci", "--no-audit", "--no-fund", cwd=folder))
    return ["node", os.path.join(folder, runner)]


def java_classes(pom="pom.xml"):
    """The scenario's classes, those of the POM's own folder, and what the POM names."""
    need("java", "javac", "mvn")
    name = "java" + pom.replace("pom", "").replace(".xml", "")
    source, target = os.path.join(HERE, "java"), os.path.join(CACHE, name)
    files = [os.path.join(folder, file) for folder in sorted({source, os.path.join(HERE, name)})
             for file in sorted(os.listdir(folder))]
    libraries, classes = os.path.join(target, "libs"), os.path.join(target, "classes")

    def copy():
        shutil.rmtree(target, ignore_errors=True)
        sh("Maven", "mvn", "-q", "-B", "-f", os.path.join(source, pom), "dependency:copy-dependencies",
           "-DoutputDirectory=" + libraries, env=dict(os.environ, MAVEN_OPTS=" ".join(BRIEFLY)))

    def build():
        sh("javac", *JAVAC, "-cp", libraries + "/*", "-d", classes,
           *[file for file in files if file.endswith(".java")])

    with alone("java"):
        stamped("maven-" + name, [os.path.join(source, pom)], copy)
        stamped("javac-" + name, files, build)
    return f"{classes}:{libraries}/*"


def java():
    return [*JAVA, "-cp", java_classes(), "Scenario"]


def java4():
    """The Java client of Kafka 4: consumer protocol (KIP-848), transactions v2 (KIP-890)."""
    return ["env", "GROUP_PROTOCOL=consumer", *JAVA, "-cp", java4_classes(), "Scenario"]


def java4_classes():
    return java_classes("pom-4.xml")


def kafka_tools():
    os.environ["KAFKA_CLASS_PATH"] = java_classes()
    return python_module("run_kafka_tools.py", "confluent_kafka")


def go(name):
    need("go")
    version = re.search(r"go(\d+)\.(\d+)", sh("go", "go", "version"))
    if (int(version.group(1)), int(version.group(2))) < (1, 22):
        raise Missing(f"Go 1.22 is needed, here is {version.group(0)}")
    program = os.path.join(CACHE, "go", name)
    sh("go build", "go", "build", "-o", program, "./" + name, cwd=os.path.join(HERE, "go"))
    return [program]


def from_index(name, requirements):
    """The Python of a virtual environment with these packages of the package index."""
    folder = os.path.join(CACHE, name)
    wanted = os.path.join(HERE, "python", requirements)

    def install():
        shutil.rmtree(folder, ignore_errors=True)
        sh("python3 -m venv", PYTHON, "-m", "venv", folder)
        sh("pip install", os.path.join(folder, "bin", "pip"), "install", "-q",
           "--disable-pip-version-check", "-r", wanted)

    with alone("pip"):
        stamped("pip-" + name, [wanted], install)
    return [os.path.join(folder, "bin", "python")]


def aiokafka():
    return from_index("aiokafka", "requirements.txt")


def confluent_new():
    """A librdkafka that speaks the consumer protocol (KIP-848); Debian's is older."""
    return ["env", "GROUP_PROTOCOL=consumer",
            *from_index("confluent-kafka", "requirements-confluent.txt"),
            os.path.join(HERE, "python", "run_confluent_kafka.py")]


CLIENTS = {
    "kcat": kcat,
    "confluent-kafka": confluent,
    "confluent-kafka-new": confluent_new,
    "kafka-python": kafka_python,
    "librdkafka": librdkafka,
    "kafkajs": lambda: node("run_kafkajs.mjs"),
    "platformatic-kafka": lambda: node("run_platformatic.mjs"),
    "java": java,
    "java-4": java4,
    "kafka-tools": kafka_tools,
    "franz-go": lambda: go("franz"),
    "sarama": lambda: go("sarama"),
    "aiokafka": lambda: aiokafka() + [os.path.join(HERE, "python", "run_aiokafka.py")],
    "kafka-python-new": lambda: aiokafka() + [os.path.join(HERE, "python", "run_kafka_python.py")],
}


# They begin first, so that nobody waits for one of them in the end.
LONGEST = ("kafka-tools", "java", "java-4", "librdkafka", "confluent-kafka")

# Members of the consumer protocol are told how often to heartbeat: often, so that the steps are short.
QUICK_GROUPS = ["--set", "group.consumer.min.heartbeat.interval.ms=200",
                "--set", "group.consumer.heartbeat.interval.ms=300"]


class Bus:
    """The server under test: our own on a directory of its own, or one that runs already."""

    def __init__(self, bootstrap, logs):
        self.bootstrap, self.server, self.data = bootstrap, None, None
        if not bootstrap:
            self.data = tempfile.mkdtemp(prefix="tidings-clients-")
            self.server = Server(self.data, options=QUICK_GROUPS,
                                 log_path=os.path.join(logs, "server.log"))
            self.bootstrap = self.server.address

    def stop(self):
        """Stops our own server; returns why that went wrong, or None."""
        if not self.server:
            return None
        died, see = self.server.process.poll(), f"see {self.server.log_path}"
        try:
            code = self.server.end(signal.SIGTERM, 30)
        except subprocess.TimeoutExpired:
            self.server.kill()
            return "still running 30 s after SIGTERM"
        sanitizer = re.search(r"(ERROR|WARNING): \w+Sanitizer.*|runtime error: .*",
                              self.server.log())
        if sanitizer:
            return f"{sanitizer.group(0)}, {see}"
        if died is not None:
            return f"it had ended by itself with {died}, {see}"
        return None if code == 0 else f"it ended with {code}, {see}"


def dump_after_stop(data):
    """Kafka's dump tool over every file of a few partitions; returns why that failed, or None."""
    topics = os.path.join(data, "topics")
    folders = [name for name in sorted(os.listdir(topics))
               if name.startswith("kafka-tools") and name.endswith("-0")]
    files = [os.path.join(topics, folder, name) for folder in folders
             for name in sorted(os.listdir(os.path.join(topics, folder)))
             if name.endswith((".log", ".index", ".timeindex"))]
    done = subprocess.run(
        [*JAVA, "-cp", os.environ["KAFKA_CLASS_PATH"], "kafka.tools.DumpLogSegments",
         "--deep-iteration", "--files", ",".join(files)], stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=RUN_S, check=False)
    told = [line for line in done.stdout.splitlines()
            if re.search("Exception|mismatch|Found|not found|isvalid: false|non-monotonic", line)]
    if done.returncode != 0 or told:
        dumped = re.findall(r"^Dumping (\S+)", done.stdout, re.M)
        return f"{dumped[-1:]}: {told[:3]}"
    return None if files else "no files"


class Counts:
    def __init__(self):
        self.lock = threading.Lock()
        self.passed = self.failed = self.skipped = 0

    def add(self, lines):
        with self.lock:
            for line in lines:
                print(line)
                self.passed += line.startswith("ok ")
                self.failed += line.startswith("not ok ")
                self.skipped += line.startswith("skip ")
            sys.stdout.flush()


def run_client(name, prepared, server, logs, steps):
    """The lines of one client: those it printed, and one for each step it did not report."""
    try:
        command = prepared.result()
    except Missing as why:
        return [f"skip {name} all-steps: {why}"]
    arguments = [SCENARIO, server.bootstrap, f"{name}-{os.getpid()}", *steps]
    env = dict(os.environ, CLIENT_NAME=name, TIDINGS_DATA=server.data or "")
    errors = os.path.join(logs, name + ".err")
    ending = "it ended early"
    with open(errors, "w", encoding="utf-8") as log, subprocess.Popen(
            command + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            env=env, text=True, start_new_session=True) as process:
        try:
            text = process.communicate(timeout=RUN_S)[0]
            if process.returncode != 0:
                ending = f"it ended with {process.returncode}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text = process.communicate()[0]
            ending = f"ended after {RUN_S} s"
    form = re.compile(r"^(ok|not ok|skip) " + re.escape(name) + r" (\S+?)(:|$)")
    lines = [line for line in text.splitlines() if form.match(line)]
    told = [form.match(line).group(2) for line in lines]
    lines += [f"not ok {name} {step}: not reported, {ending}; see {errors}"
              for step in steps if told.count(step) != 1]
    if any(line.startswith("not ok") for line in lines):
        lines.append(f"# what {name} wrote beside: {errors}")
    return lines


def run_moving(logs):
    """A group that moves between the protocols, on a server of its own that is killed."""
    try:
        python = from_index("confluent-kafka", "requirements-confluent.txt")
    except Missing as why:
        return [f"skip moving all-steps: {why}"]
    binary = os.environ.get("TIDINGS_BIN", os.path.join(REPOSITORY, "build", "tidings"))
    command = [*python, os.path.join(HERE, "python", "moving.py"), binary,
               os.path.join(logs, "moving-server.log")]
    with open(os.path.join(logs, "moving.err"), "w", encoding="utf-8") as log:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=log, text=True, timeout=2 * RUN_S, check=False)
        except subprocess.TimeoutExpired:
            return [f"not ok moving all-steps: not over after {2 * RUN_S} s"]
    if done.returncode not in (0, 1):
        return [*done.stdout.splitlines(), f"not ok moving end: it ended with {done.returncode}"]
    return done.stdout.splitlines()


def run_java_groups(server, logs):
    """What only the Java client of Kafka 4 does with groups."""
    name = "java-4-groups"
    try:
        command = [*JAVA, "-cp", java4_classes(), "Groups", server.bootstrap,
                   f"{name}-{os.getpid()}"]
    except Missing as why:
        return [f"skip {name} all-cases: {why}"]
    with open(os.path.join(logs, name + ".err"), "w", encoding="utf-8") as log:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=log, text=True, timeout=RUN_S, check=False)
        except subprocess.TimeoutExpired:
            return [f"not ok {name} all-cases: not over after {RUN_S} s"]
    lines = done.stdout.splitlines()
    return lines if done.returncode == 0 and lines else lines + [
        f"not ok {name} end: it ended with {done.returncode}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bootstrap", help="HOST:PORT of a server that runs already")
    parser.add_argument("--clients", help="comma-separated: " + ", ".join(CLIENTS))
    parser.add_argument("--jobs", type=int, default=4, help="clients at the same time")
    parser.add_argument("steps", nargs="*", help="only these steps, by name")
    options = parser.parse_args()
    names = options.clients.split(",") if options.clients else list(CLIENTS)
    unknown = set(names) - set(CLIENTS)
    if unknown:
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    with open(SCENARIO, encoding="utf-8") as file:
        steps = [step["step"] for step in json.load(file)["steps"]]
    if options.steps:
        steps = [step for step in steps if step in options.steps]

    logs = os.path.join(CACHE, "logs")
    os.makedirs(logs, exist_ok=True)
    counts = Counts()
    server = Bus(options.bootstrap, logs)

    names = [name for name in LONGEST if name in names] + [
        name for name in names if name not in LONGEST]
    preparing = ThreadPoolExecutor(options.jobs)
    prepared = {name: preparing.submit(CLIENTS[name]) for name in names}
    jobs = {name: lambda name=name: run_client(name, prepared[name], server, logs, steps)
            for name in names}
    if server.server and not options.steps and "confluent-kafka-new" in names:
        jobs["moving"] = lambda: run_moving(logs)
    if not options.steps and "java-4" in names:
        jobs["java-4-groups"] = lambda: run_java_groups(server, logs)

    def one(name):
        began = time.monotonic()
        lines = jobs[name]()
        counts.add(lines + [f"# {name}: {time.monotonic() - began:.0f} s"])

    with ThreadPoolExecutor(options.jobs) as threads:
        list(threads.map(one, jobs))
    if server.server:
        why = server.stop()
        counts.add([f"not ok server clean-stop: {why}" if why else "ok server clean-stop"])
        if "KAFKA_CLASS_PATH" in os.environ:
            why = dump_after_stop(server.data)
            counts.add([f"not ok server dump-files: {why}" if why else "ok server dump-files"])
        shutil.rmtree(server.data, ignore_errors=True)
    print(f"clients: {counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    return 1 if counts.failed or not counts.passed else 0


if __name__ == "__main__":
    sys.exit(main())
