"""The official contracts: programs told everything by their environment (see README.md)."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile

from .peer import STDERR_TAIL_LINES, Failure, check_program

TRANSPORT_TIMEOUT_S = 60
PERF_TIMEOUT_S = 120
END_TIMEOUT_S = 10
NUMBER = r"-?\d+(?:\.\d+)?"

PERF_BYTES = 4 << 20
PERF_ITERATIONS = 3
PERF_LATENCY_ITERATIONS = 20


class Program:
    """A process of a contract, on one of the network's sides."""

    def __init__(self, name, command, environment, folder):
        self.name, self.command, self.environment = name, [str(c) for c in command], environment
        self.stdout = pathlib.Path(folder) / f"{name}.out"
        self.stderr = pathlib.Path(folder) / f"{name}.err"
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        with open(self.stdout, "wb") as out, open(self.stderr, "wb") as err:
            self.process = subprocess.Popen(self.command, env={**kept, **environment},
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def result(self, timeout_s):
        """Waits for the end, which has to be a good one; what it wrote to stdout."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failure(f"the {self.name} still runs after {timeout_s} s") from None
        if code != 0:
            raise Failure(f"the {self.name} ended with {code}")
        return self.stdout.read_text(encoding="utf-8", errors="replace")

    def terminate(self):
        """It has to run until it is told to end, and to end then."""
        code = self.process.poll()
        if code is not None:
            raise Failure(f"the {self.name} ended by itself, with {code}")
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"the {self.name} still runs {END_TIMEOUT_S} s after SIGTERM") from None
        if code not in (0, -signal.SIGTERM):
            raise Failure(f"the {self.name} ended with {code} after SIGTERM")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def describe(self):
        lines = self.stderr.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"      {line}" for line in lines[-STDERR_TAIL_LINES:])
        said = " ".join(f"{name}={value}" for name, value in self.environment.items())
        return (f"    {self.name}: {said} {shlex.join(self.command)}\n"
                f"{tail or '      (nothing on stderr)'}")


@contextlib.contextmanager
def started(network):
    """Gives start(name, side, command, environment); all that it started ends."""
    programs = []
    with tempfile.TemporaryDirectory(prefix="tern-contract-") as folder:
        def start(name, side, command, environment):
            check_program(name, command[0])
            programs.append(Program(name, [*network.prefix(side), *command], environment, folder))
            return programs[-1]
        try:
            yield start
        except Failure as failure:
            for program in programs:
                program.kill()
            failure.peers = [program.describe() for program in programs]
            raise
        finally:
            for program in programs:
                program.kill()


def newer_variables(network, stack, name, is_dialer):
    key = hashlib.sha256(name.encode()).hexdigest()[:8]
    said = {"IS_DIALER": is_dialer, "REDIS_ADDR": network.redis_addr, "TEST_KEY": key,
            "TRANSPORT": stack.transport, "LISTENER_IP": "0.0.0.0", "DEBUG": "false",
            "SECURE_CHANNEL": stack.secure, "MUXER": stack.muxer}
    return {name: value for name, value in said.items() if value is not None}


def older_variables(network, stack, is_dialer):
    said = {"is_dialer": is_dialer, "redis_addr": network.redis_addr, "ip": "0.0.0.0",
            "transport": stack.transport, "security": stack.secure, "muxer": stack.muxer,
            "test_timeout_seconds": str(TRANSPORT_TIMEOUT_S)}
    return {name: value for name, value in said.items() if value is not None}


def run_pair(cell, variables, timeout_s, more):
    """A listener and a dialer of a contract; what the dialer wrote."""
    with cell.network.redis(), started(cell.network) as start:
        listener = start("listener", "listener", [cell.program(cell.listener)],
                         {**cell.environment, **more, **variables("false")})
        dialer = start("dialer", "dialer", [cell.program(cell.dialer)],
                       {**cell.environment, **more, **variables("true")})
        text = dialer.result(timeout_s)
        listener.terminate()
        return text


def number(text, what):
    if not re.fullmatch(NUMBER, text):
        raise Failure(f"{what} is {text!r}")
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise Failure(f"{what} is {text}")
    return value


def sections(text):
    """The YAML of the contracts, strictly: sections, and their members two columns in."""
    found = {}
    section = None
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if match := re.fullmatch(r"(\w+):", line):
            section = found.setdefault(match[1], {})
        elif section is not None and (match := re.fullmatch(r"  (\w+): (\S.*)", line)):
            section[match[1]] = match[2]
        else:
            raise Failure(f"the dialer's result has the line {line!r}")
    return found


def check_latency(both, ping):
    if not 0 <= ping < 5000 or not 0 < both < 30000 or both < ping:
        raise Failure(f"handshake and round trip took {both} ms, the round trip {ping} ms")
    return f"{both:.1f} ms with a round trip, which took {ping:.2f} ms"


def run_transport(cell, key_type=None):
    """unified-testing's transport."""
    more = {} if key_type is None else {"LISTENER_KEY_TYPE": key_type}
    name = f"{cell.dialer} x {cell.listener} ({cell.stack})"
    text = run_pair(cell, lambda is_dialer: newer_variables(
        cell.network, cell.stack, name, is_dialer), TRANSPORT_TIMEOUT_S, more)
    found = sections(text)
    latency = found.get("latency", {})
    if set(found) != {"latency"} or set(latency) != {
            "handshake_plus_one_rtt", "ping_rtt", "unit"} or latency["unit"] != "ms":
        raise Failure(f"the dialer's result is {text!r}")
    return check_latency(number(latency["handshake_plus_one_rtt"], "handshake_plus_one_rtt"),
                         number(latency["ping_rtt"], "ping_rtt"))


def run_transport_string(cell):
    """The same with the address as a string, which the suite's documentation has."""
    return run_transport(cell, "string")


def run_transport_older(cell):
    """test-plans' transport-interop."""
    text = run_pair(cell, lambda is_dialer: older_variables(
        cell.network, cell.stack, is_dialer), TRANSPORT_TIMEOUT_S, {})
    try:
        said = json.loads(text)
        return check_latency(float(said["handshakePlusOneRTTMillis"]),
                             float(said["pingRTTMilllis"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"the dialer's result is {text!r}: {error!r}") from error


def check_section(found, name, unit, count):
    """A section of the perf contract: its numbers, in order, and the samples that give them."""
    said = dict(found.get(name, {}))
    if said.get("unit") != unit or said.get("iterations") != str(count):
        raise Failure(f"{name} is {said}")
    numbers = [number(said[key], f"{name}: {key}") for key in ("min", "q1", "median", "q3", "max")]
    # Outliers do not count for min and max, so a quartile may lie beyond them.
    if numbers[1:4] != sorted(numbers[1:4]) or not numbers[0] <= numbers[2] <= numbers[4]:
        raise Failure(f"{name} is not in order: {numbers}")
    samples = numbers_in(said["samples"], f"{name}: samples")
    outliers = numbers_in(said["outliers"], f"{name}: outliers")
    if len(samples) != count or samples != sorted(samples) or not set(outliers) <= set(samples):
        raise Failure(f"{name} has samples {samples} and outliers {outliers}")
    if unit == "Gbps" and not 0 < numbers[2] < 1000:
        raise Failure(f"{name}: a median of {numbers[2]} Gbps")
    return numbers[2]


def numbers_in(text, what):
    if not (text.startswith("[") and text.endswith("]")):
        raise Failure(f"{what} is {text!r}")
    return [number(word, what) for word in text[1:-1].split(", ") if word]


def run_perf(cell, header=None):
    """unified-testing's perf, with few bytes."""
    name = f"{cell.dialer} x {cell.listener} ({cell.stack}) perf"
    plan = {"UPLOAD_BYTES": str(PERF_BYTES), "DOWNLOAD_BYTES": str(PERF_BYTES),
            "UPLOAD_ITERATIONS": str(PERF_ITERATIONS),
            "DOWNLOAD_ITERATIONS": str(PERF_ITERATIONS),
            "LATENCY_ITERATIONS": str(PERF_LATENCY_ITERATIONS), "DURATION": "20"}

    def variables(is_dialer):
        said = newer_variables(cell.network, cell.stack, name, is_dialer)
        return {**said, **plan} if is_dialer == "true" else said

    more = {"LISTENER_KEY_TYPE": "string"}
    if header is not None:
        more["PERF_HEADER"] = header
    found = sections(run_pair(cell, variables, PERF_TIMEOUT_S, more))
    if set(found) != {"upload", "download", "latency"}:
        raise Failure(f"the dialer's result has {sorted(found)}")
    up = check_section(found, "upload", "Gbps", PERF_ITERATIONS)
    down = check_section(found, "download", "Gbps", PERF_ITERATIONS)
    latency = check_section(found, "latency", "ms", PERF_LATENCY_ITERATIONS)
    return f"up {up:.2f}, down {down:.2f} Gbps; {latency:.2f} ms"


def run_perf_header16(cell):
    """With the requests that some programs of the suite send."""
    return run_perf(cell, "16")
