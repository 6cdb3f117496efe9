#!/usr/bin/env python3
"""Walks all of the API and the command line against real nodes, with good and bad requests."""
import json
import re
import stat
import subprocess
import time

import harness

HEX64 = re.compile(r"^[0-9a-f]{64}$")


def check_reads(test, node):
    api = node.api
    status = api.get("/v1/status").json
    test.equal(status["peer_id"], node.place["peer_id"], "status: peer id")
    test.equal(status["chain"], "test", "status: chain")
    test.check(HEX64.match(status["genesis"]) is not None, "status: genesis")
    test.check(status["authority"] and status["ready"], "status: an authority, ready")
    test.check(api.get("/v1/health").json["healthy"], "health")
    test.equal(api.get("/v1/peers").json, {"peers": []}, "peers: none yet")
    head = api.get("/v1/head").json
    by_height = api.get(f"/v1/blocks/{head['height']}").json
    test.equal(by_height["hash"], head["hash"], "block by height")
    by_hash = api.get(f"/v1/blocks/{head['hash']}").json
    test.equal(by_hash["height"], head["height"], "block by hash")
    parent = api.get(f"/v1/blocks/{by_hash['height'] - 1}").json if head["height"] > 1 else None
    if parent is not None:
        test.equal(by_hash["parent"], parent["hash"], "block's parent")
    header = api.get(f"/v1/blocks/{head['height']}?form=header").json
    test.check("txs" not in header and "hex" not in header, "block: the header alone")
    test.equal(api.ask("HEAD", "/v1/status").status, 200, "HEAD")


BAD = [
    ("GET", "/", None, None, 404, "no_route"),
    ("GET", "/v1/nothing", None, None, 404, "no_route"),
    ("GET", "/v1/blocks/", None, None, 404, "no_route"),
    ("GET", "/v1/blocks/1/2", None, None, 404, "no_route"),
    ("GET", "/v1/blocks/abc", None, None, 400, "block"),
    ("GET", "/v1/blocks/-1", None, None, 400, "block"),
    ("GET", "/v1/blocks/18446744073709551616", None, None, 400, "block"),
    ("GET", "/v1/blocks/999999999", None, None, 404, "no_block"),
    ("GET", "/v1/blocks/" + "0" * 64, None, None, 404, "no_block"),
    ("GET", "/v1/blocks/" + "g" * 64, None, None, 400, "block"),
    ("GET", "/v1/blocks/1?form=xml", None, None, 400, "form"),
    ("GET", "/v1/accounts/12", None, None, 400, "account"),
    ("GET", "/v1/accounts/" + "0" * 64 + "?hour=x", None, None, 400, "hour"),
    ("POST", "/v1/status", "x", None, 405, "method"),
    ("DELETE", "/v1/head", None, None, 405, "method"),
    ("PUT", "/v1/transactions", "{}", None, 405, "method"),
    ("GET", "/v1/transactions", None, None, 405, "method"),
    ("GET", "/v1/validate", None, None, 405, "method"),
    ("POST", "/metrics", "x", None, 405, "method"),
    ("GET", "/v1/status", None, {"Host": "evil.example"}, 403, "host"),
    ("GET", "/v1/status", None, {"Host": "127.0.0.1.evil.example"}, 403, "host"),
    ("GET", "/v1/status", None, {"Origin": "http://evil.example"}, 403, "origin"),
    ("GET", "/v1/status", None, {"Origin": "null"}, 403, "origin"),
    ("POST", "/v1/transactions", "", None, 400, "empty"),
    ("POST", "/v1/transactions", "{}", None, 415, "type"),
    ("POST", "/v1/transactions", "{", {"Content-Type": "application/json"}, 400, "json"),
    ("POST", "/v1/transactions", "[]", {"Content-Type": "application/json"}, 400, "json"),
    ("POST", "/v1/transactions", '{"kind":"ask","kind":"bid"}',
     {"Content-Type": "application/json"}, 400, "json"),
    ("POST", "/v1/transactions", "[" * 5000, {"Content-Type": "application/json"}, 400, "json"),
    ("POST", "/v1/transactions", {}, None, 400, "transaction"),
    ("POST", "/v1/transactions", {"kind": "theft"}, None, 400, "transaction"),
    ("POST", "/v1/transactions", {"kind": "transfer", "nonce": -1, "fee": 1}, None, 400,
     "transaction"),
    ("POST", "/v1/transactions", {"hex": "zz"}, None, 400, "hex"),
    ("POST", "/v1/transactions", {"hex": "00"}, None, 400, "transaction"),
    ("POST", "/v1/transactions", {"hex": "00" * 4000}, None, 400, "hex"),
    ("POST", "/v1/transactions", b"\0" * 100, {"Content-Type": "application/octet-stream"}, 400,
     "transaction"),
    ("POST", "/v1/transactions", b"\0" * 100000, {"Content-Type": "application/octet-stream"}, 413,
     "too_large"),
    ("POST", "/v1/blocks", {"hex": "00"}, None, 400, "CHAIN_BLOCK_MALFORMED"),
    ("POST", "/v1/blocks", {"height": 1}, None, 400, "hex"),
    ("POST", "/v1/blocks", b"\0" * 5000000, {"Content-Type": "application/octet-stream"}, 413,
     "too_large"),
    ("POST", "/v1/validate?peer=nobody", None, None, 400, "peer"),
]


