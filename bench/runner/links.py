"""Benches of one link: a stream, handshakes, idle connections. Each implementation with itself."""

import re
import resource
import statistics
import time

from . import machine, ways
from .process import Failure, Server, run_client

CLIENT_TIMEOUT_S = 120
HOLD_TIMEOUT_S = 240  # to make all connections that are held
SETTLE_S = 0.5


class Target:
    """A bare server of one implementation and how its own client is started against it."""

    def __init__(self, name, program, way):
        self.name = name
        self.program = program
        self.way = way
        command = ([program, "serve", "127.0.0.1", "0"] if name == "tern" else
                   [program, "bench-serve", "--listen", way.listen()])
        self.server = Server(f"{name} server", command + way.options())

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
        return [self.program, prefix + mode, *self.address, *map(str, options),
                *self.way.options()]

    def measure(self, mode, *options):
        """The client's result and the CPU seconds of client and server."""
        before = self.server.cpu()
        result, client_cpu = run_client(f"{self.name} {mode}", self.client(mode, *options),
                                        CLIENT_TIMEOUT_S)
        time.sleep(0.05)  # the server ends its side of the connection
        return result, client_cpu, self.server.cpu() - before


def stacks(programs, way):
    """Who is measured: name, program and way."""
    return [(name, program, way) for name, program in programs.bench.items()]


def stacks_and_libraries(programs, way):
    """Over QUIC the libraries alone as well."""
    libraries = ways.LIBRARIES.items() if way is ways.QUIC else ()
    return stacks(programs, way) + [(name, programs.bench[of], ways.RAW)
                                    for name, of in libraries if of in programs.bench]


def rounds(measured, results, count, work):
    """Takes turns, so that what else the machine does falls on all alike."""
    failed = set()
    for turn in range(count):
        for name, program, way in measured:
            if name in failed:
                continue
            try:
                start = time.monotonic()
                with Target(name, program, way) as target:
                    told = work(target)
                print(f"  {turn + 1}/{count} {way.name:17} {name:7} {told}; "
                      f"{time.monotonic() - start:.1f} s", flush=True)
            except (Failure, KeyError, OSError, ZeroDivisionError) as failure:
                failed.add(name)
                results.fail(name, f"{way.name}: {failure or repr(failure)}")


def stream(programs, sizes, results):
    print(f"one stream of {sizes.stream_bytes / 1e9:.2f} GB", flush=True)

    def work(target):
        target.measure("stream", "--bytes", 1 << 24)
        result, client, server = target.measure("stream", "--bytes", sizes.stream_bytes)
        gigabytes = sizes.stream_bytes / 1e9
        rate = gigabytes / result["seconds"]
        cpu = (client + server) / gigabytes
        results.add(f"stream_gbs_{target.way.key}", target.name, rate)
        results.add(f"stream_cpu_{target.way.key}", target.name, cpu)
        return f"{rate:.3f} GB/s, {cpu:.3f} CPU s/GB"

    for way in ways.ALL:
        rounds(stacks_and_libraries(programs, way), results, sizes.rounds, work)


def mean(texts, pattern):
    return statistics.mean(machine.number(text, pattern) for text in texts)


# What stands beside connections in memory: the name of the figures, and bench_handshake's lines.
HANDSHAKE_BOUNDS = {"bare": ("their cryptography alone", "share"),
                    "fastest": ("the same at its fastest", "share of the fastest"),
                    "library": ("the libraries by themselves", "share of the libraries")}


def handshake_bound(texts, bound, way, per_core, results):
    """What a bound permits, and what connections reach of it without a network and with one."""
    line, share = HANDSHAKE_BOUNDS[bound]
    most = mean(texts, rf"^{line}: (\d+) a second")
    memory = mean(texts, rf"^{share}: ([\d.]+) %")
    results.bound_texts[bound, way.key] = re.search(rf"^{line}: .*: (.+)", texts[0], re.M).group(1)
    results.add(f"handshakes_{bound}_most_{way.key}", "tern", most)
    results.add(f"handshakes_{bound}_share_{way.key}", "tern", 100 * per_core / most)
    results.add(f"handshakes_{bound}_memory_{way.key}", "tern", memory)
    return f"; {bound} {most:.0f}, in memory {memory:.0f} % of that"


