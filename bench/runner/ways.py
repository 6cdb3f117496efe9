"""The ways to connect that benches compare, and what the programs call them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Way:
    key: str
    name: str  # in tables
    transport: str
    secure: str = "noise"

    def options(self):
        return ["--transport", self.transport, "--secure", self.secure]

    def listen(self):
        return "/ip4/127.0.0.1/" + {"tcp": "tcp/0", "ws": "tcp/0/ws",
                                    "quic-v1": "udp/0/quic-v1",
                                    "quic-raw": "udp/0/quic-v1"}[self.transport]


TCP = Way("tcp", "TCP + Noise", "tcp")
TLS = Way("tls", "TCP + TLS", "tcp", "tls")
WS = Way("ws", "WebSocket + Noise", "ws")
QUIC = Way("quic", "QUIC", "quic-v1")
ALL = (TCP, TLS, WS, QUIC)
IN_MEMORY = {"tcp": "tcp+noise", "tls": "tcp+tls", "ws": "ws+noise", "quic": "quic"}  # by key
BY_LIBRARIES = (TLS, QUIC)  # whose handshake libraries make

# The libraries below go's and rust's QUIC, alone: they stand beside what is measured over QUIC.
RAW = Way("quic", "QUIC alone", "quic-raw")
LIBRARIES = {"quic-go": "go", "quinn": "rust"}  # whose program has them