def check_refusals(test, node):
    for method, path, body, headers, status, code in BAD:
        what = f"{method} {path[:60]} {str(body)[:40]}"
        api = harness.Api(node.place["api"])
        try:
            answer = api.ask(method, path, body, headers)
        except (OSError, harness.http.client.HTTPException):
            # A body that is refused by its length may find the connection closed while it is sent.
            test.check(status == 413, f"{what}: the connection ended")
            continue
        finally:
            api.close()
        test.equal(answer.status, status, what)
        error = answer.json.get("error", {})
        test.equal(error.get("code"), code, what)
        test.check(len(error.get("message", "")) > 5, f"{what}: a message for people")
        if status == 405:
            test.check(answer.headers.get("Allow") is not None, f"{what}: Allow")
    test.equal(node.api.get("/v1/health").status, 200, "the node is well after all that")


def tern(test, node, *arguments):
    return test.run_tern("--api", node.place["api"], *arguments)


def balance(node, account):
    return node.api.get(f"/v1/accounts/{account}").json["balance"]


def check_transfer(test, node, keys):
    before = balance(node, keys["b"][1])
    result = tern(test, node, "tx", "send", "transfer", "--key", keys["a"][0], "--to", keys["b"][1],
                  "--amount", 1000, "--fee", 7)
    test.equal(result.returncode, 0, f"tx send: {result.stderr}")
    test.wait("the transfer arrives", lambda: balance(node, keys["b"][1]) == before + 1000)
    account = node.api.get(f"/v1/accounts/{keys['a'][1]}").json
    test.equal(account["nonce"], 1, "the payer's nonce")
    again = tern(test, node, "tx", "send", "transfer", "--key", keys["a"][0], "--to", keys["b"][1],
                 "--amount", 1000, "--nonce", 0)
    test.equal(again.returncode, 1, "an old nonce is refused")
    rich = tern(test, node, "tx", "send", "transfer", "--key", keys["a"][0], "--to", keys["b"][1],
                "--amount", 10 ** 15)
    test.equal(rich.returncode, 1, "more than the balance is refused")
    dry = tern(test, node, "tx", "send", "transfer", "--key", keys["a"][0], "--to", keys["b"][1],
               "--amount", 5, "--dry-run")
    tx = json.loads(dry.stdout)
    tx["amount"] = 6
    answer = node.api.post("/v1/transactions", tx)
    test.equal(answer.status, 422, "a changed amount breaks the signature")
    tx["amount"] = 5
    test.equal(node.api.post("/v1/transactions", tx).status, 200, "the signed one is taken")
    answer = node.api.post("/v1/transactions", tx)
    test.check(answer.status in (200, 422), "the same again is known, or its nonce is used up")


