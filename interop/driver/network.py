"""Two hosts of the driver's own: network namespaces, a link between them, and a Redis server.

The official contracts run listener and dialer on hosts of their own, and a listener gives an
address that the other can reach. So each worker of the driver has such a pair.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile

from .peer import Failure

NETWORKS_MAX = 8
REDIS_PORT = 6379
SIDES = ("listener", "dialer")


def address(index, side):
    return f"10.99.{index}.{1 + SIDES.index(side)}"


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")


class Network:
    """Use it in a with statement: the namespaces end with it."""

    def __init__(self, index):
        self.index = index
        self.names = {side: f"tern-{os.getpid()}-{index}-{side}" for side in SIDES}
        self.ips = {side: address(index, side) for side in SIDES}
        self.redis_addr = f"{self.ips['listener']}:{REDIS_PORT}"

    def __enter__(self):
        if os.geteuid() != 0:
            raise Failure("transports are tried between network namespaces, which only root can "
                          "make; run it as root, or name other cases with --case")
        for program in ("ip", "redis-server"):
            if shutil.which(program) is None:
                raise Failure(f"there is no {program}; tools/install interop installs it")
        try:
            self._make()
        except Failure:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self._remove()

    def _make(self):
        for name in self.names.values():
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "eth0", "netns", self.names["listener"], "type", "veth",
            "peer", "name", "eth0", "netns", self.names["dialer"])
        for side, other in (SIDES, SIDES[::-1]):
            here = ("ip", "-n", self.names[side])
            run(*here, "addr", "add", f"{self.ips[side]}/24", "dev", "eth0")
            run(*here, "link", "set", "lo", "up")
            run(*here, "link", "set", "eth0", "up")
            # Browsers take the address that leads to the world for their own.
            run(*here, "route", "add", "default", "via", self.ips[other])

    def _remove(self):
        for name in self.names.values():
            subprocess.run(("ip", "netns", "delete", name), stderr=subprocess.DEVNULL, check=False)

    def prefix(self, side):
        """What a command line starts with to run on that side."""
        return ["ip", "netns", "exec", self.names[side]]

    @contextlib.contextmanager
    def redis(self):
        """An empty Redis server on the listener's side."""
        with tempfile.TemporaryDirectory(prefix="tern-redis-") as folder:
            process = subprocess.Popen(
                [*self.prefix("listener"), "redis-server", "--bind", self.ips["listener"],
                 "--port", str(REDIS_PORT), "--save", "", "--appendonly", "no",
                 "--protected-mode", "no", "--dir", folder],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                yield
                if process.poll() is not None:
                    raise Failure(f"redis-server ended with {process.returncode}")
            finally:
                process.kill()
                process.wait()
