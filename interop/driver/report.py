"""The report: a line per check as it ends, tables at the end, JSON and markdown for others."""

import json
import sys
import threading
import time

from .cases import CASES
from .peer import Failure
from .stacks import PLAIN, STACKS, common, known_failure

BEGIN, END = "<!-- interop:begin -->", "<!-- interop:end -->"
GREEN, RED, YELLOW, PLAIN_COLOUR = "\033[32m", "\033[31m", "\033[33m", "\033[0m"
LOOPBACK_CASES = [case for case in CASES if case != "exchange"]


class Report:
    """Cells of several threads report here."""

    def __init__(self, options, jobs):
        self.options = options
        self.jobs = jobs
        self.results = []
        self.implementations = {}
        self.done = 0
        self._colour = sys.stdout.isatty()
        self._lock = threading.Lock()

    def cell(self, job):
        return Cell(self, job)

    def add(self, result):
        mark = {"passed": ("ok  ", GREEN), "failed": ("FAIL", RED), "gap": ("gap ", YELLOW)}
        text, colour = mark[result["status"]]
        name = f"{result['dialer']} → {result['listener']}"
        with self._lock:
            self.results.append(result)
            print(f"{self.paint(text, colour)} {self.done:3}/{len(self.jobs)} {name:15} "
                  f"{result['case']:16} {result['check']:22} {result['seconds']:7.2f} s  "
                  f"{result['detail']}", flush=True)
            if result["status"] == "failed":
                print(f"    reproduce: {result['reproduce']}")
                print("\n".join(result["peers"]), flush=True)

    def job_done(self):
        with self._lock:
            self.done += 1

    def paint(self, text, colour):
        return colour + text + PLAIN_COLOUR if self._colour else text

    def count(self, status):
        return sum(result["status"] == status for result in self.results)

    def counts(self, **members):
        """How many of the results with these members passed, failed, are gaps."""
        found = [result["status"] for result in self.results
                 if members.items() <= result.items()]
        return {status: found.count(status) for status in ("passed", "failed", "gap")}

    def pairs(self):
        return list(dict.fromkeys((job.dialer, job.listener) for job in self.jobs))

    def cases(self):
        return list(dict.fromkeys(job.case for job in self.jobs))

    def print_table(self):
        cases = self.cases()
        widths = [max(len(case), 7) + 2 for case in cases]
        print("\n" + f"{'dialer → listener':20}" + "".join(
            f"{case:>{width}}" for case, width in zip(cases, widths)))
        for dialer, listener in self.pairs():
            line = f"{dialer + ' → ' + listener:20}"
            for case, width in zip(cases, widths):
                counts = self.counts(dialer=dialer, listener=listener, case=case)
                total = counts["passed"] + counts["failed"]
                colour = RED if counts["failed"] else GREEN if total else PLAIN_COLOUR
                text = f"{counts['passed']}/{total}" if total else "-"
                line += self.paint(f"{text:>{width}}", colour)
            print(line)
        for reason, count in self.gaps().items():
            print(f"\n{count} checks are known gaps: {reason}")
        print(f"\n{self.count('passed')} passed, {self.count('failed')} failed", flush=True)

    def gaps(self):
        gaps = {}
        for result in self.results:
            if result["status"] == "gap":
                gaps[result["detail"]] = gaps.get(result["detail"], 0) + 1
        return gaps

    # --- markdown ---

    def markdown(self):
        parts = [self._markdown_cases(), self._markdown_stacks()]
        if self.implementations:
            versions = ", ".join(sorted(set(self.implementations.values())))
            parts.append(f"Versions: {versions}.\n")
        return "\n".join(part for part in parts if part)

    def _markdown_cases(self):
        """Our own contract over TCP: how many checks of each case passed."""
        cases = [case for case in self.cases() if case in LOOPBACK_CASES]
        pairs = [pair for pair in self.pairs() if "chromium" not in pair]
        if not cases:
            return ""
        lines = [f"Passed checks of each dialer and listener over {PLAIN}, made by "
                 "`interop/run.py`:", "",
                 "| dialer → listener | " + " | ".join(cases) + " |",
                 "|---|" + "---|" * len(cases)]
        noted = {}
        for dialer, listener in pairs:
            cells = [self._case_cell(dialer, listener, case, noted) for case in cases]
            lines.append(f"| {dialer} → {listener} | " + " | ".join(cells) + " |")
        if noted:
            lines += ["", f"¹ without what an implementation lacks: {'; '.join(noted)}."]
        return "\n".join(lines) + "\n"

    def _case_cell(self, dialer, listener, case, noted):
        counts = self.counts(dialer=dialer, listener=listener, case=case)
        total = counts["passed"] + counts["failed"]
        if total + counts["gap"] == 0:
            return "–"
        for result in self.results:
            if result["status"] == "gap" and (dialer, listener, case) == (
                    result["dialer"], result["listener"], result["case"]):
                noted[result["detail"]] = True
        mark = "❌" if counts["failed"] else "✅"
        return f"{mark} {counts['passed']}/{total}{'¹' if counts['gap'] else ''}"

    def _markdown_stacks(self):
        """Every stack of every pair, by all that was run over it between two hosts."""
        jobs = [job for job in self.jobs if job.needs_network]
        stacks = [stack for stack in STACKS if any(job.stack == stack for job in jobs)]
        if not stacks:
            return ""
        cases = ", ".join(dict.fromkeys(job.case for job in jobs))
        lines = [f"Each transport, secure channel and muxer between two hosts ({cases}):", "",
                 "| dialer → listener | " + " | ".join(
                     "<br>".join(part for part in stack if part) for stack in stacks) + " |",
                 "|---|" + ":-:|" * len(stacks)]
        for dialer, listener in self.pairs():
            if any((job.dialer, job.listener) == (dialer, listener) for job in jobs):
                cells = [self._stack_cell(dialer, listener, stack) for stack in stacks]
                lines.append(f"| {dialer} → {listener} | " + " | ".join(cells) + " |")
        lines += ["", "✅ all of it passes · a link: a known failure of the other side, which is "
                      "checked to be one still · – the other side has no such thing"]
        return "\n".join(lines) + "\n"

    def _stack_cell(self, dialer, listener, stack):
        if stack not in common(dialer, listener):
            return "–"
        jobs = [job for job in self.jobs if job.needs_network and
                (job.dialer, job.listener, job.stack) == (dialer, listener, stack)]
        found = [result for result in self.results if result["network"] and
                 result["stack"] == str(stack) and
                 (result["dialer"], result["listener"]) == (dialer, listener)]
        if not jobs or len(found) < len(jobs):
            return " "
        if any(result["status"] == "failed" for result in found):
            return "❌"
        for job in jobs:
            known = known_failure(dialer, listener, stack, job.case)
            if known is not None:
                return f"[✗]({known.link})"
        return "✅"

    # --- files ---

    def write_json(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"passed": self.count("passed"), "failed": self.count("failed"),
                       "implementations": self.implementations, "results": self.results},
                      file, indent=1, ensure_ascii=False)
            file.write("\n")

    def write_markdown(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.markdown())

    def update_readme(self, path):
        """Replaces what stands between the two marks."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise SystemExit(f"{path} has no {BEGIN} … {END} block")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{before}{BEGIN}\n{self.markdown()}{END}{after}")


class Cell:
    """One job; its checks report one by one."""

    def __init__(self, report, job):
        self.report, self.job = report, job
        self.pair = None

    def check(self, name, work):
        self._run(name, "passed", None, work)

    def gap(self, name, reason, work):
        """Work checks that the known gap is still one."""
        self._run(name, "gap", reason, work)

    def failure(self, name, failure, start):
        job = self.job
        reproduce = (f"interop/run.py --only {job.dialer}-{job.listener} --case {job.case} "
                     f"--stack {job.stack}" + (" --quick" if self.report.options.quick else ""))
        self._add(name, "failed", str(failure), start, reproduce=reproduce,
                  peers=getattr(failure, "peers", None) or self._describe_peers())

    def _describe_peers(self):
        return [peer.describe() for peer in self.pair.started] if self.pair else []

    def _run(self, name, status, reason, work):
        start = time.monotonic()
        try:
            detail = work()
        except Failure as failure:
            self.failure(name, failure, start)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self.failure(name, Failure(f"an answer is not as the contract says: {error!r}"), start)
        else:
            self._add(name, status, reason or detail or "", start)

    def _add(self, name, status, detail, start, **more):
        job = self.job
        self.report.add({"dialer": job.dialer, "listener": job.listener, "case": job.case,
                         "stack": str(job.stack), "network": job.needs_network, "check": name,
                         "status": status, "detail": detail,
                         "seconds": round(time.monotonic() - start, 3), **more})
