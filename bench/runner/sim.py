"""The simulated world with whole hosts: events a second, in processor time of its one thread."""

import re
import subprocess

from .machine import output_of
from .process import Failure

NODES = (100, 1000)
CRYPTO = ("real", "cheap")
FIGURES = r"crypto: +(\d+) events/s, +([\d.]+) x real time"


def one_run(command):
    """Events a second, and how many times faster than real time that is."""
    text = output_of(command)
    found = re.search(FIGURES, text)
    if found is None:
        raise Failure(f"{' '.join(command)}: printed {text.strip()!r}")
    return float(found.group(1)), float(found.group(2))


def events(programs, sizes, results):
    if programs.sim is None:
        return
    print("simulated hosts, ten messages a second to all of them", flush=True)
    failed = set()
    for turn in range(sizes.sim_rounds):
        for row in [(nodes, crypto) for nodes in NODES for crypto in CRYPTO]:
            if row in failed:
                continue
            arguments = ["hosts", str(row[0]), row[1], str(sizes.sim_seconds[row[0]])]
            try:
                rate, times = one_run([programs.sim, *arguments])
            except (Failure, subprocess.TimeoutExpired) as failure:
                failed.add(row)
                results.fail("tern", f"sim, {row[0]} hosts, {row[1]} crypto: {failure}")
                continue
            results.add_simulated(row, " ".join(["build/bench/bench_sim", *arguments]), rate, times)
            print(f"  {turn + 1}/{sizes.sim_rounds} {row[0]} hosts, {row[1]} crypto: "
                  f"{rate:.0f} events/s, {times:.2f} x real time", flush=True)