def handshake_bounds(programs, way, per_core, sizes, results):
    """Beside a rate, at once: what the handshake's cryptography alone permits; where libraries make
    it, what the fastest one's would, and what they permit by themselves."""
    texts = machine.outputs_on_two_cores([programs.handshake, ways.IN_MEMORY[way.key],
                                          str(sizes.handshake_rounds)])
    bounds = HANDSHAKE_BOUNDS if way in ways.BY_LIBRARIES else ("bare",)
    return "".join(handshake_bound(texts, bound, way, per_core, results) for bound in bounds)


def handshake(programs, sizes, results):
    print(f"{sizes.handshakes} handshakes, {sizes.concurrency} at a time", flush=True)

    def work(target):
        target.measure("handshake", "--count", 50, "--concurrency", 8)
        result, _, server = target.measure(
            "handshake", "--count", sizes.handshakes, "--concurrency", sizes.concurrency)
        # A program's start is no handshake, so each measures its own time without it.
        per_core = sizes.handshakes / (result["cpu_seconds"] + server)
        rate = sizes.handshakes / result["seconds"]
        results.add(f"handshakes_core_{target.way.key}", target.name, per_core)
        results.add(f"handshakes_wall_{target.way.key}", target.name, rate)
        text = f"{per_core:.0f} per CPU second, {rate:.0f}/s by the clock"
        if target.name != "tern" or programs.handshake is None:
            return text
        return text + handshake_bounds(programs, target.way, per_core, sizes, results)

    for way in ways.ALL:
        rounds(stacks_and_libraries(programs, way), results, sizes.rounds, work)


def allow_files():
    """Ten thousand connections, and a socket each for a peer that opens one a host."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def idle(programs, sizes, results):
    print(f"{sizes.idle} idle connections", flush=True)
    allow_files()

    def work(target):
        key = target.way.key
        before = target.server.ask("rss", "rss_bytes")
        client = Server(f"{target.name} idle", target.client(
            "idle", "--count", sizes.idle, "--concurrency", sizes.concurrency))
        with client:
            ready = client.wait_ready(HOLD_TIMEOUT_S).ready
            if ready.get("connections") != sizes.idle:
                raise Failure(f"{target.name}: {ready.get('connections')} of {sizes.idle} held")
            time.sleep(SETTLE_S)
            after = target.server.ask("rss", "rss_bytes")
            cpu, since = target.server.cpu(), time.monotonic()
            time.sleep(sizes.idle_seconds)
            cpu = 100 * (target.server.cpu() - cpu) / (time.monotonic() - since)
            last = target.server.ask("rss", "rss_bytes")
        if last.get("connections", sizes.idle) != sizes.idle:
            raise Failure(f"{target.name}: the server holds {last['connections']}")
        rss = (after["rss_bytes"] - before["rss_bytes"]) / sizes.idle
        rate = sizes.idle / ready["seconds"]
        results.add(f"idle_rss_{key}", target.name, rss)
        results.add(f"idle_cpu_{key}", target.name, cpu)
        results.add(f"idle_rate_{key}", target.name, rate)
        text = f"{rss:.0f} B of RSS each, {cpu:.2f} % of a core, {rate:.0f} a second dialled"
        if "accepted" in after:
            accepts = (after["accepted"] - 1) / after["accept_seconds"]
            results.add(f"idle_accepts_{key}", target.name, accepts)
            own = (after["tern_bytes"] - before["tern_bytes"]) / sizes.idle
            results.add(f"idle_bytes_{key}", target.name, own)
            text += f", {accepts:.0f} accepted, {own:.0f} B allocated"
        return text

    for way in (ways.TCP, ways.QUIC):
        rounds(stacks(programs, way), results, 1, work)
