"""What the figures were measured on and with, and the bounds that cryptography sets."""

import concurrent.futures
import datetime
import os
import pathlib
import platform
import re
import statistics
import subprocess

from .process import Failure

PROGRAM_TIMEOUT_S = 600
FRAME_BYTES = 65519  # the largest Noise frame
TLS_BYTES = 16384  # the largest record


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "cpu model"):
            return value.strip()
    return platform.machine()


def memory_gib():
    with open("/proc/meminfo", encoding="utf-8") as file:
        return int(file.readline().split()[1]) / 1024 ** 2


def describe(options):
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"Processor": f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores",
            "Memory": f"{memory_gib():.0f} GiB",
            "Kernel": f"{platform.system()} {platform.release()}",
            "Load before the run": f"{os.getloadavg()[0]:.1f}",
            "Date": now.strftime("%Y-%m-%d %H:%M UTC"),
            "Command": f"`{options.command}`"}


class Programs:
    """The programs by implementation; what is missing is told and left out."""

    def __init__(self):
        self.bench = {}
        self.peer = {}
        self.crypto = {}
        self.sim = None
        self.path = None
        self.handshake = None
        self.missing = {}


def find_programs(options, root):
    programs = Programs()
    for name in options.peers:
        if name == "tern":
            bench, peer = options.build / "bench/tern-bench", options.build / "interop/tern-peer"
            hint = f"ninja -C {options.build} builds it"
        else:
            bench = peer = root / "interop/bin" / f"{name}-peer"
            hint = "tools/install-interop builds it"
        for path, table in ((bench, programs.bench), (peer, programs.peer)):
            if path.is_file():
                table[name] = str(path)
            else:
                programs.missing[name] = f"no {path}: {hint}"
    for name in ("bench_crypto", "bench_sim", "bench_path", "bench_handshake"):
        path = options.build / "bench" / name
        if not path.is_file():
            programs.missing[name] = f"no {path}: ninja -C {options.build} builds it"
        elif name == "bench_crypto":
            programs.crypto[name] = str(path)
        elif "tern" in options.peers:
            setattr(programs, name.removeprefix("bench_"), str(path))
    return programs


def output_of(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S,
                          check=False)
    if done.returncode != 0:
        raise Failure(f"{command[0]}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def outputs_at_once(command, count):
    with concurrent.futures.ThreadPoolExecutor(count) as runs:
        return list(runs.map(output_of, [command] * count))


def outputs_on_two_cores(command):
    """What a program prints that keeps one core busy, run on two at once: both ends of what is
    measured keep two busy, and they may share what makes them fast."""
    return outputs_at_once(command, min(2, len(os.sched_getaffinity(0))))


def number(text, pattern):
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise Failure(f"no line like {pattern!r} in {text.strip()!r}")
    return float(found.group(1))


def rate(texts, name):
    pattern = "^" + re.escape(name) + r" +(\d+) ops/s"
    return statistics.mean(number(text, pattern) for text in texts)


def crypto_bounds(programs, sizes, results):
    """Rates of the bare cryptography on one core, in CPU time."""
    if "bench_crypto" not in programs.crypto:
        return
    try:
        texts = outputs_on_two_cores([programs.crypto["bench_crypto"], str(sizes.crypto_seconds)])
        both = rate(texts, f"ChaCha20-Poly1305 seal and open, {FRAME_BYTES} bytes"
                    ) * FRAME_BYTES / 1e9
        results.bounds["aead_gbs"] = 2 * both  # sealing on one core, opening on the other
        results.bounds["aead_cpu_s_per_gb"] = 1 / both
        results.bounds["aes_gbs"] = rate(texts, f"AES-128-GCM seal and open, {TLS_BYTES} bytes"
                                         ) * TLS_BYTES / 1e9
        results.bounds["verifies"] = rate(texts, "Ed25519 verify, in a job of 64")
    except (Failure, subprocess.TimeoutExpired) as failure:
        results.fail("cryptography", str(failure))
    print("bare cryptography on one core: "
          + ", ".join(f"{name} {value:.3g}" for name, value in results.bounds.items()), flush=True)