def check_market(test, node, keys):
    hour = int(time.time()) // 3600 - 1
    expires = int(time.time() * 1000) + 600000
    result = tern(test, node, "tx", "send", "reading", "--key", keys["meter"][0], "--hour", hour,
                  "--energy", 5000)
    test.equal(result.returncode, 0, f"reading: {result.stderr}")
    energy = f"/v1/accounts/{keys['a'][1]}?hour={hour}"
    test.wait("the reading is booked",
              lambda: node.api.get(energy).json["energy"]["measured_wh"] == 5000)
    for kind, key, price in (("ask", "a", 100), ("bid", "b", 200)):
        result = tern(test, node, "tx", "send", kind, "--key", keys[key][0], "--hour", hour,
                      "--energy", 3000, "--price", price, "--expires", expires)
        test.equal(result.returncode, 0, f"{kind}: {result.stderr}")
    test.wait("the energy is sold",
              lambda: node.api.get(energy).json["energy"]["sold_wh"] == 3000)
    hours = [row for row in node.api.get("/v1/market").json["hours"] if row["hour"] == hour]
    test.equal(len(hours), 1, "the market tells of the hour")
    test.check(100 <= hours[0]["price"] <= 200, f"the price is between the limits: {hours}")
    market = node.api.get("/v1/status").json["market"]
    test.equal((market["last_price"], market["traded_wh"]), (hours[0]["price"], 3000),
               "status: last price and traded energy")
    audit = node.api.get("/v1/audit").json
    test.check(audit["balanced"], f"the audit: {audit}")
    test.equal(audit["money"]["accounts"] + audit["money"]["escrow"], audit["money"]["supply"],
               "money is what it was")
    test.equal(audit["energy"]["sold_wh"], audit["energy"]["bought_wh"], "sold is bought")


def check_blocks(test, node):
    height = node.api.get("/v1/head").json["height"]
    raw = bytes.fromhex(node.api.get(f"/v1/blocks/{height}?form=hex").json["hex"])
    answer = node.api.post("/v1/blocks", {"hex": raw.hex()})
    test.equal((answer.status, answer.json.get("known")), (200, True), "a known block, as hex")
    answer = node.api.post("/v1/blocks", raw, {"Content-Type": "application/octet-stream"})
    test.equal((answer.status, answer.json.get("known")), (200, True), "a known block, as bytes")
    broken = bytearray(raw)
    broken[80] ^= 1  # in the transactions' root
    answer = node.api.post("/v1/blocks", {"hex": bytes(broken).hex()})
    test.equal(answer.status, 422, f"a broken block: {answer.body}")
    answer = node.api.post("/v1/validate")
    test.check(answer.json["valid"] and answer.json["height"] >= height, "the chain is valid")


def check_metrics(test, node):
    text = node.api.get("/metrics").body.decode()
    line = re.compile(r'^[a-z_:][a-z0-9_:]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9]+$')
    bad = [row for row in text.splitlines() if not row.startswith("#") and not line.match(row)]
    test.equal(bad, [], "metrics: the form of each line")
    types = re.findall(r"^# TYPE (\S+)", text, re.M)
    test.equal(len(types), len(set(types)), "metrics: each name has one type")
    for name in ("tern_chain_height", "tern_faults_total", "tern_api_requests_total",
                 "libp2p_swarm_connections_opened_total"):
        test.check(name in types, f"metrics: {name}")


