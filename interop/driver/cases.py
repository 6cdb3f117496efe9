"""The cases that a dialer and a listener of our own contract go through.

A case raises Failure, or says how it went. All but exchange run on loopback.
"""

import contextlib
import hashlib
import pathlib
import tempfile
import time

from .peer import Failure, Peer
from .stacks import IMPLEMENTATIONS, SESSIONS, attempts

KEYS = ("ed25519", "secp256k1", "ecdsa", "rsa")
CASES = ("handshake", "identify", "ping", "echo", "gossip", "gossip-no-sign", "private", "exchange")
LOOPBACK = "127.0.0.1"

# The listener's seed, and the peer ids every implementation must derive from it.
SEED = "5a" * 32
SEED_PEER_IDS = {
    "ed25519": "12D3KooWAiuDqrAu34MJemTVcjU4AtGeryEYP7BRcPRvQtkK87sm",
    "secp256k1": "16Uiu2HAm5wvvZDwbfEweEcF4e5op1FUDw6oj7eMHFaDvWcrb5hrE",
    "ecdsa": "Qmci89TDnL1NDYsFQmzAXT7RMTLs9PtnXNXrBXbE6U6vbs",
}

# What a stock implementation cannot do, with the reason. The driver checks that it still refuses.
KEY_GAPS = {
    ("js", "ecdsa"): "js-libp2p 3 has no ECDSA peer ids, neither its own nor a remote's",
}

# Identities nobody here has: one whose id contains the key, and one whose id is the key's hash.
STRANGERS = {
    "inlined key": "12D3KooWGjSE7eCu5f1Pa8pGxscmoEcdQ5BRMGqbyMvL2dhrPCS5",
    "hashed key": "QmUPX5B1j28iUCxqj6B9daKm7QVQkt7VTGL5Sfe378gcYi",
}
STRANGER_GAPS = {
    ("js", "noise", "hashed key"): "js-libp2p 3 over Noise does not compare the identity it "
                                   "reaches with the dialed peer id if that is the hash of a key",
}

AGENTS = {"go": "go-libp2p", "rust": "rust-libp2p", "js": "js-libp2p", "tern": "tern",
          "chromium": "js-libp2p"}
MESHSUB = {"/meshsub/1.1.0", "/meshsub/1.2.0", "/meshsub/1.3.0"}
PROTOCOLS = {"/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/tern/echo/1.0.0"}

PINGS = 5
# Over its sessions rust-libp2p answers only the first ping of a stream.
PINGS_OF_RUST_SESSIONS = 1
# js-libp2p's mplex ends a connection on more than a few frames a second of streams that have ended.
PINGS_OF_JS_MPLEX = 1
ECHO_SEED = 20
ECHO_TIMEOUT_S = 180
# js-libp2p does not hold back who sends on its data channels or by mplex, and resets a stream that
# is too far ahead of it.
ECHO_OF_JS_UNHELD = 4 << 20
# The digest of the first so many bytes of the stream of ECHO_SEED.
ECHO_SHA256 = {
    64 << 20: "7b3ea93b7c3d970961a8cf636f8213965408b7229360bd875362e96dd96650aa",
    4 << 20: "c0d4482e179ed0f4264cc360304b067b75f4b03ca5dc4112db1e13fde1e947a5",
}
MESSAGE_SIZES = (8, 9, 64, 100, 511, 512, 1000, 1023, 1024, 1025, 1500, 4096, 10000, 16384, 32768,
                 65535, 65536, 100000, 200001, 256 << 10)
QUICK_MESSAGE_SIZES = (8, 100, 1024, 4096, 65536, 256 << 10)
MESH_TIMEOUT_S = 30
MESSAGES_TIMEOUT_S = 30
# A duplicate that gossip would bring comes with a heartbeat, of which there is one a second.
SETTLE_S = 2.5


