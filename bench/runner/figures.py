"""The results: medians, ratios, a table for the terminal and for markdown."""

import os
import statistics

BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"

# key, what it is, format, whether more is better (None: neither)
ROWS = (
    ("stream_gbs", "one stream, GB/s", "{:.2f}", True),
    ("stream_cpu", "one stream, CPU s/GB, both sides", "{:.2f}", False),
    ("handshakes_core", "handshakes per CPU second, both sides", "{:,.0f}", True),
    ("handshakes_wall", "handshakes/s by the clock", "{:,.0f}", True),
    ("idle_rss", "idle connection, RSS of the server, KiB", "{:.1f}", False),
    ("idle_bytes", "idle connection, bytes Tern accounts for", "{:,.0f}", None),
    ("gossip_carried", "gossip unsigned, messages/s through the mesh", "{:,.0f}", True),
    ("gossip_delivered", "gossip unsigned, delivered/s", "{:,.0f}", True),
    ("gossip_lost", "gossip unsigned, lost, %", "{:.2f}", None),
    ("gossip_cpu_us", "gossip unsigned, CPU µs per delivery", "{:.2f}", False),
    ("signed_carried", "gossip signed, messages/s through the mesh", "{:,.0f}", True),
    ("signed_delivered", "gossip signed, delivered/s", "{:,.0f}", True),
    ("signed_lost", "gossip signed, lost, %", "{:.2f}", None),
    ("signed_cpu_us", "gossip signed, CPU µs per delivery", "{:.1f}", False),
)
README_ROWS = ("stream_gbs", "stream_cpu", "handshakes_core", "idle_rss", "gossip_carried",
               "gossip_delivered", "signed_delivered")
SCALE = {"idle_rss": 1 / 1024}


