#!/usr/bin/env python3
"""The commands that are a peer by themselves (ping, dial, perf) against real peers on loopback:
what they tell people and programs, and their exit codes. No time is judged."""
import json
import re
import signal
import subprocess

import harness


class Server:
    """tern perf --serve, until it is ended."""

    def __init__(self, test, *flags):
        self.process = subprocess.Popen(
            [str(test.tern), "perf", "--serve", "/ip4/127.0.0.1/tcp/0", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("serving perf at /ip4/127.0.0.1/tcp/"):
            self.process.kill()
            raise harness.Failure(f"tern perf --serve said: {line!r}")
        self.address = line.split()[-1]
        self.peer = self.address.rsplit("/", 1)[1]

    def wait_line(self, text):
        """Draws what it says until a line has this text."""
        line = self.process.stdout.readline()
        while text not in line:
            if line == "":
                raise harness.Failure(f"tern perf --serve ended: {self.process.wait()}")
            line = self.process.stdout.readline()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


def check_ping(test, server):
    result = test.run_tern("ping", server.address, "--count", 3, "--interval", 0)
    test.equal(result.returncode, 0, f"ping: {result.stderr}")
    lines = result.stdout.splitlines()
    for i in range(3):
        test.check(re.match(rf"answer from {server.peer}: seq={i + 1} rtt=[0-9.]+ ms$", lines[i]),
                   f"ping: line {i}: {lines[i]}")
    test.equal(lines[4], "3 sent, 3 received, 0% lost", "ping: the summary")
    test.check(re.match(r"rtt min/avg/max/stddev = ([0-9.]+/){3}[0-9.]+ ms, p50/p95/p99 = "
                        r"([0-9.]+/){2}[0-9.]+ ms$", lines[5]), f"ping: the numbers: {lines[5]}")
    result = test.run_tern("ping", server.address, "--count", 4, "--interval", 0, "--json")
    numbers = json.loads(result.stdout)
    test.equal((numbers["sent"], numbers["received"], numbers["loss_percent"]), (4, 4, 0),
               "ping --json: how many")
    test.equal(len(numbers["rtt_us"]), 4, "ping --json: each round trip")
    order = [numbers[name] for name in ("min_us", "p50_us", "p95_us", "p99_us", "max_us")]
    test.check(order == sorted(order) and order[0] > 0, f"ping --json: the numbers: {numbers}")


def check_ping_stopped(test, server):
    process = subprocess.Popen([str(test.tern), "ping", server.address, "--count", "10000",
                                "--interval", "0.01"], stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=20)[0]
    test.check(first.startswith("answer from "), f"ping answers: {first}")
    test.equal(process.returncode, 0, "ping: a signal ends it in good order")
    test.check(re.search(r"^[0-9]+ sent, [0-9]+ received, 0% lost$", rest, re.M),
               "ping: a signal sums up")


def check_dial(test, server):
    result = test.run_tern("dial", server.address, "--explain")
    test.equal(result.returncode, 0, f"dial --explain: {result.stderr}")
    lines = result.stdout.splitlines()
    test.check(lines[0].startswith(f"connected to {server.peer} in "), f"dial: {lines[0]}")
    test.equal(lines[1].split(), ["#", "address", "transport", "started", "linked", "ended",
                                  "result"], "dial --explain: the table's head")
    row = lines[2].split()
    test.equal((row[0], row[1], row[2], row[-1]),
               ("1", server.address.split("/p2p/")[0], "tcp", "connected"), "dial --explain: a row")
    dead = f"/ip4/127.0.0.1/tcp/1/p2p/{server.peer}"
    result = test.run_tern("dial", dead, server.address, "/ip4/127.0.0.1/udp/1",
                           "--explain", "--json")
    test.equal(result.returncode, 0, f"dial of several addresses: {result.stderr}")
    told = json.loads(result.stdout)
    test.equal((told["connected"], told["peer_id"]), (True, server.peer), "dial --json: whom")
    ways = {row["result"]: row for row in told["attempts"]}
    test.equal(sorted(ways), ["REFUSED", "UNSUPPORTED", "connected"],
               f"dial --json: what came of each address: {ways}")
    rows = (ways["REFUSED"], ways["connected"], ways["UNSUPPORTED"])
    test.equal((rows[2]["address"], rows[2]["started_ms"]), ("/ip4/127.0.0.1/udp/1", None),
               f"dial --json: the one of no transport: {rows[2]}")
    test.check(rows[0]["started_ms"] == 0 and rows[0]["linked_ms"] is None
               and rows[0]["ended_ms"] is not None, f"dial --json: the one that failed: {rows[0]}")
    test.check("refused" in rows[0]["meaning"] and "running" in rows[0]["advice"],
               f"dial --json: why, and what to do: {rows[0]}")
    test.check(rows[1]["started_ms"] <= rows[1]["linked_ms"] <= rows[1]["ended_ms"],
               f"dial --json: the one that did not: {rows[1]}")
    result = test.run_tern("dial", "/ip4/127.0.0.1/tcp/1", "--explain")
    test.equal(result.returncode, 69, "dial --explain: nobody is there")
    test.check("REFUSED" in result.stdout and "1: the connection was refused" in result.stdout,
               f"dial --explain tells of failures: {result.stdout}")
    other = server.address[:-4] + ("AAAA" if server.address[-4:] != "AAAA" else "BBBB")
    result = test.run_tern("dial", other, "--explain", "--json")
    if result.returncode != 64:  # those letters may make no peer id
        rows = json.loads(result.stdout)["attempts"]
        test.equal((result.returncode, rows[0]["result"]), (69, "PEER_MISMATCH"),
                   "dial: another peer")


def check_perf(test, server):
    result = test.run_tern("perf", server.address, "--upload", "1MiB", "--download", "3MB",
                           "--iterations", 2)
    test.equal(result.returncode, 0, f"perf: {result.stderr}")
    for way, size in (("upload", "1.0 MB"), ("download", "3.0 MB")):
        for i in (1, 2):
            test.check(re.search(rf"^{way} +{i}/2  {size} in [0-9.]+ s  [0-9.]+ [kMGT]?bit/s$",
                                 result.stdout, re.M), f"perf: {way} {i}: {result.stdout}")
    for name in ("upload", "download", "handshake_rtt", "ping_rtt"):
        test.check(re.search(rf"^{name} .* 2$", result.stdout, re.M), f"perf: the row of {name}")
    test.equal(result.stderr, "", "perf: progress is for terminals")
    result = test.run_tern("perf", server.address, "--upload", "1MiB", "--iterations", 3, "--json")
    numbers = json.loads(result.stdout)
    test.equal((numbers["uploaded_bytes"], numbers["downloaded_bytes"]), (3 << 20, 0),
               "perf --json: what has moved")
    test.check("download" not in numbers, "perf --json: one way alone")
    for name in ("upload", "handshake_rtt", "ping_rtt"):
        row = numbers[name]
        order = [row[key] for key in ("min", "p50", "p95", "p99", "max")]
        test.check(len(row["samples"]) == 3 and order == sorted(order) and order[0] > 0,
                   f"perf --json: {name}: {row}")
    result = test.run_tern("perf", server.address, "--duration", "0.2", "--json")
    test.equal(result.returncode, 0, f"perf by time: {result.stderr}")
    numbers = json.loads(result.stdout)
    test.check(numbers["uploaded_bytes"] > 0 and numbers["downloaded_bytes"] > 0,
               f"perf by time: both ways: {numbers}")
    result = test.run_tern("perf", server.address, "--upload", "1kB", "--header16")
    test.check(result.returncode == 1 and "--header16" in result.stderr,
               f"perf: the other header: {result.returncode} {result.stderr}")


def check_perf_header16(test):
    server = Server(test, "--header16")
    result = test.run_tern("perf", server.address, "--upload", "100kB", "--download", "200kB",
                           "--header16", "--iterations", 2, "--json")
    test.equal(result.returncode, 0, f"perf --header16: {result.stderr}")
    numbers = json.loads(result.stdout)
    test.equal((numbers["uploaded_bytes"], numbers["downloaded_bytes"]), (200000, 400000),
               "perf --header16: what has moved")
    result = test.run_tern("perf", server.address, "--upload", "100kB", "--header16",
                           "--duration", 1)
    test.equal(result.returncode, 64, "perf --header16: the size must be known")
    test.equal(server.end(signal.SIGINT)[0], 0, "perf --serve: a signal ends it in good order")


def check_silence(test):
    """A peer that is there and says nothing any more: it is stopped, and goes on at the end."""
    server = Server(test)
    ping = subprocess.Popen([str(test.tern), "ping", server.address, "--count", "3", "--interval",
                             "1", "--timeout", "1"], stdout=subprocess.PIPE, text=True)
    ping.stdout.readline()
    server.process.send_signal(signal.SIGSTOP)
    out = ping.communicate(timeout=30)[0]
    test.equal(ping.returncode, 1, "ping: what is lost is told by the code")
    test.check(f"no answer from {server.peer}: seq=3" in out and "% lost" in out,
               f"ping tells what is lost: {out}")
    server.process.send_signal(signal.SIGCONT)
    perf = subprocess.Popen([str(test.tern), "perf", server.address, "--download", "1TB",
                             "--timeout", "1"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)
    server.wait_line(" gone")
    server.wait_line("connected from")
    server.process.send_signal(signal.SIGSTOP)
    err = perf.communicate(timeout=30)[1]
    test.check(perf.returncode == 124 and len(err) > 10,
               f"perf: silence is a time-out: {perf.returncode} {err}")
    server.process.send_signal(signal.SIGCONT)
    test.equal(server.end()[0], 0, "perf --serve ends in good order after all that")


def check_ways(test, server):
    server_plain = Server(test, "--secure", "plaintext", "--muxer", "yamux", "--transport", "tcp")
    for arguments, code, says in (
            (["dial", server_plain.address, "--secure", "plaintext"], 0, ""),
            (["dial", server_plain.address, "--secure", "noise,plaintext"], 0, ""),
            (["dial", server_plain.address], 69, "none of the offered"),
            (["dial", server.address, "--secure", "plaintext"], 69, "none of the offered"),
            (["dial", server.address, "--secure", "tln"], 64, 'no "tln" here; there is noise'),
            (["ping", server.address, "--muxer", "spdy"], 64, 'no "spdy" here; there is yamux'),
            (["perf", server.address, "--transport", "pigeon"], 64,
             'no "pigeon" here; there is tcp'),
            (["identify", server.address, "--transport", ""], 64, "there is tcp")):
        result = test.run_tern(*arguments)
        test.equal(result.returncode, code, f"tern {arguments}: {result.stderr}")
        test.check(says in result.stderr, f"tern {arguments} says: {result.stderr}")
    test.equal(server_plain.end()[0], 0, "perf --serve: SIGTERM ends it in good order")


def check_usage(test, server):
    taken = server.address.split("/p2p/")[0]
    for code, arguments in ((64, ["perf"]), (64, ["perf", server.address, "--serve", taken]),
                            (64, ["perf", server.address, "--upload", "1M"]),
                            (64, ["perf", server.address, "--download", "-1"]),
                            (64, ["perf", server.address, "--iterations", "0"]),
                            (64, ["perf", server.address, "--duration", "0"]),
                            (64, ["ping", server.address, "--interval", "x"]),
                            (64, ["perf", "--serve", "/ip4/127.0.0.1"]),
                            (64, ["perf", "--serve", "nowhere"]),
                            (69, ["perf", "--serve", taken]),
                            (69, ["perf", "/ip4/127.0.0.1/tcp/1"]),
                            (69, ["ping", "/ip4/127.0.0.1/tcp/1"]),
                            (64, ["dial", taken, taken])):
        result = test.run_tern(*arguments)
        test.equal(result.returncode, code, f"tern {arguments}: {result.stderr}")
        test.check(len(result.stderr) > 10, f"tern {arguments} says why")


def check_node(test):
    _, authority = test.key("authority")
    node = test.node("node", test.genesis(authorities=[authority]))
    node.start()
    result = test.run_tern("perf", node.address(), "--upload", "1kB")
    test.check(result.returncode == 1 and "does it serve perf" in result.stderr,
               f"a node serves no perf: {result.returncode} {result.stderr}")
    identity = json.loads(test.run_tern("--json", "identify", node.address()).stdout)
    test.check("/perf/1.0.0" not in identity["protocols"], "a node does not offer perf")
    test.equal(node.stop(), 0, "the node ends well")
    node.start("--perf", "--transports", "tcp", "--secure", "noise", "--muxers", "yamux")
    result = test.run_tern("perf", node.address(), "--upload", "1MiB", "--download", "1MiB",
                           "--iterations", 1, "--json")
    test.equal(result.returncode, 0, f"a node with --perf: {result.stderr}")
    test.equal(json.loads(result.stdout)["downloaded_bytes"], 1 << 20, "a node with --perf answers")
    test.equal(node.stop(), 0, "the node ends well")


def check_settings(test):
    for flags, says in ((["--transports", "tcp,pigeon"], 'no "pigeon" here; there is tcp'),
                        (["--secure", "none"], "network.secure: there is no"),
                        (["--muxers", ""], "network.muxers: there is no")):
        result = subprocess.run([str(test.ternd), *flags, "--check-config"], capture_output=True,
                                text=True, timeout=30, check=False)
        test.check(result.returncode == 78 and says in result.stderr,
                   f"ternd {flags}: {result.returncode} {result.stderr}")
    path = test.folder / "ways.yaml"
    path.write_text("network:\n  secure: [noise]\n  muxers:\n    - spdy\n  perf: true\n")
    result = subprocess.run([str(test.ternd), "--config", path, "--check-config"],
                            capture_output=True, text=True, timeout=30, check=False)
    test.check(result.returncode == 78 and "ways.yaml:3: network.muxers" in result.stderr,
               f"ternd's file: {result.stderr}")
    result = subprocess.run([str(test.ternd), "--config", path, "--muxers", "yamux",
                             "--print-config"], capture_output=True, text=True, timeout=30,
                            check=False)
    test.check('secure: ["noise"]' in result.stdout and 'muxers: ["yamux"]' in result.stdout
               and "perf: true" in result.stdout, f"ternd prints the ways: {result.stdout}")


def key_file(test, name, text, mode=0o600):
    path = test.folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def check_private_network(test):
    head = "/key/swarm/psk/1.0.0/\n/base16/\n"
    ours = key_file(test, "swarm.key", head + "11" * 32 + "\n")
    other = key_file(test, "other.key", head + "22" * 32 + "\n")
    seen = key_file(test, "seen.key", head + "11" * 32 + "\n", 0o644)
    broken = key_file(test, "broken.key", head + "11" * 31 + "\n")
    server = Server(test, "--psk", str(ours))
    try:
        for flags, code in (([ours], 0), ([], 69), ([other], 69), ([seen], 77), ([broken], 65),
                            (["/nonexistent"], 66)):
            flags = ["--psk", *flags] if flags else []
            result = test.run_tern("ping", server.address, "--count", 1, "--timeout", 5, *flags)
            test.equal(result.returncode, code, f"ping in a private network {flags}: "
                                                f"{result.stderr}")
            test.check(code != 69 or not flags or "another network" in result.stderr,
                       f"another network is said: {result.stderr}")
        quic = re.sub(r"/tcp/([0-9]+)", r"/udp/\1/quic-v1", server.address)
        result = test.run_tern("dial", quic, server.address, "--explain", "--psk", ours)
        test.check(result.returncode == 0 and "private network's key" in result.stdout,
                   f"what the network rules out: {result.stdout} {result.stderr}")
    finally:
        code, _, _ = server.end()
    test.equal(code, 0, "perf --serve in a private network ends in good order")
    genesis = test.genesis(authorities=["11" * 32])
    for flags, code, says in ((["--private-network-key", seen], 77, "can be read by others"),
                              (["--private-network-key", broken], 78, "no private network's key"),
                              (["--private-network-key", "/nonexistent"], 74, "/nonexistent"),
                              (["--private-network-key", ours, "--listen",
                                "/ip4/127.0.0.1/udp/0/quic-v1"], 78, "private network's key")):
        result = subprocess.run([test.ternd, "--data-dir", test.folder / "p", "--genesis", genesis,
                                 "--api", "127.0.0.1:0", *flags], capture_output=True, text=True,
                                timeout=30, check=False)
        test.check(result.returncode == code and says in result.stderr,
                   f"ternd {flags}: {result.returncode} {result.stderr}")


def body(test):
    server = Server(test)
    try:
        check_ping(test, server)
        check_ping_stopped(test, server)
        check_dial(test, server)
        check_perf(test, server)
        check_perf_header16(test)
        check_silence(test)
        check_ways(test, server)
        check_usage(test, server)
    finally:
        code, out, err = server.end()
    test.equal((code, err), (0, ""), "perf --serve ends in good order")
    test.check(re.search(r"^\S+ connected from /ip4/127\.0\.0\.1/tcp/[0-9]+$", out, re.M),
               "perf --serve tells who connects")
    check_node(test)
    check_settings(test)
    check_private_network(test)


harness.run("connections", body)
