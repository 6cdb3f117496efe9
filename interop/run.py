#!/usr/bin/env python3
"""Runs the interop matrix: every dialer against every listener through every case.

The peer programs speak the contracts of interop/README.md. Exits 0 only if every check passes.
"""

import argparse
import contextlib
import pathlib
import queue
import sys
import tempfile
import threading
import time

from driver import certificates, jobs, stacks
from driver.network import NETWORKS_MAX, Network
from driver.peer import Failure
from driver.report import Report

ROOT = pathlib.Path(__file__).resolve().parent
IMPLEMENTATIONS = tuple(stacks.IMPLEMENTATIONS)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=",".join(IMPLEMENTATIONS),
                        help="implementations, separated by commas")
    parser.add_argument("--only", metavar="DIALER-LISTENER", help="this pair alone, say go-rust")
    parser.add_argument("--all-pairs", action="store_true", help="also the pairs without tern")
    parser.add_argument("--case", choices=jobs.ALL_CASES, action="append",
                        help="these cases alone")
    parser.add_argument("--stack", action="append", metavar="STACK",
                        help="these stacks alone, say ws+tls+yamux or quic-v1")
    parser.add_argument("--quick", action="store_true",
                        help="equal key types, a 4 MiB echo, fewer messages")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time; 2")
    parser.add_argument("--build", metavar="FOLDER", help="where Tern's programs are",
                        default=ROOT.parent / "build" / "interop")
    parser.add_argument("--list", action="store_true", help="print what would run")
    parser.add_argument("--json", metavar="FILE", help="write every result")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables")
    parser.add_argument("--update-readme", metavar="FILE", help="replace its interop block")
    options = parser.parse_args()
    options.peers_named = options.peers.split(",")
    options.peers, options.contracts = jobs.programs(ROOT, options.build)
    options.cases = options.case or jobs.ALL_CASES
    options.pairs = choose_pairs(parser, options)
    options.environment = {}
    try:
        options.stacks = [stacks.parse(text) for text in options.stack or ()]
    except ValueError as error:
        parser.error(str(error))
    if not 1 <= options.jobs <= NETWORKS_MAX:
        parser.error(f"--jobs takes 1 to {NETWORKS_MAX}")
    return options


def choose_pairs(parser, options):
    if options.only:
        names = options.only.split("-")
        pairs = [tuple(names)]
    else:
        names = options.peers_named
        pairs = [(dialer, listener) for dialer in names for listener in names
                 if options.all_pairs or "tern" in (dialer, listener)]
    for name in names:
        if name not in IMPLEMENTATIONS:
            parser.error(f"unknown implementation {name!r}; known: {', '.join(IMPLEMENTATIONS)}")
    if any(len(pair) != 2 for pair in pairs):
        parser.error("--only takes a dialer and a listener, say go-rust")
    pairs = [pair for pair in pairs if stacks.IMPLEMENTATIONS[pair[1]].listens]
    if not pairs:
        parser.error("no pair to run: name tern, or give --all-pairs, or --only DIALER-LISTENER")
    return pairs


def work(report, waiting, network, stop):
    """One worker: takes jobs until there are none."""
    while not stop.is_set():
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        jobs.run(report, job, network if job.needs_network else None)
        report.job_done()


def run_all(report):
    """Runs the jobs, as many at a time as the options say."""
    options = report.options
    waiting = queue.SimpleQueue()
    for job in report.jobs:
        waiting.put(job)
    with contextlib.ExitStack() as kept:
        networks = [None] * options.jobs
        if any(job.needs_network for job in report.jobs):
            networks = [kept.enter_context(Network(i)) for i in range(options.jobs)]
            folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="tern-interop-"))
            options.environment = certificates.make(folder)
        stop = threading.Event()
        workers = [threading.Thread(target=work, args=(report, waiting, network, stop))
                   for network in networks]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        except KeyboardInterrupt:
            stop.set()
            print("interrupted; what runs is waited for, and what follows is not the whole matrix",
                  flush=True)
            for worker in workers:
                worker.join()


def main():
    options = parse_options()
    report = Report(options, jobs.plan(options))
    if options.list:
        for job in report.jobs:
            print(f"{job.dialer} → {job.listener} {job.case} {job.stack}")
        return 0
    start = time.monotonic()
    try:
        run_all(report)
    except Failure as failure:
        print(f"run.py: {failure}", file=sys.stderr)
        return 1
    if options.json:
        report.write_json(options.json)
    if options.markdown:
        report.write_markdown(options.markdown)
    if options.update_readme:
        report.update_readme(options.update_readme)
    print(f"\n{time.monotonic() - start:.0f} s")
    report.print_table()
    return 0 if report.done == len(report.jobs) and report.count("failed") == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
