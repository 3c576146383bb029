"""Certificates for tests, made by openssl: an authority, and whom it signs."""
import os
import subprocess


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


class Authority:
    """In a folder: ca.pem, and for each name NAME.key, NAME.crt, and both in NAME.pem."""

    KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")

    def __init__(self, folder, name="Test Authority"):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.ca = self.path("ca.pem")
        openssl("req", "-x509", *self.KEY, "-nodes", "-keyout", self.path("ca.key"), "-out", self.ca, "-days", "3",
                "-subj", f"/CN={name}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, subject, hosts="", days=90, password=None):
        """`hosts` as "DNS:localhost,IP:127.0.0.1"; returns the path of NAME.pem, which is there whole or not at all."""
        key, request, certificate = (self.path(name + end) for end in (".key", ".csr", ".crt"))
        locked = ("-passout", "pass:" + password) if password else ("-nodes",)
        openssl("req", *self.KEY, *locked, "-keyout", key, "-out", request, "-subj", subject)
        with open(self.path(name + ".ext"), "w", encoding="utf-8") as extensions:
            extensions.write(f"subjectAltName={hosts}\n" if hosts else "extendedKeyUsage=clientAuth\n")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.path("ca.key"), "-CAcreateserial",
                "-days", str(days), "-extfile", extensions.name, "-out", certificate)
        with open(self.path(name + ".pem.new"), "w", encoding="utf-8") as both:
            for part in (key, certificate):
                with open(part, encoding="utf-8") as text:
                    both.write(text.read())
        os.replace(both.name, self.path(name + ".pem"))
        return self.path(name + ".pem")
