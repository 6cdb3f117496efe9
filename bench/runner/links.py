"""Benches of one link: a stream, handshakes, idle connections. Each implementation with itself."""

import re
import time

from .process import Failure, Server, run_client

CLIENT_TIMEOUT_S = 60
SETTLE_S = 0.5


class Target:
    """A bare server of one implementation and how its own client is started against it."""

    def __init__(self, name, program):
        self.name = name
        self.program = program
        command = ([program, "serve", "127.0.0.1", "0"] if name == "tern" else
                   [program, "bench-serve", "--listen", "/ip4/127.0.0.1/tcp/0"])
        self.server = Server(f"{name} server", command)

    def __enter__(self):
        try:
            ready = self.server.wait_ready().ready
        except Failure:
            self.server.__exit__()
            raise
        self.address = (["127.0.0.1", str(ready["port"])] if self.name == "tern" else
                        [next(a for a in ready["addrs"] if re.match("/ip4/127", a))])
        return self

    def __exit__(self, *error):
        self.server.__exit__(*error)

    def client(self, mode, *options):
        prefix = "" if self.name == "tern" else "bench-"
        return [self.program, prefix + mode, *self.address, *map(str, options)]

    def measure(self, mode, *options):
        """The client's result and the CPU seconds of client and server."""
        before = self.server.cpu()
        result, client_cpu = run_client(f"{self.name} {mode}", self.client(mode, *options),
                                        CLIENT_TIMEOUT_S)
        time.sleep(0.05)  # the server ends its side of the connection
        return result, client_cpu, self.server.cpu() - before


def rounds(programs, results, count, work):
    """Takes turns, so that what else the machine does falls on all alike."""
    failed = set()
    for turn in range(count):
        for name, program in programs.bench.items():
            if name in failed:
                continue
            try:
                with Target(name, program) as target:
                    print(f"  {turn + 1}/{count} {name:5} {work(target)}", flush=True)
            except (Failure, KeyError, OSError, ZeroDivisionError) as failure:
                failed.add(name)
                results.fail(name, str(failure) or repr(failure))


def stream(programs, sizes, results):
    print(f"one stream of {sizes.stream_bytes / 1e9:.2f} GB", flush=True)

    def work(target):
        target.measure("stream", "--bytes", 1 << 24)
        result, client, server = target.measure("stream", "--bytes", sizes.stream_bytes)
        gigabytes = sizes.stream_bytes / 1e9
        rate = gigabytes / result["seconds"]
        cpu = (client + server) / gigabytes
        results.add("stream_gbs", target.name, rate)
        results.add("stream_cpu", target.name, cpu)
        return f"{rate:.3f} GB/s, {cpu:.3f} CPU s/GB"

    rounds(programs, results, sizes.rounds, work)


def handshake(programs, sizes, results):
    print(f"{sizes.handshakes} handshakes, {sizes.concurrency} at a time", flush=True)

    def work(target):
        target.measure("handshake", "--count", 50, "--concurrency", 1)
        result, client, server = target.measure(
            "handshake", "--count", sizes.handshakes, "--concurrency", sizes.concurrency)
        per_core = sizes.handshakes / (client + server)
        rate = sizes.handshakes / result["seconds"]
        results.add("handshakes_core", target.name, per_core)
        results.add("handshakes_wall", target.name, rate)
        return f"{per_core:.0f} per CPU second, {rate:.0f}/s by the clock"

    rounds(programs, results, sizes.rounds, work)


def idle(programs, sizes, results):
    print(f"{sizes.idle} idle connections", flush=True)

    def work(target):
        before = target.server.ask("rss", "rss_bytes")
        client = Server(f"{target.name} idle", target.client("idle", "--count", sizes.idle))
        with client:
            ready = client.wait_ready(CLIENT_TIMEOUT_S).ready
            if ready.get("connections") != sizes.idle:
                raise Failure(f"{target.name}: {ready.get('connections')} of {sizes.idle} held")
            time.sleep(SETTLE_S)
            after = target.server.ask("rss", "rss_bytes")
        if after.get("connections", sizes.idle) != sizes.idle:
            raise Failure(f"{target.name}: the server holds {after['connections']}")
        rss = (after["rss_bytes"] - before["rss_bytes"]) / sizes.idle
        results.add("idle_rss", target.name, rss)
        text = f"{rss:.0f} B of RSS each"
        if "tern_bytes" in after:
            own = (after["tern_bytes"] - before["tern_bytes"]) / sizes.idle
            results.add("idle_bytes", target.name, own)
            text += f", {own:.0f} B allocated"
        return text

    rounds(programs, results, 1 if sizes.rounds < 5 else 2, work)
