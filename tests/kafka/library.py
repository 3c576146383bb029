#!/usr/bin/python3
"""The library's own tests of tests/unit/sdk that need a bus, on a cluster of Apache Kafka.

usage: library.py BUILD --bootstrap ADDRESS --brokers DIRECTORY
"""
import argparse
import os
import re
import subprocess
import sys

PROGRAM_S = 600
# Those that kill the bus come last: what others see of its return is not theirs to wait for.
PROGRAMS = ("service", "keys", "once", "group", "outbox")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--brokers", required=True)
    arguments = parser.parse_args()
    env = dict(os.environ, TEST_BUS=arguments.bootstrap, TEST_BUS_NODES=arguments.brokers, TEST_DATABASE="sqlite")
    passed, failed = 0, []
    for name in PROGRAMS:
        program = os.path.join(arguments.build, "tests", "unit", "sdk", "unit-sdk-" + name)
        try:
            done = subprocess.run([program], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  errors="replace", check=False, timeout=PROGRAM_S)
            told, code = done.stdout + done.stderr, done.returncode
        except subprocess.TimeoutExpired as error:
            told, code = (error.stdout or b"").decode(errors="replace") + f"\nended after {PROGRAM_S} s", 1
        passed += len(re.findall(r"^\[       OK \]", told, re.M))
        if code != 0:
            failed.append(name)
            print(f"--- unit-sdk-{name}\n{told[-6000:]}", file=sys.stderr)
        print(f"{'ok' if code == 0 else 'not ok'} unit-sdk-{name}", flush=True)
    print(f"{passed} cases held, {len(failed)} programs failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
