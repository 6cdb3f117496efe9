"""What the process tests share: nodes as real processes, their API, checks that count."""
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

READY_S = 30
STOP_S = 20


class Failure(Exception):
    pass


def build_folder():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} BUILD-FOLDER")
    return Path(sys.argv[1])


class Answer:
    def __init__(self, status, body, headers):
        self.status = status
        self.body = body
        self.headers = headers

    @property
    def json(self):
        return json.loads(self.body)


class Api:
    """One kept connection to a node's API."""

    def __init__(self, url):
        self.host, self.port = url.removeprefix("http://").rsplit(":", 1)
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, int(self.port), timeout=20)
            try:
                self.connection.request(method, path, body=body, headers=headers)
                reply = self.connection.getresponse()
                return Answer(reply.status, reply.read(), reply.headers)
            except (http.client.HTTPException, ConnectionError, BrokenPipeError):
                self.close()
                if attempt == 2:
                    raise
        return None

    def get(self, path, headers=None):
        return self.ask("GET", path, headers=headers)

    def post(self, path, body=None, headers=None):
        return self.ask("POST", path, body=body, headers=headers)

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Node:
    """A ternd in a folder of its own; started and ended as often as wanted."""

    def __init__(self, ternd, folder, genesis, flags=()):
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.command = [str(ternd), "--data-dir", str(self.folder), "--genesis", str(genesis),
                        "--listen", "/ip4/127.0.0.1/tcp/0", "--api", "127.0.0.1:0", *flags]
        self.process = None
        self.place = None
        self.api = None

    def start(self, *flags):
        # A node that was killed leaves its file behind: it must not be taken for the new one's.
        (self.folder / "ternd.json").unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*self.command, *flags], stdout=log, stderr=log)
        until = time.monotonic() + READY_S
        while not (self.folder / "ternd.json").exists():
            if self.process.poll() is not None:
                raise Failure(f"ternd ended with {self.process.returncode}: {self.log_end()}")
            if time.monotonic() > until:
                raise Failure(f"ternd is not ready after {READY_S} s: {self.log_end()}")
            time.sleep(0.01)
        self.place = json.loads((self.folder / "ternd.json").read_text())
        self.api = Api(self.place["api"])
        return self

    def stop(self):
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"ternd did not end within {STOP_S} s: {self.log_end()}") from None
        self.process = None
        self.api.close()
        return code

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            if self.api is not None:
                self.api.close()

    def log_end(self):
        return (self.folder / "log").read_text(errors="replace")[-1500:]

    def address(self):
        address = self.place["addresses"][0]
        return address if "/p2p/" in address else f"{address}/p2p/{self.place['peer_id']}"


class Test:
    """A temporary folder, programs, nodes; counts checks; everything ends with it."""

    def __init__(self, name):
        self.name = name
        self.build = build_folder()
        self.ternd = self.build / "app" / "ternd"
        self.tern = self.build / "app" / "tern"
        self.folder = Path(tempfile.mkdtemp(prefix="tern-test."))
        self.nodes = []
        self.checks = 0
        self.failures = []

    def check(self, fine, what):
        self.checks += 1
        if not fine:
            self.failures.append(what)
            print(f"FAILED: {what}", flush=True)

    def equal(self, got, wanted, what):
        self.check(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")

    def run_tern(self, *arguments):
        return subprocess.run([str(self.tern), *map(str, arguments)], capture_output=True,
                              text=True, timeout=60, check=False)

    def key(self, name):
        """Makes a key file; returns its path and account."""
        path = self.folder / name
        result = self.run_tern("--json", "key", "new", path)
        if result.returncode != 0:
            raise Failure(f"tern key new: {result.stderr}")
        return path, json.loads(result.stdout)["account"]

    def genesis(self, file="genesis.json", **members):
        path = self.folder / file
        genesis = {"name": "test", "engine": "authority",
                   "time_ms": int(time.time() * 1000) - 1000, "period_ms": 200,
                   "drift_ms": 1000, "fee_min": 1, "authorities": [], "accounts": [],
                   "devices": []}
        genesis.update(members)
        path.write_text(json.dumps(genesis))
        return path

    def node(self, name, genesis, *flags):
        node = Node(self.ternd, self.folder / name, genesis, flags)
        self.nodes.append(node)
        return node

    def wait(self, what, condition, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                self.check(True, what)
                return True
            time.sleep(0.05)
        self.check(False, f"{what}: not within {seconds} s")
        return False

    def end(self):
        for node in self.nodes:
            node.kill()
        if self.failures:
            print(f"{self.name}: {self.checks} checks, {len(self.failures)} FAILED; "
                  f"files are in {self.folder}")
            return 1
        subprocess.run(["rm", "-rf", str(self.folder)], check=True)
        print(f"{self.name}: {self.checks} checks, none failed")
        return 0


def run(name, body):
    test = Test(name)
    try:
        body(test)
    except Failure as failure:
        test.check(False, str(failure))
    finally:
        code = test.end()
    sys.exit(code)


def seed():
    """The seed of this run's choices: TERN_SEED repeats one."""
    value = int(os.environ.get("TERN_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TERN_SEED={value}", flush=True)
    return random.Random(value)
