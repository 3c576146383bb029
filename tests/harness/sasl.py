"""The client's side of SASL, token by token, written apart from the server: PLAIN (RFC 4616) and SCRAM (RFC 5802)."""
import base64
import hashlib
import hmac
import os

HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
NUMBERS = {"SCRAM-SHA-256": 1, "SCRAM-SHA-512": 2}


def plain(user, password, identity=""):
    return f"{identity}\0{user}\0{password}".encode()


def salted(mechanism, password, salt, iterations=4096):
    return hashlib.pbkdf2_hmac(HASHES[mechanism], password.encode(), salt, iterations)


def upsertion(user, mechanism, password, iterations=4096, salt=None):
    """One of AlterUserScramCredentials."""
    salt = os.urandom(16) if salt is None else salt
    return {"name": user, "mechanism": NUMBERS[mechanism], "iterations": iterations, "salt": salt,
            "salted_password": salted(mechanism, password, salt, max(iterations, 1))}


class Scram:
    """One exchange; the first message, then the final one to the server's answer, then the proof of the server."""

    def __init__(self, mechanism, user, password, header="n,,"):
        self.hash, self.mechanism, self.password, self.header = HASHES[mechanism], mechanism, password, header
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"
        self.said = self.key = None

    def first(self):
        return (self.header + self.bare).encode()

    def hmac(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def final(self, answer, header=None):
        """header: another one than was said."""
        parts = dict(part.split("=", 1) for part in answer.decode().split(","))
        assert parts["r"].startswith(self.nonce) and len(parts["r"]) > len(self.nonce), answer
        self.key = salted(self.mechanism, self.password, base64.b64decode(parts["s"]), int(parts["i"]))
        binding = base64.b64encode((self.header if header is None else header).encode()).decode()
        without = f"c={binding},r={parts['r']}"
        self.said = f"{self.bare},{answer.decode()},{without}".encode()
        client = self.hmac(self.key, b"Client Key")
        signature = self.hmac(hashlib.new(self.hash, client).digest(), self.said)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        return f"{without},p={base64.b64encode(proof).decode()}".encode()

    def is_proven(self, answer):
        """Whether the server knows the password."""
        signature = self.hmac(self.hmac(self.key, b"Server Key"), self.said)
        return answer == b"v=" + base64.b64encode(signature)