def check_peers(test, node, other):
    test.wait("the second node connects",
              lambda: len(node.api.get("/v1/peers").json["peers"]) == 1)
    peer = node.api.get("/v1/peers").json["peers"][0]
    test.equal(peer["peer_id"], other.place["peer_id"], "peers: who it is")
    test.equal([peer["transport"], peer["secure"], peer["muxer"]], ["tcp", "noise", "yamux"],
               "peers: how it is connected")
    test.check("tcp noise yamux" in tern(test, node, "peers").stdout, "tern peers: how")
    test.wait("the second node catches up",
              lambda: other.api.get("/v1/head").json["height"]
              >= node.api.get("/v1/head").json["height"] - 1)
    height = other.api.get("/v1/head").json["height"]
    test.equal(other.api.get(f"/v1/blocks/{height}").json["hash"],
               node.api.get(f"/v1/blocks/{height}").json["hash"], "both hold the same block")
    answer = other.api.post(f"/v1/validate?peer={node.place['peer_id']}")
    test.check(answer.status == 200 and answer.json["valid"], f"a peer's chain: {answer.body}")


def check_commands(test, node):
    for arguments in (["status"], ["peers"], ["chain", "head"], ["chain", "block", "1"],
                      ["chain", "validate"], ["market"], ["audit"],
                      ["ping", node.address(), "--count", "2"], ["dial", node.address()],
                      ["identify", node.address()]):
        result = tern(test, node, *arguments)
        test.equal(result.returncode, 0, f"tern {arguments}: {result.stderr}")
        test.check(len(result.stdout) > 10, f"tern {arguments} says something")
        result = tern(test, node, "--json", *arguments)
        test.equal(result.returncode, 0, f"tern --json {arguments}: {result.stderr}")
        test.check(isinstance(json.loads(result.stdout), dict), f"tern --json {arguments}")
    identity = json.loads(tern(test, node, "--json", "identify", node.address()).stdout)
    test.equal(identity["peer_id"], node.place["peer_id"], "identify: who it is")
    test.check("/ipfs/ping/1.0.0" in identity["protocols"], "identify: protocols")
    by_folder = test.run_tern("--data-dir", node.folder, "status")
    test.equal(by_folder.returncode, 0, "tern finds the node by its folder")
    for code, arguments in ((64, []), (64, ["nonsense"]), (64, ["chain", "block"]),
                            (64, ["chain", "block", "x"]), (64, ["--bogus"]),
                            (1, ["chain", "block", "99999999"]),
                            (64, ["tx", "send", "theft", "--key", "k"]),
                            (66, ["key", "show", "/nonexistent"]),
                            (66, ["genesis", "show", "/nonexistent"]),
                            (64, ["dial", "/ip4/1.2.3.4/nonsense/1"]),
                            (69, ["dial", "/ip4/127.0.0.1/tcp/1"])):
        result = tern(test, node, *arguments)
        test.equal(result.returncode, code, f"tern {arguments}: {result.stderr}")
    result = test.run_tern("--api", "http://127.0.0.1:1", "status")
    test.equal(result.returncode, 69, "no node answers")


def ternd_ends(test, *flags):
    return subprocess.run([str(test.ternd), *map(str, flags)], capture_output=True, text=True,
                          timeout=30, check=False)


def check_files(test, node, genesis):
    mode = stat.S_IMODE((test.folder / "a").stat().st_mode)
    test.equal(mode, 0o600, "a new key's mode")
    unsafe = test.folder / "unsafe"
    unsafe.write_bytes((test.folder / "a").read_bytes())
    unsafe.chmod(0o644)
    result = ternd_ends(test, "--data-dir", test.folder / "x", "--genesis", genesis, "--key-file",
                        unsafe, "--api", "127.0.0.1:0")
    test.equal(result.returncode, 77, f"a key that others can read: {result.stderr}")
    result = ternd_ends(test, "--data-dir", node.folder, "--genesis", genesis, "--api",
                        "127.0.0.1:0")
    test.check(result.returncode == 74 and len(result.stderr) > 10,
               f"a folder that another node uses: {result.returncode} {result.stderr}")
    taken = node.place["api"].removeprefix("http://")
    result = ternd_ends(test, "--data-dir", test.folder / "y", "--genesis", genesis, "--api", taken,
                        "--listen", "/ip4/127.0.0.1/tcp/0")
    test.check(result.returncode == 69 and taken in result.stderr,
               f"an address that is taken: {result.returncode} {result.stderr}")
    other = test.genesis("other.json", name="other", authorities=["11" * 32])
    node.stop()
    result = ternd_ends(test, "--data-dir", node.folder, "--genesis", other, "--api",
                        "127.0.0.1:0")
    test.check(result.returncode in (74, 78) and len(result.stderr) > 10,
               f"the store of another chain: {result.returncode} {result.stderr}")
    node.start()


