"""The report: a line per check as it ends, a table at the end, JSON and markdown for others."""

import json
import sys
import time

from .peer import Failure

BEGIN, END = "<!-- interop:begin -->", "<!-- interop:end -->"
GREEN, RED, YELLOW, PLAIN = "\033[32m", "\033[31m", "\033[33m", "\033[0m"


class Report:
    def __init__(self, options):
        self.options = options
        self.results = []
        self.implementations = {}
        self._colour = sys.stdout.isatty()

    def cell(self, dialer, listener, case):
        return Cell(self, dialer, listener, case)

    def add(self, result):
        self.results.append(result)
        mark = {"passed": ("ok  ", GREEN), "failed": ("FAIL", RED), "gap": ("gap ", YELLOW)}
        text, colour = mark[result["status"]]
        name = f"{result['dialer']} → {result['listener']}"
        print(f"{self.paint(text, colour)} {name:13} {result['case']:15} {result['check']:22} "
              f"{result['seconds']:7.2f} s  {result['detail']}", flush=True)
        if result["status"] == "failed":
            print(f"    reproduce: {result['reproduce']}")
            for text in result["peers"]:
                print(text)

    def paint(self, text, colour):
        return colour + text + PLAIN if self._colour else text

    def count(self, status):
        return sum(result["status"] == status for result in self.results)

    def rows(self):
        """(dialer, listener) → case → (passed, failed, gaps), in the order they ran."""
        rows = {}
        for result in self.results:
            row = rows.setdefault((result["dialer"], result["listener"]), {})
            counts = row.setdefault(result["case"], {"passed": 0, "failed": 0, "gap": 0})
            counts[result["status"]] += 1
        return rows

    def cases(self):
        return list(dict.fromkeys(result["case"] for result in self.results))

    def print_table(self):
        cases = self.cases()
        print("\n" + f"{'dialer → listener':20}" + "".join(f"{case:>17}" for case in cases))
        for (dialer, listener), row in self.rows().items():
            line = f"{dialer + ' → ' + listener:20}"
            for case in cases:
                counts = row.get(case)
                text, colour = "-", PLAIN
                if counts:
                    colour = RED if counts["failed"] else GREEN
                    text = f"{counts['passed']}/{counts['passed'] + counts['failed']}"
                line += self.paint(f"{text:>17}", colour)
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

    def markdown(self):
        cases = self.cases()
        stack = f"{self.options.transport} + {self.options.secure} + {self.options.muxer}"
        lines = [f"Passed checks of each dialer and listener over {stack}, made by "
                 "`interop/run.py`:", "",
                 "| dialer → listener | " + " | ".join(cases) + " |",
                 "|---|" + "---|" * len(cases)]
        for (dialer, listener), row in self.rows().items():
            cells = []
            for case in cases:
                counts = row.get(case)
                if not counts:
                    cells.append("–")
                    continue
                mark = "❌" if counts["failed"] else "✅"
                note = "¹" if counts["gap"] else ""
                total = counts["passed"] + counts["failed"]
                cells.append(f"{mark} {counts['passed']}/{total}{note}")
            lines.append(f"| {dialer} → {listener} | " + " | ".join(cells) + " |")
        if self.gaps():
            gaps = "; ".join(self.gaps())
            lines += ["", f"¹ without what an implementation lacks: {gaps}."]
        if self.implementations:
            lines += ["", "Versions: " + ", ".join(sorted(self.implementations.values())) + "."]
        return "\n".join(lines) + "\n"

    def write_json(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"transport": self.options.transport, "secure": self.options.secure,
                       "muxer": self.options.muxer, "passed": self.count("passed"),
                       "failed": self.count("failed"), "implementations": self.implementations,
                       "results": self.results}, file, indent=1, ensure_ascii=False)
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
    """One case of one pair; its checks report one by one."""

    def __init__(self, report, dialer, listener, case):
        self.report, self.dialer, self.listener, self.case = report, dialer, listener, case
        self.pair = None

    def check(self, name, work):
        self._run(name, "passed", None, work)

    def gap(self, name, reason, work):
        """Work checks that the known gap is still one."""
        self._run(name, "gap", reason, work)

    def failure(self, name, failure, start):
        o = self.report.options
        reproduce = (f"interop/run.py --only {self.dialer}-{self.listener} --case {self.case} "
                     f"--transport {o.transport} --secure {o.secure} --muxer {o.muxer}"
                     + (" --quick" if o.quick else ""))
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
        self.report.add({"dialer": self.dialer, "listener": self.listener, "case": self.case,
                         "check": name, "status": status, "detail": detail,
                         "seconds": round(time.monotonic() - start, 3), **more})
