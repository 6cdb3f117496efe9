#!/usr/bin/env python3
"""Kills a node that makes blocks, again and again, at moments drawn from a seed; after each restart
every block that the API had shown as head must be there.

One authority makes blocks every 100 ms, so that no other node can hand a lost block back, and no
better chain can replace one."""
import json
import os
import threading
import time

import harness

KILLS = int(os.environ.get("TERN_KILLS", "30"))


class Watcher(threading.Thread):
    """Asks for the head as fast as it can and notes all that it sees."""

    def __init__(self, url):
        super().__init__()
        self.api = harness.Api(url)
        self.seen = {}
        self.ending = False

    def run(self):
        while not self.ending:
            try:
                answer = self.api.get("/v1/head")
                if answer.status == 200:
                    head = answer.json
                    self.seen[head["height"]] = head["hash"]
            except (OSError, harness.http.client.HTTPException, json.JSONDecodeError):
                return


def check_seen(test, node, seen, round_number):
    head = node.api.get("/v1/head").json
    top = max(seen, default=0)
    test.check(head["height"] >= top,
               f"round {round_number}: height {top} was shown, {head['height']} is there")
    for height, block_hash in sorted(seen.items()):
        if height == 0:
            continue
        answer = node.api.get(f"/v1/blocks/{height}?form=header")
        found = answer.json.get("hash") if answer.status == 200 else None
        test.equal(found, block_hash, f"round {round_number}: block {height}")


def body(test):
    choose = harness.seed()
    _, authority = test.key("authority")
    payer_key, payer = test.key("payer")
    _, payee = test.key("payee")
    genesis = test.genesis(period_ms=100, authorities=[authority],
                           accounts=[{"key": payer, "balance": 10 ** 12}])
    node = test.node("node", genesis, "--key-file", str(test.folder / "authority"))
    node.start()
    shown = {}
    for round_number in range(1, KILLS + 1):
        watcher = Watcher(node.place["api"])
        watcher.start()
        until = time.monotonic() + choose.uniform(0.05, 1.2)
        sent = 0
        while time.monotonic() < until:
            if sent < 3 or round_number % 5 == 0:
                test.run_tern("--api", node.place["api"], "tx", "send", "transfer", "--key",
                              payer_key, "--to", payee, "--amount", 1)
                sent += 1
            else:
                time.sleep(0.005)
        node.kill()
        watcher.ending = True
        watcher.join()
        shown.update(watcher.seen)
        node.start()
        check_seen(test, node, watcher.seen, round_number)
    check_seen(test, node, shown, "all")
    test.check(len(shown) > KILLS, f"{len(shown)} heads were seen in {KILLS} rounds")
    test.check(node.api.post("/v1/validate").json["valid"], "the whole chain is valid at the end")
    test.check(node.api.get("/v1/audit").json["balanced"], "the books balance at the end")
    print(f"{KILLS} kills, {len(shown)} different heads shown, none lost"
          if not test.failures else "blocks were lost")
    test.equal(node.stop(), 0, "the exit code of a clean end")


harness.run("kill", body)
