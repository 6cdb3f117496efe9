"""A throw-away authority, and a certificate of it for every address that the driver uses."""

import pathlib
import shutil
import subprocess

from .network import NETWORKS_MAX, SIDES, address
from .peer import Failure

DAYS = "2"


def openssl(*words):
    done = subprocess.run(("openssl", *words), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"openssl {words[0]}: {done.stderr.strip()}")


def make(folder):
    """Makes the files; returns the variables that name them to all peers."""
    if shutil.which("openssl") is None:
        raise Failure("there is no openssl; tools/install interop installs it")
    folder = pathlib.Path(folder)
    authority, certificate, key = (folder / name for name in ("ca.pem", "chain.pem", "key.pem"))
    names = ["DNS:localhost", "IP:127.0.0.1"]
    names += [f"IP:{address(i, side)}" for i in range(NETWORKS_MAX) for side in SIDES]
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", DAYS)
    openssl("req", "-x509", *curve, "-subj", "/CN=tern interop authority",
            "-keyout", folder / "ca.key", "-out", authority,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
    openssl("req", "-x509", *curve, "-subj", "/CN=tern interop", "-CA", authority,
            "-CAkey", folder / "ca.key", "-keyout", key, "-out", certificate,
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "extendedKeyUsage=serverAuth",
            "-addext", f"subjectAltName={','.join(names)}")
    with open(certificate, "a", encoding="ascii") as file:
        file.write(authority.read_text(encoding="ascii"))
    return {"WSS_CERTIFICATE_FILE": str(certificate), "WSS_KEY_FILE": str(key),
            "WSS_TRUST_FILE": str(authority)}
