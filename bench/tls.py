#!/usr/bin/python3
"""What TLS costs the server: CPU a gigabyte in and out beside plain text, and a handshake.

    bench/tls.py [--mb 500] [--turns 3] [--folder DIR]

Data is in memory (--folder: on that disk). kcat publishes and reads events of 1,000 bytes in batches of up to 1 MB, by turns
in plain text and by TLS 1.3 on two listeners of one server, whose processor time is what counts. Beside it stands what
OpenSSL's ciphers take by themselves on this machine, and how many clients openssl s_time gets through a handshake.
TIDINGS_BIN names the program [build/src/cli/tidings].
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
# pylint: disable=wrong-import-position
from harness.certificates import Authority
from harness.server import Server

SIZE = 1000
CIPHERS = {"TLS_AES_256_GCM_SHA384": "aes-256-gcm", "TLS_AES_128_GCM_SHA256": "aes-128-gcm"}


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_speed(cipher):
    """CPU seconds a gigabyte (10^9 bytes) in records of 16 KiB."""
    done = subprocess.run(["openssl", "speed", "-evp", cipher, "-bytes", "16384", "-seconds", "1"], check=True,
                          capture_output=True, text=True)
    return 1e9 / (float(re.findall(r"([\d.]+)k\s*$", done.stdout)[-1]) * 1000)


class Bench:
    def __init__(self, folder, megabytes):
        self.megabytes = megabytes
        self.authority = Authority(os.path.join(folder, "authority"))
        keystore = self.authority.sign("bus", "/CN=bus", "DNS:localhost,IP:127.0.0.1")
        self.events = os.path.join(folder, "events")
        with open(self.events, "wb") as file:
            for _ in range(megabytes):
                file.write((os.urandom(SIZE // 2 - 1).hex()[:SIZE - 1].encode() + b"\n") * (10 ** 6 // SIZE))
        self.server = Server(os.path.join(folder, "data"), "ssl.keystore.location=" + keystore, "http.listeners=",
                             "bus.layer.enable=false", listen=None,
                             options=("--listen", "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0"))
        addresses = re.search(r"listen=(\S+)", self.server.ready).group(1).split(",")
        self.kinds = {"plain text": (addresses[0], {})}
        for cipher in CIPHERS:
            self.kinds[cipher] = (addresses[1], {"security.protocol": "ssl", "ssl.ca.location": self.authority.ca})
        self.tls = addresses[1]

    def kcat(self, kind, topic, *words, **more):
        """The server's CPU seconds meanwhile."""
        address, properties = self.kinds[kind]
        env = dict(os.environ)
        if kind in CIPHERS:
            env["OPENSSL_CONF"] = self.conf(kind)
        before = cpu_s(self.server.process.pid)
        subprocess.run(["kcat", "-q", "-b", address, "-t", topic, *words,
                        *[word for name, value in properties.items() for word in ("-X", f"{name}={value}")]],
                       check=True, env=env, stdout=subprocess.DEVNULL, **more)
        return cpu_s(self.server.process.pid) - before

    def conf(self, cipher):
        """librdkafka has no setting for the ciphers of TLS 1.3; OpenSSL's own file has."""
        path = self.authority.path(cipher + ".cnf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nCiphersuites = {cipher}\n")
        return path

    def turn(self, kind, number):
        topic = f"t{number}"
        came = self.kcat(kind, topic, "-P", "-l", self.events, "-X", "batch.size=1000000", "-X", "linger.ms=20",
                         "-X", "queue.buffering.max.kbytes=200000")
        went = self.kcat(kind, topic, "-C", "-e", "-o", "beginning")
        subprocess.run([self.server.binary, "topic", "delete", topic, "-b", self.kinds["plain text"][0]],
                       check=True, stdout=subprocess.DEVNULL)
        return came * 1000 / self.megabytes, went * 1000 / self.megabytes

    def handshakes(self):
        """(CPU seconds of the server for 1,000, how many in a second)"""
        before = cpu_s(self.server.process.pid)
        done = subprocess.run(["openssl", "s_time", "-connect", self.tls, "-new", "-time", "3"], check=False,
                              capture_output=True, text=True)
        count, seconds = re.findall(r"(\d+) connections in (\d+) real seconds", done.stdout)[-1]
        return (cpu_s(self.server.process.pid) - before) * 1000 / int(count), int(count) / int(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", default="/dev/shm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-tls-", dir=options.folder) as folder:
        bench = Bench(folder, options.mb)
        with bench.server:
            figures = {kind: [] for kind in bench.kinds}
            for turn in range(options.turns):
                for kind in bench.kinds:
                    figures[kind].append(bench.turn(kind, f"{turn}-{len(figures[kind])}-{kind[:12]}".replace(" ", "")))
            print(f"CPU s/GB of the server, medians of {options.turns} turns of {options.mb} MB (least..most)")
            print(f"{'':24}  {'in':>20}  {'out':>20}  {'OpenSSL alone':>14}")
            for kind, turns in figures.items():
                cells = [f"{statistics.median(one):.3f} ({min(one):.2f}..{max(one):.2f})" for one in zip(*turns)]
                own = f"{own_speed(CIPHERS[kind]):.3f}" if kind in CIPHERS else ""
                print(f"{kind:24}  {cells[0]:>20}  {cells[1]:>20}  {own:>14}")
            cpu, rate = bench.handshakes()
            print(f"handshakes (TLS 1.3, EC P-256): {rate:.0f} a second by one client, {cpu:.3f} CPU s of the server for 1,000")


if __name__ == "__main__":
    main()
