"""What connections are made of, and which implementation has what of it."""

import itertools
import typing

BYTE_STREAMS = ("tcp", "ws", "wss")
SESSIONS = ("quic-v1", "webtransport", "webrtc-direct")
TRANSPORTS = BYTE_STREAMS + SESSIONS
SECURE = ("noise", "tls")
MUXERS = ("yamux", "mplex")

LISTEN = {
    "tcp": "tcp/0",
    "ws": "tcp/0/ws",
    "wss": "tcp/0/tls/ws",
    "quic-v1": "udp/0/quic-v1",
    "webtransport": "udp/0/quic-v1/webtransport",
    "webrtc-direct": "udp/0/webrtc-direct",
}


class Stack(typing.NamedTuple):
    """A transport, and the secure channel and muxer on it where it has none of its own."""

    transport: str
    secure: str | None = None
    muxer: str | None = None

    def __str__(self):
        return "+".join(part for part in self if part)

    def arguments(self):
        """The options of the contract's peers."""
        words = ["--transport", self.transport]
        for name, value in (("--secure", self.secure), ("--muxer", self.muxer)):
            words += [name, value] if value else []
        return words

    def listen(self, ip):
        return f"/ip4/{ip}/{LISTEN[self.transport]}"


STACKS = [*(Stack(*parts) for parts in itertools.product(BYTE_STREAMS, SECURE, MUXERS)),
          *(Stack(transport) for transport in SESSIONS)]
PLAIN = Stack("tcp", "noise", "yamux")


class Implementation(typing.NamedTuple):
    transports: tuple
    secure: tuple
    muxers: tuple
    listens: bool = True

    def has(self, stack):
        return (stack.transport in self.transports
                and (stack.secure is None or stack.secure in self.secure)
                and (stack.muxer is None or stack.muxer in self.muxers))


IMPLEMENTATIONS = {
    "tern": Implementation(TRANSPORTS, SECURE, MUXERS),
    "go": Implementation(TRANSPORTS, SECURE, ("yamux",)),
    "rust": Implementation((*BYTE_STREAMS, "quic-v1", "webrtc-direct"), SECURE, MUXERS),
    "js": Implementation((*BYTE_STREAMS, "webrtc-direct"), SECURE, MUXERS),
    "chromium": Implementation(("ws", "wss", "webtransport", "webrtc-direct"), ("noise",), MUXERS,
                               listens=False),
}


def common(dialer, listener):
    """The stacks that both have, where the listener listens at all."""
    one, other = IMPLEMENTATIONS[dialer], IMPLEMENTATIONS[listener]
    return [stack for stack in STACKS if other.listens and one.has(stack) and other.has(stack)]


def parse(text):
    for stack in STACKS:
        if str(stack) == text:
            return stack
    raise ValueError(f"no stack {text!r}; there are: {' '.join(map(str, STACKS))}")


class Pattern(typing.NamedTuple):
    """Cells of the matrix: "*" is any."""

    dialer: str
    listener: str
    transport: str
    case: str

    def concerns(self, dialer, listener, stack, case):
        return all(pattern in ("*", value) for pattern, value in (
            (self.dialer, dialer), (self.listener, listener),
            (self.transport, stack.transport), (self.case, case)))


class KnownFailure(typing.NamedTuple):
    """What another implementation cannot do. The driver checks that it still cannot."""

    cells: tuple
    reason: str
    link: str


KNOWN_FAILURES = (
    KnownFailure(
        tuple(Pattern(*sides, "webrtc-direct", case) for case in ("exchange", "perf")
              for sides in (("rust", "*"), ("*", "rust"))),
        "rust-libp2p's WebRTC Direct sends messages larger than it allows itself",
        "https://github.com/libp2p/rust-libp2p/issues/6557"),
)

# A cell with a stock peer is tried again once; what the first attempt said is printed.
ATTEMPTS_WITH_OTHERS = 2

# What another implementation does only most of the time: so many attempts, and why.
UNSTEADY = tuple(
    (Pattern(*sides, "webrtc-direct", case), 4,
     "rust-libp2p's WebRTC Direct sometimes misses the first data channel")
    for case in ("transport", "transport-older") for sides in (("rust", "*"), ("*", "rust")))


def known_failure(dialer, listener, stack, case):
    for failure in KNOWN_FAILURES:
        if any(cells.concerns(dialer, listener, stack, case) for cells in failure.cells):
            return failure
    return None


def attempts(dialer, listener, stack, case):
    for cells, count, _ in UNSTEADY:
        if cells.concerns(dialer, listener, stack, case):
            return count
    return 1 if dialer == listener == "tern" else ATTEMPTS_WITH_OTHERS
