#!/usr/bin/env python3
"""Runs the interop matrix: every dialer against every listener through every case.

The peer programs speak the contract of interop/README.md. Exits 0 only if every check passes.
"""

import argparse
import pathlib
import sys
import time

from driver.cases import CASES, LISTEN, RUN, Pair
from driver.peer import Failure
from driver.report import Report

ROOT = pathlib.Path(__file__).resolve().parent
IMPLEMENTATIONS = ("tern", "go", "rust", "js")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=",".join(IMPLEMENTATIONS),
                        help="implementations, separated by commas")
    parser.add_argument("--only", metavar="DIALER-LISTENER", help="this pair alone, say go-rust")
    parser.add_argument("--all-pairs", action="store_true", help="also the pairs without tern")
    parser.add_argument("--case", choices=CASES, action="append", help="these cases alone")
    parser.add_argument("--quick", action="store_true",
                        help="equal key types, a 4 MiB echo, fewer messages")
    parser.add_argument("--transport", default="tcp", choices=LISTEN)
    parser.add_argument("--secure", default="noise", choices=("noise", "tls"))
    parser.add_argument("--muxer", default="yamux", choices=("yamux", "mplex"))
    parser.add_argument("--tern", metavar="PATH", help="Tern's peer program",
                        default=ROOT.parent / "build" / "interop" / "tern-peer")
    parser.add_argument("--json", metavar="FILE", help="write every result")
    parser.add_argument("--markdown", metavar="FILE", help="write the table")
    parser.add_argument("--update-readme", metavar="FILE", help="replace its interop block")
    options = parser.parse_args()
    options.programs = {name: ROOT / "bin" / f"{name}-peer" for name in IMPLEMENTATIONS}
    options.programs["tern"] = pathlib.Path(options.tern)
    options.pairs = choose_pairs(parser, options)
    return options


def choose_pairs(parser, options):
    if options.only:
        names = options.only.split("-")
        pairs = [tuple(names)]
    else:
        names = options.peers.split(",")
        pairs = [(dialer, listener) for dialer in names for listener in names
                 if options.all_pairs or "tern" in (dialer, listener)]
    for name in names:
        if name not in IMPLEMENTATIONS:
            parser.error(f"unknown implementation {name!r}; known: {', '.join(IMPLEMENTATIONS)}")
    if not pairs or any(len(pair) != 2 for pair in pairs):
        parser.error("no pair to run: name tern, or give --all-pairs, or --only DIALER-LISTENER")
    return pairs


def run_case(report, dialer, listener, case):
    """Runs a case; a failure outside of its checks, as in starting the peers, is a check too."""
    pair = Pair(dialer, listener, report.options)
    cell = report.cell(dialer, listener, case)
    cell.pair = pair
    start = time.monotonic()
    try:
        RUN[case](pair, cell)
    except Failure as failure:
        cell.failure("peers start and end", failure, start)
    report.implementations.update(pair.versions)


def main():
    options = parse_options()
    report = Report(options)
    start = time.monotonic()
    try:
        for dialer, listener in options.pairs:
            for case in options.case or CASES:
                run_case(report, dialer, listener, case)
    except KeyboardInterrupt:
        print("interrupted; what follows is not the whole matrix")
        report.print_table()
        return 1
    if options.json:
        report.write_json(options.json)
    if options.markdown:
        report.write_markdown(options.markdown)
    if options.update_readme:
        report.update_readme(options.update_readme)
    print(f"\n{time.monotonic() - start:.0f} s")
    report.print_table()
    return 1 if report.count("failed") else 0


if __name__ == "__main__":
    sys.exit(main())
