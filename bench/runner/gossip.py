"""Gossip through a full mesh of four processes: one publishes, three count what they are given.

The publisher is held back by receipts: at most WINDOW messages are on their way. What is measured
is a rate that the mesh carries, and not how much a flood overflows whose queue.
"""

import time

from driver.peer import Failure, Peer

NODES = 4
TOPIC = "bench"
MESH_TIMEOUT_S = 30
FLOOD_TIMEOUT_S = 60
QUIET_S = 2.0  # nothing new for so long: what is missing now is lost
WINDOW = 8192
BATCH = WINDOW // 4
POLL_S = 0.002


def start(name, program, policy, queue):
    return Peer(name, program, ["--listen", "/ip4/127.0.0.1/tcp/0", "--pubsub", policy,
                                "--pubsub-queue", str(queue)]).ready()


def connect(peers):
    for i, peer in enumerate(peers):
        for other in peers[i + 1:]:
            peer.ask("dial", addr=other.addrs[0])
    for peer in peers:
        peer.ask("subscribe", topic=TOPIC, quiet=True)


def wait_mesh(peers):
    """Until everyone knows everyone else's subscription and has all of them in its mesh."""
    deadline = time.monotonic() + MESH_TIMEOUT_S
    while True:
        told = [peer.ask("topic_peers", topic=TOPIC) for peer in peers]
        if all(len(t["peers"]) == NODES - 1 and len(t.get("mesh", t["peers"])) == NODES - 1
               for t in told):
            return
        if time.monotonic() > deadline:
            raise Failure(f"{peers[0].name}: no full mesh within {MESH_TIMEOUT_S} s")
        time.sleep(0.1)


class Receipts:
    """What the subscribers say that they received."""

    def __init__(self, peers):
        self.peers = peers
        self.told = []

    def wait(self, count):
        """Until all have count messages, or nothing more comes; how many the slowest one has."""
        last, since = None, time.monotonic()
        while True:
            self.told = [peer.ask("received", topic=TOPIC) for peer in self.peers]
            counts = [told["count"] for told in self.told]
            if counts != last:
                last, since = counts, time.monotonic()
            if min(counts) >= count or time.monotonic() - since > QUIET_S:
                return min(counts)
            time.sleep(POLL_S)


def publish(publisher, receipts, count, size):
    """Publishes all, BATCH by BATCH; when the first one began."""
    published, lost, start_ns = 0, 0, None
    while published < count:
        batch = min(BATCH, count - published)
        wanted = published + batch - WINDOW - lost
        if wanted > 0:
            have = receipts.wait(wanted)
            lost += max(0, wanted - have)
        flood = publisher.ask("flood", FLOOD_TIMEOUT_S, topic=TOPIC, count=batch, size=size,
                              seed=1 + published)
        start_ns = start_ns or flood["start_ns"]
        published += batch
    receipts.wait(count - lost)
    return start_ns


def one_run(name, program, policy, count, size):
    peers = []
    try:
        for _ in range(NODES):
            peers.append(start(name, program, policy, 2 * WINDOW))
        connect(peers)
        wait_mesh(peers)
        cpu = sum(peer.ask("cpu")["cpu_seconds"] for peer in peers)
        receipts = Receipts(peers[1:])
        start_ns = publish(peers[0], receipts, count, size)
        cpu = sum(peer.ask("cpu")["cpu_seconds"] for peer in peers) - cpu
        for peer in peers:
            peer.end(by_quit=True)
    finally:
        for peer in peers:
            peer.kill()
    delivered = sum(told["count"] for told in receipts.told)
    if delivered == 0:
        raise Failure(f"{name}: nothing was delivered")
    seconds = (max(told["last_ns"] for told in receipts.told) - start_ns) / 1e9
    return {"carried": min(told["count"] for told in receipts.told) / seconds,
            "delivered": delivered / seconds,
            "lost": 100 * (1 - delivered / (count * (NODES - 1))),
            "cpu_us": cpu / delivered * 1e6}


def runs(programs, sizes, results, policy, count, key):
    print(f"{count} messages of {sizes.gossip_size} B through {NODES} nodes, {policy}",
          flush=True)
    failed = set()
    for turn in range(sizes.gossip_rounds):
        for name, program in programs.peer.items():
            if name in failed:
                continue
            try:
                told = one_run(name, program, policy, count, sizes.gossip_size)
            except (Failure, KeyError, TypeError) as failure:
                failed.add(name)
                results.fail(name, f"gossip: {failure}")
                continue
            for what, value in told.items():
                results.add(f"{key}_{what}", name, value)
            print(f"  {turn + 1}/{sizes.gossip_rounds} {name:5} "
                  f"{told['carried']:.0f} messages/s, {told['delivered']:.0f} delivered/s, "
                  f"{told['lost']:.2f} % lost, {told['cpu_us']:.1f} CPU us each", flush=True)


def unsigned(programs, sizes, results):
    runs(programs, sizes, results, "strict-no-sign", sizes.gossip_messages, "gossip")


def signed(programs, sizes, results):
    runs(programs, sizes, results, "strict-sign", sizes.gossip_signed_messages, "signed")
