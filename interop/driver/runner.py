"""test-plans' perf: a server and a client with a command line, and a key that both know."""

import json
import signal
import subprocess
import time

from .contract import END_TIMEOUT_S, TRANSPORT_TIMEOUT_S, started
from .peer import Failure, Peer
from .stacks import SESSIONS

PORT = 4001
KEY_SEED = "00" * 32
BYTES = 4 << 20
ENDLESS_BYTES = (1 << 53) - 1  # what the suite asks for, to end the client after a while
ENDLESS_S = 2.6
RESULT_MEMBERS = {"type", "timeSeconds", "uploadBytes", "downloadBytes"}


def run_perf_older(cell):
    """The client is Tern's; a stock server is a peer of our own contract with the fixed key."""
    with started(cell.network) as start:
        if cell.listener == "tern":
            server = start("server", "listener", [
                cell.program("tern"), "--run-server", "--server-address",
                f"{cell.network.ips['listener']}:{PORT}"], {})
            wait_listening(cell)
            said = ask_all(cell, start)
            server.terminate()
            return said
        place = cell.stack.listen(cell.network.ips["listener"]).replace("/0", f"/{PORT}", 1)
        stock = Peer(f"{cell.listener} (server)", cell.options.peers[cell.listener], [
            "--seed", KEY_SEED, "--listen", place, *cell.stack.arguments()],
            cell.network.prefix("listener"))
        try:
            stock.ready()
            return ask_all(cell, start)
        finally:
            stock.kill()


def wait_listening(cell):
    """The suite's servers say nothing when they are there: the kernel knows."""
    table = f"/proc/net/{'udp' if cell.stack.transport in SESSIONS else 'tcp'}"
    deadline = time.monotonic() + TRANSPORT_TIMEOUT_S
    while time.monotonic() < deadline:
        rows = subprocess.run([*cell.network.prefix("listener"), "cat", table], check=True,
                              capture_output=True, text=True).stdout
        if f":{PORT:04X} 00000000:0000 " in rows:
            return
        time.sleep(0.02)
    raise Failure(f"the server does not listen at port {PORT}")


def ask_all(cell, start):
    lines = results(ask(cell, start, BYTES, BYTES).result(TRANSPORT_TIMEOUT_S))
    final = lines[-1]
    if final["type"] != "final" or final["uploadBytes"] != BYTES or (
            final["downloadBytes"] != BYTES or not 0 < final["timeSeconds"] < TRANSPORT_TIMEOUT_S):
        raise Failure(f"the client says at last {final}")
    for i, (up, down) in enumerate(((0, ENDLESS_BYTES), (ENDLESS_BYTES, 0))):
        if cell.listener == "js" and up == 0:
            continue  # it resets a stream whose proposal, bytes and end come at once
        check_endless(ask(cell, start, up, down, f"endless {i}"))
    return f"{BYTES >> 20} MiB each way in {final['timeSeconds']:.3f} s"


def ask(cell, start, up, down, name="client"):
    return start(name, "dialer", [
        cell.program("tern"), "--server-address", f"{cell.network.ips['listener']}:{PORT}",
        "--transport", cell.stack.transport, "--upload-bytes", str(up),
        "--download-bytes", str(down)], {})


def check_endless(client):
    """The suite ends such a client with a signal, and adds up what it said until then."""
    try:
        client.process.wait(ENDLESS_S)
        raise Failure("the client ended before all bytes could have moved")
    except subprocess.TimeoutExpired:
        client.process.send_signal(signal.SIGTERM)
        client.process.wait(END_TIMEOUT_S)
    lines = results(client.stdout.read_text(encoding="utf-8"))
    if len(lines) < 2 or any(line["type"] != "intermediary" or line["timeSeconds"] > 2
                             or line["uploadBytes"] + line["downloadBytes"] == 0
                             for line in lines):
        raise Failure(f"within {ENDLESS_S} s the client said {lines}")


def results(text):
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except ValueError as error:
        raise Failure(f"the client's result is {text!r}") from error
    if not lines or any(set(line) != RESULT_MEMBERS for line in lines):
        raise Failure(f"the client's result is {text!r}")
    return lines
