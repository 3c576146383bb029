#!/usr/bin/python3
"""Suites of the library, the store and the layer on a cluster of Apache Kafka: `make test-kafka`.

usage: run.py [SUITE...]

Starts three nodes (KRaft, loopback, a temporary directory), runs each suite against them, a broker of which is killed in
the middle, and ends with `N passed, N failed, N skipped`. Where Java or Maven are missing it says so and skips.
$TIDINGS_BIN is the command, $TIDINGS_BUILD the build directory.
"""
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path.insert(0, TESTS)
from harness.kafka_cluster import Cluster  # noqa: E402
from harness.server import ROOT  # noqa: E402

CACHE = os.path.join(HERE, ".cache")
BUILD = os.path.abspath(os.environ.get("TIDINGS_BUILD") or os.path.join(ROOT, "build"))
PREPARE_S, SUITE_S = 900, 900
LEAST_JAVA = 17

# name: the words that are followed by --bootstrap ADDRESS --brokers DIRECTORY
SERVICE = os.path.join(BUILD, "tests", "lanes", "lane-service")
SUITES = {
    "library": [os.path.join(HERE, "library.py"), BUILD],
    "lanes": [os.path.join(TESTS, "lanes", "test_runner.py"), SERVICE],
    "transact": [os.path.join(TESTS, "lanes", "test_transact.py"), os.path.join(BUILD, "tests", "lanes", "transform-service")],
    "named": [os.path.join(TESTS, "lanes", "test_named.py"), os.path.join(BUILD, "tests", "lanes", "transform-service")],
    "redrive": [os.path.join(TESTS, "deadletter", "test_kills.py"), SERVICE, "--kills", "3"],
    "beside": [os.path.join(HERE, "beside.py")],
    "store": [os.path.join(TESTS, "campaign", "store.py"), "--short"],
}


def class_path():
    """Apache Kafka's own artifacts, fetched once."""
    jars, pom = os.path.join(CACHE, "jars"), os.path.join(HERE, "pom.xml")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = os.path.join(CACHE, "done")
        if not os.path.exists(stamp) or os.stat(stamp).st_mtime < os.stat(pom).st_mtime:
            shutil.rmtree(jars, ignore_errors=True)
            done = subprocess.run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory=" + jars],
                                  check=False, timeout=PREPARE_S, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit("Maven could not get Apache Kafka:\n" + done.stdout[-3000:] + done.stderr[-3000:])
            with open(stamp, "w", encoding="ascii"):
                pass
    return jars + "/*"


def what_is_missing():
    missing = [f"{tool} is not installed" for tool in ("java", "mvn") if not shutil.which(tool)]
    if not missing:
        told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', told)
        if not version or int(version.group(1)) < LEAST_JAVA:
            missing = [f"Java {LEAST_JAVA} is needed, here is {told.splitlines()[0] if told else 'none'}"]
    return missing


def main():
    names = sys.argv[1:] or list(SUITES)
    missing = what_is_missing()
    if missing:
        print(f"skip {', '.join(names)}: {', '.join(missing)}")
        print(f"0 passed, 0 failed, {len(names)} skipped")
        return 0
    passed = 0
    with tempfile.TemporaryDirectory(prefix="tidings-kafka-") as directory:
        began = time.monotonic()
        with Cluster(directory, class_path()) as cluster:
            print(f"three nodes of Apache Kafka are ready after {time.monotonic() - began:.0f} s", flush=True)
            for name in names:
                began = time.monotonic()
                done = subprocess.run([sys.executable, *SUITES[name], "--bootstrap", cluster.address, "--brokers", directory],
                                      check=False, timeout=SUITE_S, stdin=subprocess.DEVNULL)
                passed += done.returncode == 0
                print(f"{'ok' if done.returncode == 0 else 'not ok'} {name} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{passed} passed, {len(names) - passed} failed, 0 skipped")
    return 0 if passed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
