"""The results: medians, ratios, a table for the terminal and for markdown."""

import os
import statistics

from . import ways

BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"

# key, what it is, format, whether more is better (None: neither)
ROWS = (
    *((f"stream_gbs_{way.key}", f"one stream, {way.name}, GB/s", "{:.2f}", True)
      for way in ways.ALL),
    *((f"stream_cpu_{way.key}", f"one stream, {way.name}, CPU s/GB, both sides", "{:.2f}", False)
      for way in ways.ALL),
    *((f"handshakes_core_{way.key}", f"handshakes per CPU second, {way.name}, both sides",
       "{:,.0f}", True) for way in ways.ALL),
    *((f"handshakes_wall_{way.key}", f"handshakes/s by the clock, {way.name}", "{:,.0f}", True)
      for way in ways.ALL),
    *(row for way in (ways.TCP, ways.QUIC) for row in (
        (f"idle_rss_{way.key}", f"idle connection, {way.name}, RSS of the server, KiB", "{:.1f}",
         False),
        (f"idle_bytes_{way.key}", f"idle connection, {way.name}, bytes Tern accounts for",
         "{:,.0f}", None),
        (f"idle_cpu_{way.key}", f"idle connections, {way.name}, the server's CPU, % of a core",
         "{:.2f}", False),
        (f"idle_rate_{way.key}", f"idle connections, {way.name}, dialled a second", "{:,.0f}",
         True),
        (f"idle_accepts_{way.key}", f"idle connections, {way.name}, accepted a second", "{:,.0f}",
         None))),
    ("gossip_carried", "gossip unsigned, messages/s through the mesh", "{:,.0f}", True),
    ("gossip_delivered", "gossip unsigned, delivered/s", "{:,.0f}", True),
    ("gossip_lost", "gossip unsigned, lost, %", "{:.2f}", None),
    ("gossip_cpu_us", "gossip unsigned, CPU µs per delivery", "{:.2f}", False),
    ("signed_carried", "gossip signed, messages/s through the mesh", "{:,.0f}", True),
    ("signed_delivered", "gossip signed, delivered/s", "{:,.0f}", True),
    ("signed_lost", "gossip signed, lost, %", "{:.2f}", None),
    ("signed_cpu_us", "gossip signed, CPU µs per delivery", "{:.1f}", False),
)
README_ROWS = ("stream_cpu_tcp", "stream_cpu_tls", "stream_cpu_ws", "stream_cpu_quic",
               "handshakes_core_tcp", "handshakes_core_tls", "handshakes_core_quic",
               "idle_rss_tcp", "idle_rss_quic", "gossip_carried", "signed_delivered")
LIBRARY_ROWS = ("stream_gbs_quic", "stream_cpu_quic", "handshakes_core_quic",
                "handshakes_wall_quic")
README_LIBRARY_ROWS = ("stream_cpu_quic", "handshakes_core_quic")
SCALE = {"idle_rss_tcp": 1 / 1024, "idle_rss_quic": 1 / 1024}


def others(names):
    return [name for name in names if name != "tern"]


def header(what, names):
    return [what, *names, *(f"tern : {name}" for name in others(names))]