def noise(seed, size):
    """The contract's byte stream: xorshift64*, little-endian words."""
    mask = (1 << 64) - 1
    state = seed or 0x9E3779B97F4A7C15
    words = []
    for _ in range((size + 7) // 8):
        state ^= state >> 12
        state ^= (state << 25) & mask
        state ^= state >> 27
        words.append(((state * 0x2545F4914F6CDD1D) & mask).to_bytes(8, "little"))
    return b"".join(words)[:size]


def require(condition, text):
    if not condition:
        raise Failure(text)


class Pair:
    """Starts peers of one dialer's and one listener's implementation and cleans up after them."""

    def __init__(self, dialer, listener, options, stack, network=None):
        """Without a network they run on loopback."""
        self.dialer, self.listener, self.options = dialer, listener, options
        self.stack, self.network = stack, network
        self.started = []
        self.versions = {}

    def start(self, implementation, role, *arguments):
        prefix, ip = [], LOOPBACK
        if self.network is not None:
            side = "listener" if role == "listener" else "dialer"
            prefix, ip = self.network.prefix(side), self.network.ips[side]
        if IMPLEMENTATIONS[implementation].listens:
            arguments = ("--listen", self.stack.listen(ip), *arguments)
        peer = Peer(f"{implementation} ({role})", self.options.peers[implementation],
                    [*self.stack.arguments(), *arguments], prefix, self.options.environment)
        self.started.append(peer)
        return peer

    def start_both(self, *arguments):
        """A fresh dialer and listener, connected."""
        dialer = self.start(self.dialer, "dialer", *arguments)
        listener = self.start(self.listener, "listener", *arguments)
        dialer.ready()
        listener.ready()
        connect(dialer, listener)
        return dialer, listener

    @contextlib.contextmanager
    def peers_end(self):
        """Within it peers run; a success includes that all of them end as the contract says."""
        try:
            yield
            for i, peer in enumerate(self.started):
                self.versions[peer.name.split()[0]] = peer.implementation
                peer.end(by_quit=i % 2 == 0)
        except Failure as failure:
            for peer in self.started:
                peer.kill()
            failure.peers = [peer.describe() for peer in self.started]
            raise
        finally:
            for peer in self.started:
                peer.kill()
            self.started = []


def connect(dialer, listener):
    answer = dialer.ask("dial", addr=listener.addrs[0])
    require(answer["peer_id"] == listener.peer_id, f"dialed {answer['peer_id']}, not the listener")
    dialer.wait_event("connected", 10, peer_id=listener.peer_id)
    listener.wait_event("connected", 10, peer_id=dialer.peer_id)
    return answer["handshake_ms"]


def endpoint(addr):
    """The part of a multiaddr that is an address and a port."""
    return "/".join((addr or "").split("/")[:5])


def run_handshake(pair, report):
    """Each key type against each; one set of peers serves all, dialing and hanging up in turn."""
    keys = [(a, b) for a in KEYS for b in KEYS if a == b or not pair.options.quick]
    with pair.peers_end():
        dialers, listeners = {}, {}
        for key in KEYS:
            seed = ("--seed", SEED) if key in SEED_PEER_IDS else ()
            if (pair.dialer, key) not in KEY_GAPS:
                dialers[key] = pair.start(pair.dialer, "dialer", "--key", key)
            if (pair.listener, key) not in KEY_GAPS:
                listeners[key] = pair.start(pair.listener, "listener", "--key", key, *seed)
        for peer in (*dialers.values(), *listeners.values()):
            peer.ready()
        for key, peer_id in SEED_PEER_IDS.items():
            if key in listeners:
                report.check(f"{key} seed", lambda: require(
                    listeners[key].peer_id == peer_id,
                    f"the seed gives {listeners[key].peer_id}, not {peer_id}"))
        for ours, theirs in keys:
            gap = KEY_GAPS.get((pair.dialer, ours)) or KEY_GAPS.get((pair.listener, theirs))
            if gap:
                check_own_gap(pair, ours, theirs, report)
                continue
            dialer, listener = dialers[ours], listeners[theirs]
            gap = KEY_GAPS.get((pair.dialer, theirs)) or KEY_GAPS.get((pair.listener, ours))
            if gap:
                report.gap(f"{ours}→{theirs}", gap, lambda: refused(dialer, listener))
            else:
                report.check(f"{ours}→{theirs}", lambda: handshake(dialer, listener))
        for kind, stranger in STRANGERS.items():
            gap = STRANGER_GAPS.get((pair.dialer, pair.stack.secure, kind))
            dialer, listener = dialers["ed25519"], listeners["rsa"]
            if gap:
                report.gap(f"wrong id, {kind}", gap, lambda: reaches_wrong(
                    dialer, listener, stranger))
            else:
                report.check(f"wrong id, {kind}", lambda: wrong_peer_id(
                    dialer, listener, stranger))


def check_own_gap(pair, ours, theirs, report):
    """A peer that cannot have such a key must say so when it starts."""
    for implementation, key in ((pair.dialer, ours), (pair.listener, theirs)):
        gap = KEY_GAPS.get((implementation, key))
        if gap:
            report.gap(f"{ours}→{theirs}", gap, lambda: starts_not(pair, implementation, key))
            return


def starts_not(pair, implementation, key):
    probe = pair.start(implementation, "probe", "--key", key)
    pair.started.remove(probe)
    try:
        probe.ready()
    except Failure:
        return
    finally:
        probe.kill()
    raise Failure(f"{implementation} started with a key of type {key}; remove the known gap")


def handshake(dialer, listener):
    for peer in (dialer, listener):
        peer.forget_events()
    took_ms = connect(dialer, listener)
    dialer.ask("ping", peer_id=listener.peer_id, count=1)
    dialer.ask("close", peer_id=listener.peer_id)
    dialer.wait_event("disconnected", 10, peer_id=listener.peer_id)
    listener.wait_event("disconnected", 10, peer_id=dialer.peer_id)
    return f"{took_ms:.1f} ms"


def refused(dialer, listener):
    """No connection comes about. Where one side learns it only later, as a listener over TLS from a
    dialer that judges after the handshake, it has to lose it."""
    for peer in (dialer, listener):
        peer.forget_events()
    answer = dialer.answer(dialer.send("dial", addr=listener.addrs[0]), 20)
    if answer["ok"]:
        dialer.wait_event("disconnected", 15, peer_id=listener.peer_id)
    if listener.has_event("connected", peer_id=dialer.peer_id):
        listener.wait_event("disconnected", 15, peer_id=dialer.peer_id)


def dial_stranger(dialer, listener, stranger):
    addr = listener.addrs[0].replace(listener.peer_id, stranger)
    return dialer.answer(dialer.send("dial", addr=addr), 20)


def wrong_peer_id(dialer, listener, stranger):
    """A dialer must not accept another identity than the one it dialed."""
    answer = dial_stranger(dialer, listener, stranger)
    require(not answer["ok"], f"the dial of {stranger} reached {answer.get('peer_id')}")


def reaches_wrong(dialer, listener, stranger):
    require(dial_stranger(dialer, listener, stranger)["ok"],
            "the dial was refused, as it should be; remove the known gap")


def run_identify(pair, report):
    with pair.peers_end():
        dialer, listener = pair.start_both()
        report.check("of the listener", lambda: identify(dialer, listener, pair.listener))
        report.check("of the dialer", lambda: identify(listener, dialer, pair.dialer))


def identify(asker, remote, implementation):
    """What the asker was told about the remote, against what the remote knows itself."""
    said = asker.ask("identify", peer_id=remote.peer_id)
    require(AGENTS[implementation] in said["agent_version"].lower(),
            f"agent_version is {said['agent_version']!r}")
    require(said["protocol_version"], "protocol_version is empty")
    missing = PROTOCOLS - set(said["protocols"])
    require(not missing, f"protocols lack {sorted(missing)}: {said['protocols']}")
    require(MESHSUB & set(said["protocols"]), f"no meshsub of v1.1 or later: {said['protocols']}")
    seen = remote.wait_event("connected", 1, peer_id=asker.peer_id)["addr"]
    require(endpoint(said["observed_addr"]) == endpoint(seen),
            f"observed_addr is {said['observed_addr']}, but the remote's connection is to {seen}")
    listens = [endpoint(addr) for addr in said["listen_addrs"]]
    require(endpoint(remote.addrs[0]) in listens,
            f"listen_addrs {said['listen_addrs']} lack {remote.addrs[0]}")
    require(isinstance(said["signed_peer_record"], bool), "signed_peer_record is not a boolean")
    record = "signed" if said["signed_peer_record"] else "no"
    return f"{said['agent_version']}, {record} peer record"


def run_ping(pair, report):
    with pair.peers_end():
        dialer, listener = pair.start_both()
        report.check("dialer pings", lambda: ping(dialer, listener))
        report.check("listener pings", lambda: ping(listener, dialer))


def ping(asker, remote, count=PINGS):
    rtts = asker.ask("ping", peer_id=remote.peer_id, count=count)["rtt_ms"]
    require(len(rtts) == count and all(0 <= rtt < 5000 for rtt in rtts), f"rtt_ms is {rtts}")
    return f"{sorted(rtts)[count // 2]:.2f} ms median"


def run_echo(pair, report):
    with pair.peers_end():
        dialer, listener = pair.start_both()
        size = (4 if pair.options.quick else 64) << 20
        report.check("dialer opens", lambda: echo(dialer, listener, size))
        report.check("listener opens", lambda: echo(listener, dialer, size))


def run_exchange(pair, report):
    """What every transport has to carry: a handshake, pings and an echo, both ways."""
    report.check(str(pair.stack), lambda: attempt_exchange(pair))


def attempt_exchange(pair):
    left = attempts(pair.dialer, pair.listener, pair.stack, "exchange")
    while True:
        left -= 1
        try:
            with pair.peers_end():
                return exchange(pair)
        except Failure as failure:
            if left == 0:
                raise
            print(f"       again, since at first: {failure}", flush=True)


def exchange(pair):
    size = (4 if pair.options.quick else 64) << 20
    count = PINGS
    if pair.stack.transport in SESSIONS and "rust" in (pair.dialer, pair.listener):
        count = PINGS_OF_RUST_SESSIONS
    js = {"js", "chromium"} & {pair.dialer, pair.listener}
    if pair.stack.muxer == "mplex" and js:
        count = PINGS_OF_JS_MPLEX
        size = min(size, ECHO_OF_JS_UNHELD)
    if pair.stack.transport == "webrtc-direct" and js:
        size = min(size, ECHO_OF_JS_UNHELD)
    dialer, listener = pair.start_both()
    for asker, remote in ((dialer, listener), (listener, dialer)):
        ping(asker, remote, count)
    rates = [echo(asker, remote, size)
             for asker, remote in ((dialer, listener), (listener, dialer))]
    return " and ".join(rates)


def echo(asker, remote, size):
    result = asker.ask("echo", ECHO_TIMEOUT_S, peer_id=remote.peer_id, size=size, seed=ECHO_SEED)
    require(result["sent"] == size, f"sent {result['sent']} of {size} bytes")
    require(result["received"] == size, f"received {result['received']} of {size} bytes")
    require(result["sha256_sent"] == ECHO_SHA256[size],
            f"the stream sent has sha256 {result['sha256_sent']}, not that of the contract's")
    require(result["sha256_received"] == result["sha256_sent"], "what came back differs")
    return f"{size / (1 << 20) / result['seconds']:.0f} MiB/s"


def run_gossip(pair, report):
    with pair.peers_end():
        peers = pair.start_both("--pubsub", "strict-sign")
        report.check("strict-sign", lambda: gossip(*peers, pair.options.quick, signed=True))


def run_gossip_no_sign(pair, report):
    with pair.peers_end():
        peers = pair.start_both("--pubsub", "strict-no-sign")
        report.check("strict-no-sign", lambda: gossip(*peers, pair.options.quick, signed=False))


def gossip(dialer, listener, quick, signed):
    topic = "interop"
    start = time.monotonic()
    for peer in (dialer, listener):
        peer.ask("subscribe", topic=topic)
    wait_meshed(dialer, listener, topic)
    wait_meshed(listener, dialer, topic)
    meshed_s = time.monotonic() - start
    expected = {dialer: [], listener: []}
    for i, size in enumerate(QUICK_MESSAGE_SIZES if quick else MESSAGE_SIZES):
        for publisher, receiver, seed in ((dialer, listener, 1), (listener, dialer, 2)):
            seed += 2 * i
            digest = hashlib.sha256(noise(seed, size)).hexdigest()
            said = publisher.ask("publish", topic=topic, size=size, seed=seed)["sha256"]
            require(said == digest, f"{publisher.name} published {said}, not the stream of {seed}")
            author = publisher.peer_id if signed else None
            expected[receiver].append((author, size, digest))
    for receiver, messages in expected.items():
        wait_messages(receiver, topic, len(messages))
    time.sleep(SETTLE_S)
    for receiver, messages in expected.items():
        got = [(m["from"], m["size"], m["sha256"]) for m in receiver.messages(topic)]
        require(sorted(got, key=str) == sorted(messages, key=str),
                f"{receiver.name} got {len(got)} messages instead of {len(messages)}, or others; "
                f"missing {set(messages) - set(got)}, unexpected {set(got) - set(messages)}")
    return f"mesh in {meshed_s:.1f} s, {sum(map(len, expected.values()))} messages"


def run_private(pair, report):
    """A private network: those who have its key, and those who have another or none."""
    with tempfile.TemporaryDirectory(prefix="tern-interop-") as folder, pair.peers_end():
        ours, other = (network_key(folder, byte) for byte in ("5a", "a5"))
        listener = pair.start(pair.listener, "listener", "--psk", ours)
        dialers = {"same key": pair.start(pair.dialer, "dialer", "--psk", ours),
                   "another key": pair.start(pair.dialer, "stranger", "--psk", other),
                   "no key": pair.start(pair.dialer, "public")}
        for peer in (listener, *dialers.values()):
            peer.ready()
        report.check("same key", lambda: private(dialers["same key"], listener))
        for name in ("another key", "no key"):
            report.check(name, lambda: refused(dialers[name], listener))


def network_key(folder, byte):
    """The file of a key, as swarm.key files are written."""
    file = pathlib.Path(folder) / byte
    file.write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{byte * 32}\n")
    return str(file)


def private(dialer, listener):
    connect(dialer, listener)
    ping(dialer, listener)
    return echo(dialer, listener, 4 << 20)


def wait_meshed(peer, other, topic):
    """Waits until the peer sees the other subscribed and, where it can tell, in its mesh."""
    deadline = time.monotonic() + MESH_TIMEOUT_S
    while True:
        seen = peer.ask("topic_peers", topic=topic)
        if other.peer_id in seen["peers"] and other.peer_id in seen.get("mesh", seen["peers"]):
            return
        require(time.monotonic() < deadline,
                f"{peer.name} has no mesh with {other.name} after {MESH_TIMEOUT_S} s: {seen}")
        time.sleep(0.1)


def wait_messages(peer, topic, count):
    deadline = time.monotonic() + MESSAGES_TIMEOUT_S
    while len(peer.messages(topic)) < count:
        if time.monotonic() >= deadline:
            return  # The comparison that follows says what is missing.
        time.sleep(0.05)


RUN = dict(zip(CASES, (run_handshake, run_identify, run_ping, run_echo, run_gossip,
                       run_gossip_no_sign, run_private, run_exchange)))
