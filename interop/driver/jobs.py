"""What is to be run: a case of a dialer and a listener over a stack, with or without a network."""

import pathlib
import time
import typing

from . import cases, contract, runner
from .peer import Failure
from .stacks import IMPLEMENTATIONS, PLAIN, Stack, attempts, common, known_failure

# The cases of the official contracts, over which stacks besides, and between whom.
CONTRACTS = {
    "transport": contract.run_transport,
    "transport-string": contract.run_transport_string,
    "transport-older": contract.run_transport_older,
    "perf": contract.run_perf,
    "perf-header16": contract.run_perf_header16,
    "perf-older": runner.run_perf_older,
}
EVERY_STACK = ("exchange", "transport")
ALL_CASES = (*cases.CASES, *CONTRACTS)


class Job(typing.NamedTuple):
    dialer: str
    listener: str
    case: str
    stack: Stack

    @property
    def needs_network(self):
        return self.case in CONTRACTS or self.case == "exchange"


class ContractCell:
    """What a case of an official contract is told."""

    def __init__(self, job, options, network):
        self.dialer, self.listener, self.case, self.stack = job
        self.options, self.network = options, network
        self.environment = options.environment if job.stack.transport == "wss" else {}

    def program(self, implementation):
        return self.options.contracts[implementation]


def applies(case, dialer, listener, stack):
    """Whether a case of one stack or a few concerns this one."""
    if case in EVERY_STACK:
        return True
    few = stack in (PLAIN, Stack("quic-v1"))
    if case in ("transport-older", "perf"):
        return few
    if case == "transport-string":
        return stack == PLAIN
    if case == "perf-header16":
        return few and dialer == listener == "tern"
    if case == "perf-older":
        return few and dialer == "tern"
    return stack == PLAIN


def plan(options):
    """The jobs, in the order in which they are reported."""
    jobs = []
    for dialer, listener in options.pairs:
        rich = IMPLEMENTATIONS[dialer].listens
        for case in options.cases:
            if case in cases.CASES and case != "exchange" and not rich:
                continue
            stacks = common(dialer, listener)
            if options.stacks:
                one_of_few = case in ("perf-header16", "perf-older") and not applies(
                    case, dialer, listener, PLAIN)
                stacks = [] if one_of_few else [s for s in stacks if s in options.stacks]
            else:
                stacks = [s for s in stacks if applies(case, dialer, listener, s)]
            jobs += [Job(dialer, listener, case, stack) for stack in stacks]
    return jobs


def run(report, job, network):
    """Runs one; a failure outside of its checks, as in starting the peers, is a check too."""
    cell = report.cell(job)
    start = time.monotonic()
    try:
        known = known_failure(job.dialer, job.listener, job.stack, job.case)
        if known is not None:
            cell.gap(str(job.stack), known.reason, lambda: still_fails(report, job, network))
        elif job.case in CONTRACTS:
            cell.check(str(job.stack), lambda: run_contract(report, job, network))
        else:
            run_case(report, job, network, cell)
    except Failure as failure:
        cell.failure("peers start and end", failure, start)


def run_contract(report, job, network):
    """As often as it may take with an implementation that is known to be unsteady."""
    left = attempts(*job[:2], job.stack, job.case)
    while True:
        left -= 1
        try:
            return CONTRACTS[job.case](ContractCell(job, report.options, network))
        except Failure as failure:
            if left == 0:
                raise
            print(f"       again, since at first: {failure}", flush=True)


def run_case(report, job, network, cell):
    pair = cases.Pair(job.dialer, job.listener, report.options, job.stack, network)
    cell.pair = pair
    cases.RUN[job.case](pair, cell)
    report.implementations.update(pair.versions)


class Silent:
    """A report for a case that is expected to fail; raises what fails."""

    def check(self, _, work):
        work()


def still_fails(report, job, network):
    try:
        if job.case in CONTRACTS:
            CONTRACTS[job.case](ContractCell(job, report.options, network))
        else:
            run_case(report, job, network, Silent())
    except Failure as failure:
        return str(failure)
    raise Failure("this passes now; remove it from the known failures in driver/stacks.py")


def programs(root, build):
    """The programs of our own contract and of the official ones, by implementation."""
    peers = {name: root / "bin" / f"{name}-peer" for name in IMPLEMENTATIONS}
    peers["tern"] = pathlib.Path(build) / "tern-peer"
    return peers, {**peers, "tern": pathlib.Path(build) / "tern-contract"}