SETTINGS = [
    ("data_dirr: x\n", "1"), ("network:\n  profile: big\n", "2"), ("network: 3\n", "1"),
    ("data_dir: x\napi:\n  address: nowhere\n", "3"), ("api:\n  body_max_kib: 0\n", "2"),
    ("network:\n  listen: [/ip4/300.1.1.1/tcp/1]\n", "2"), ("network: [\n", "2"),
    ("network:\n  bootstrap: [/ip4/192.0.2.1/tcp/1]\n", "2"),
    ("log:\n  level: info\npropose: maybe\n", "3"),
]


def check_settings(test):
    path = test.folder / "settings.yaml"
    for text, line in SETTINGS:
        path.write_text(text)
        result = ternd_ends(test, "--config", path, "--check-config")
        test.equal(result.returncode, 78, f"settings {text!r}")
        test.check(f"settings.yaml:{line}:" in result.stderr,
                   f"settings {text!r} name the line: {result.stderr}")
    path.write_text("log:\n  level: debug\napi:\n  address: 127.0.0.1:5\n")
    printed = ternd_ends(test, "--config", path, "--log-level", "warn", "--print-config").stdout
    test.check("level: warn" in printed and "127.0.0.1:5" in printed, "flags win over the file")
    path.write_text(printed)
    again = ternd_ends(test, "--config", path, "--print-config").stdout
    test.check(len(again) > 100 and again.splitlines()[2:] == printed.splitlines()[2:],
               "what is printed reads back the same")
    for flags, code in ((["--bogus"], 64), (["extra"], 64), (["--help"], 0), (["--version"], 0),
                        (["--explain-limits"], 0), (["--config", "/nonexistent"], 78)):
        test.equal(ternd_ends(test, *flags).returncode, code, f"ternd {flags}")


def body(test):
    keys = {name: test.key(name) for name in ("authority", "a", "b", "meter")}
    genesis = test.genesis(
        authorities=[keys["authority"][1]],
        accounts=[{"key": keys[name][1], "balance": 10 ** 9} for name in ("a", "b")],
        devices=[{"key": keys["meter"][1], "owner": keys["a"][1], "capacity_wh": 100000}])
    check_settings(test)
    node = test.node("node", genesis, "--key-file", str(keys["authority"][0]))
    node.start()
    test.wait("blocks are made", lambda: node.api.get("/v1/head").json["height"] >= 2)
    check_reads(test, node)
    check_refusals(test, node)
    check_transfer(test, node, keys)
    check_market(test, node, keys)
    check_blocks(test, node)
    check_metrics(test, node)
    other = test.node("other", genesis, "--bootstrap", node.address())
    other.start()
    check_peers(test, node, other)
    check_commands(test, node)
    test.equal(other.stop(), 0, "the second node ends well")
    check_files(test, node, genesis)
    height = node.api.get("/v1/head").json["height"]
    test.check(height >= 2, "the chain is there after a restart")
    test.equal(node.stop(), 0, "the node ends well")
    node.start("--no-propose")
    height = node.api.get("/v1/head").json["height"]
    test.check(not node.api.get("/v1/status").json["authority"], "--no-propose: no authority")
    time.sleep(1)
    test.equal(node.api.get("/v1/head").json["height"], height, "--no-propose: no blocks")
    test.equal(node.stop(), 0, "the node ends well")
    test.check(not (node.folder / "ternd.json").exists(), "ternd.json goes with the node")


harness.run("api", body)
