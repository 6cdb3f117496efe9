"""Gossip through a full mesh of four processes: one floods, three count what they are given."""

import time

from driver.peer import Failure, Peer

NODES = 4
TOPIC = "bench"
MESH_TIMEOUT_S = 30
FLOOD_TIMEOUT_S = 60
QUIET_S = 2.0  # nothing new for so long: what is missing now is lost


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


def wait_delivered(peers, count):
    """What each received, when all have all or nothing more comes."""
    last, since = None, time.monotonic()
    while True:
        told = [peer.ask("received", topic=TOPIC) for peer in peers]
        counts = [t["count"] for t in told]
        if min(counts) >= count or (counts == last and time.monotonic() - since > QUIET_S):
            return told
        if counts != last:
            last, since = counts, time.monotonic()
        time.sleep(0.1)


def one_flood(name, program, policy, count, size):
    peers = []
    try:
        for _ in range(NODES):
            peers.append(start(name, program, policy, count))
        connect(peers)
        wait_mesh(peers)
        cpu = sum(peer.ask("cpu")["cpu_seconds"] for peer in peers)
        flood = peers[0].ask("flood", FLOOD_TIMEOUT_S, topic=TOPIC, count=count, size=size, seed=1)
        told = wait_delivered(peers[1:], count)
        cpu = sum(peer.ask("cpu")["cpu_seconds"] for peer in peers) - cpu
        for peer in peers:
            peer.end(by_quit=True)
    finally:
        for peer in peers:
            peer.kill()
    delivered = sum(t["count"] for t in told)
    if delivered == 0:
        raise Failure(f"{name}: nothing was delivered")
    seconds = (max(t["last_ns"] for t in told) - flood["start_ns"]) / 1e9
    return {"published": count / ((flood["end_ns"] - flood["start_ns"]) / 1e9),
            "carried": delivered / (NODES - 1) / seconds, "delivered": delivered / seconds,
            "lost": 100 * (1 - delivered / (count * (NODES - 1))),
            "cpu_us": cpu / delivered * 1e6}


def floods(programs, sizes, results, policy, count, key):
    print(f"{count} messages of {sizes.gossip_size} B through {NODES} nodes, {policy}",
          flush=True)
    failed = set()
    for turn in range(sizes.gossip_rounds):
        for name, program in programs.peer.items():
            if name in failed:
                continue
            try:
                told = one_flood(name, program, policy, count, sizes.gossip_size)
            except (Failure, KeyError, TypeError) as failure:
                failed.add(name)
                results.fail(name, f"gossip: {failure}")
                continue
            for what, value in told.items():
                results.add(f"{key}_{what}", name, value)
            print(f"  {turn + 1}/{sizes.gossip_rounds} {name:5} "
                  f"{told['published']:.0f} published/s, {told['delivered']:.0f} delivered/s, "
                  f"{told['lost']:.2f} % lost, {told['cpu_us']:.1f} CPU us each", flush=True)


def unsigned(programs, sizes, results):
    floods(programs, sizes, results, "strict-no-sign", sizes.gossip_messages, "gossip")


def signed(programs, sizes, results):
    floods(programs, sizes, results, "strict-sign", sizes.gossip_signed_messages, "signed")