class Results:
    def __init__(self, options, machine):
        self.options = options
        self.machine = machine
        self.bounds = {}
        self.bound_texts = {}  # what a bound of handshakes is made of, by bound and way
        self.samples = {}
        self.simulated = {}  # by (hosts, crypto): the command
        self.failures = []
        self.times = {}  # by bench, in seconds
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

    def libraries(self):
        """Tern and the QUIC libraries alone, if any was measured."""
        told = [name for name in ways.LIBRARIES
                if any(self.median(key, name) is not None for key in LIBRARY_ROWS)]
        return ["tern", *told] if told else []

    def rows(self, keys, names):
        """Cells of each row: what, each implementation's median and spread, Tern's ratios."""
        for key, what, form, more in ROWS:
            if key not in keys or all(self.median(key, n) is None for n in names):
                continue
            cells = [what]
            for name in names:
                cells.append(self.cell(key, name, form))
            for name in others(names):
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

    def path_table(self):
        """The simulated path, by way; a resumed session is a row of its own."""
        rows = []
        for way in ways.ALL:
            share, steady = (self.median((what, way.key), "tern") for what in ("share", "steady"))
            rtts = self.median(("byte_rtts", way.key), "tern")
            if share is None or steady is None:
                continue
            rows.append(f"| {way.name} | {share:.1f} | {steady:.1f} | {rtts:.2f} |")
        resumed = self.median(("resumed_rtts", "quic"), "tern")
        if resumed is not None:
            rows.append(f"| QUIC, resumed | | | {resumed:.2f} |")
        return ["", "| simulated path, 63 ms and 5 Gbit/s | one stream, % of the path, "
                "from the dial | % in its second half | first byte answered, round trips |",
                "|---|---:|---:|---:|", *rows] if rows else []

    def handshake_bound(self, bound, way):
        """How many a core second the bound permits, what they are, and the per cent of it that
        connections reach in memory and through sockets."""
        most, memory, share = (self.median(f"handshakes_{bound}_{figure}_{way.key}", "tern")
                               for figure in ("most", "memory", "share"))
        return most, self.bound_texts.get((bound, way.key)), memory, share

    def handshake_shares(self):
        for way in ways.ALL:
            most, text, memory, share = self.handshake_bound("bare", way)
            if not most:
                continue
            yield (f"Handshakes, {way.name}: in memory, all of a connection from dial to close "
                   f"reaches {memory:.0f} % of the {most:,.0f} a core second that both sides' "
                   f"cryptography alone permits ({text}); through the kernel's sockets "
                   f"{share:.0f} %.")
            most, text, memory, share = self.handshake_bound("library", way)
            if not most:
                continue
            fastest, fastest_text, of_fastest, _ = self.handshake_bound("fastest", way)
            yield (f"Handshakes, {way.name}, beside its libraries: {memory:.0f} % of the "
                   f"{most:,.0f} that they permit by themselves ({text}), through the kernel's "
                   f"sockets {share:.0f} %; the cryptography at its fastest here "
                   f"({fastest_text}) would permit {fastest:,.0f}, of which {of_fastest:.0f} % are "
                   "reached.")

    def shares(self):
        """What Tern reaches of what its cryptography alone permits, and one way beside another."""
        b = self.bounds
        lines = []
        rate, cpu = self.median("stream_gbs_tcp", "tern"), self.median("stream_cpu_tcp", "tern")
        if rate and "aead_gbs" in b:
            lines.append(f"One stream, TCP + Noise: {100 * rate / b['aead_gbs']:.0f} % of the "
                         f"{b['aead_gbs']:.2f} GB/s at which the AEAD alone seals or opens on one "
                         f"core; the AEAD takes {100 * b['aead_cpu_s_per_gb'] / cpu:.0f} % of the "
                         "CPU time of both sides.")
        websocket = self.median("stream_cpu_ws", "tern")
        if websocket and cpu:
            lines.append(f"One stream over WebSocket takes {100 * (websocket / cpu - 1):+.0f} % of "
                         "the CPU time that it takes over TCP.")
        lines += self.handshake_shares()
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
        for keys, names in (([row[0] for row in ROWS], self.options.peers),
                            (LIBRARY_ROWS, self.libraries())):
            rows = list(self.rows(keys, names))
            if rows:
                print()
                rows.insert(0, header("", names))
            for row in rows:
                print(f"{row[0]:64}" + "".join(f"{cell:>16}" for cell in row[1:]))
        for what, rate, times, command in self.simulated_rows():
            print(f"{what + ', events per CPU second':64}{rate:>14}{times + ' ×':>14}   {command}")
        for line in self.path_table():
            print(line)
        for line in self.shares():
            print("\n" + line)
        for line in self.failures:
            print("\nFAILED " + line)
        print(f"\n{self.took()}")

    def took(self):
        each = ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.times.items())
        return f"{self.seconds:.0f} s ({each})"

    def table(self, what, keys, names):
        rows = list(self.rows(keys, names))
        if not rows:
            return []
        top = header(what, names)
        lines = ["| " + " | ".join(top) + " |", "|---|" + "---:|" * (len(top) - 1)]
        return lines + ["| " + " | ".join(row) + " |" for row in rows]

    def library_table(self, keys):
        """Tern's QUIC beside the libraries below the others', alone."""
        lines = self.table("QUIC beside the libraries alone", keys, self.libraries())
        return ["", *lines] if lines else []

    def markdown(self):
        sizes = self.options.sizes
        lines = ["# Results", "",
                 "Written by `bench/run`; [README.md](README.md) says what each row measures.", ""]
        lines += ["| | |", "|---|---|"]
        lines += [f"| {what} | {value} |" for what, value in self.machine.items()]
        lines += [f"| Work | medians of {sizes.rounds} rounds (gossip {sizes.gossip_rounds}); "
                  f"streams of {sizes.stream_bytes / 1e9:.2f} GB, {sizes.handshakes:,} handshakes "
                  f"{sizes.concurrency} at a time, {sizes.idle:,} idle connections over "
                  f"{sizes.idle_seconds} s, "
                  f"{sizes.gossip_messages:,} unsigned and {sizes.gossip_signed_messages:,} signed "
                  f"messages of {sizes.gossip_size} B; simulated hosts, {sizes.sim_rounds} "
                  f"{'round' if sizes.sim_rounds == 1 else 'rounds'} |",
                  f"| Time | {self.took()} |", ""]
        compared = self.table("", [row[0] for row in ROWS], self.options.peers)
        lines += [*compared, "", "A ratio above 1 is in Tern's favour."] if compared else []
        lines += [*self.library_table(LIBRARY_ROWS), *self.path_table(), *self.simulated_table(),
                  ""]
        lines += [f"* {line}" for line in self.shares()]
        lines += [f"* **Failed:** {line}" for line in self.failures]
        return "\n".join(lines) + "\n"

    def readme(self):
        machine = self.machine
        lines = self.table("", README_ROWS, self.options.peers)
        lines += ["", f"Medians of `{self.options.command}` on {machine['Processor']}, "
                  f"{machine['Kernel']}, {machine['Date'][:10]}, the machine's load before it "
                  f"{machine['Load before the run']}. A ratio above 1 is in Tern's favour; "
                  "[bench/README.md](bench/README.md) says what each row is."]
        lines += [*self.library_table(README_LIBRARY_ROWS), *self.path_table(),
                  *self.simulated_table(), ""]
        lines += [f"* {line}" for line in self.shares()]
        return "\n".join(lines) + "\n"

    def update_readme(self, path):
        text = path.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise SystemExit(f"{path} has no {BEGIN} … {END} block")
        path.write_text(f"{before}{BEGIN}\n{self.readme()}{END}{after}", encoding="utf-8")