class Results:
    def __init__(self, options, machine):
        self.options = options
        self.machine = machine
        self.bounds = {}
        self.samples = {}
        self.simulated = {}  # by (hosts, crypto): the command
        self.failures = []
        self.seconds = 0.0

    def add(self, key, name, value):
        self.samples.setdefault((key, name), []).append(value)

    def add_simulated(self, row, command, rate, times):
        self.simulated[row] = command
        self.add(("events", row), "tern", rate)
        self.add(("times", row), "tern", times)

    def fail(self, name, why):
        self.failures.append(f"{name}: {why}")
        print(f"  FAIL {name}: {why}", flush=True)

    def median(self, key, name):
        values = self.samples.get((key, name))
        return statistics.median(values) if values else None

    def others(self):
        return [name for name in self.options.peers if name != "tern"]

    def rows(self, keys):
        """Cells of each row: what, each implementation's median and spread, Tern's ratios."""
        for key, what, form, more in ROWS:
            if key not in keys or all(self.median(key, n) is None for n in self.options.peers):
                continue
            cells = [what]
            for name in self.options.peers:
                cells.append(self.cell(key, name, form))
            for name in self.others():
                cells.append(self.ratio(key, name, more))
            yield cells

    def cell(self, key, name, form):
        values = self.samples.get((key, name))
        if not values:
            return "–"
        scale = SCALE.get(key, 1)
        return form.format(statistics.median(values) * scale)

    def ratio(self, key, name, more):
        """How many times better Tern is; under 1: worse."""
        mine, theirs = self.median(key, "tern"), self.median(key, name)
        if more is None or not mine or not theirs:
            return "–"
        return f"{mine / theirs if more else theirs / mine:.2f} ×"

    def simulated_rows(self):
        """What, events a second, times real time and the command, each as text."""
        for row, command in sorted(self.simulated.items(), key=lambda item: item[0][0]):
            yield [f"{row[0]:,} hosts, {row[1]} crypto",
                   f"{self.median(('events', row), 'tern'):,.0f}",
                   f"{self.median(('times', row), 'tern'):.2f}", f"`{command}`"]

    def simulated_table(self):
        if not self.simulated:
            return []
        lines = ["", "| simulated, one thread | events per CPU second | × real time | command |",
                 "|---|---:|---:|---|"]
        return lines + ["| " + " | ".join(row) + " |" for row in self.simulated_rows()]

    def header(self):
        return ["", *self.options.peers, *(f"tern : {name}" for name in self.others())]

    def shares(self):
        """What Tern reaches of what its cryptography alone permits."""
        b = self.bounds
        lines = []
        rate, cpu = self.median("stream_gbs", "tern"), self.median("stream_cpu", "tern")
        if rate and "aead_gbs" in b:
            lines.append(f"One stream: {100 * rate / b['aead_gbs']:.0f} % of the "
                         f"{b['aead_gbs']:.2f} GB/s at which the AEAD alone seals or opens on one "
                         f"core; the AEAD takes {100 * b['aead_cpu_s_per_gb'] / cpu:.0f} % of the "
                         "CPU time of both sides.")
        rate = self.median("handshakes_core", "tern")
        if rate and "handshakes" in b:
            lines.append(f"Handshakes: {100 * rate / b['handshakes']:.0f} % of the "
                         f"{b['handshakes']:,.0f} a core second that both sides' public-key "
                         "operations alone permit (2 key generations, 6 X25519 agreements, 2 "
                         "Ed25519 verifications); the rest is TCP and everything else.")
        rate, cpu = self.median("signed_delivered", "tern"), self.median("signed_cpu_us", "tern")
        if rate and "verifies" in b:
            cores = min(4, len(os.sched_getaffinity(0)))
            bound = cores * b["verifies"]
            lines.append(f"Signed gossip: {100 * rate / bound:.0f} % by the clock of the "
                         f"{bound:,.0f} verifications a second of {cores} cores, one a delivery; "
                         f"{100 * 1e6 / b['verifies'] / cpu:.0f} % of the CPU time of all four "
                         "nodes goes into them.")
        return lines

    def print_table(self):
        rows = list(self.rows([row[0] for row in ROWS]))
        print()
        for row in [self.header(), *rows] if rows else []:
            print(f"{row[0]:46}" + "".join(f"{cell:>14}" for cell in row[1:]))
        for what, rate, times, command in self.simulated_rows():
            print(f"{what + ', events per CPU second':46}{rate:>14}{times + ' ×':>14}   {command}")
        for line in self.shares():
            print("\n" + line)
        for line in self.failures:
            print("\nFAILED " + line)
        print(f"\n{self.seconds:.0f} s")

    def table(self, keys):
        rows = list(self.rows(keys))
        if not rows:
            return []
        lines = ["| " + " | ".join(self.header()) + " |",
                 "|---|" + "---:|" * (len(self.header()) - 1)]
        return lines + ["| " + " | ".join(row) + " |" for row in rows]

    def markdown(self):
        sizes = self.options.sizes
        lines = ["# Results", "",
                 "Written by `bench/run`; [README.md](README.md) says what each row measures.", ""]
        lines += ["| | |", "|---|---|"]
        lines += [f"| {what} | {value} |" for what, value in self.machine.items()]
        lines += [f"| Work | medians of {sizes.rounds} rounds (gossip {sizes.gossip_rounds}); "
                  f"streams of {sizes.stream_bytes / 1e9:.2f} GB, {sizes.handshakes:,} handshakes "
                  f"{sizes.concurrency} at a time, {sizes.idle:,} idle connections, "
                  f"{sizes.gossip_messages:,} unsigned and {sizes.gossip_signed_messages:,} signed "
                  f"messages of {sizes.gossip_size} B; simulated hosts, {sizes.sim_rounds} "
                  f"{'round' if sizes.sim_rounds == 1 else 'rounds'} |", ""]
        compared = self.table([row[0] for row in ROWS])
        lines += [*compared, "", "A ratio above 1 is in Tern's favour."] if compared else []
        lines += [*self.simulated_table(), ""]
        lines += [f"* {line}" for line in self.shares()]
        lines += [f"* **Failed:** {line}" for line in self.failures]
        return "\n".join(lines) + "\n"

    def readme(self):
        machine = self.machine
        lines = self.table(README_ROWS)
        lines += ["", f"Medians of `{self.options.command}` on {machine['Processor']}, "
                  f"{machine['Kernel']}, {machine['Date'][:10]}, the machine's load before it "
                  f"{machine['Load before the run']}. A ratio above 1 is in Tern's favour; "
                  "[bench/README.md](bench/README.md) says what each row is."]
        lines += [*self.simulated_table(), ""]
        lines += [f"* {line}" for line in self.shares()]
        return "\n".join(lines) + "\n"

    def update_readme(self, path):
        text = path.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise SystemExit(f"{path} has no {BEGIN} … {END} block")
        path.write_text(f"{before}{BEGIN}\n{self.readme()}{END}{after}", encoding="utf-8")
