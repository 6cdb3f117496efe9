"""What the checks share: the files git tracks, C text without comments, exceptions, a report."""
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ALLOW_FILE = "tools/allow.toml"

# Every rule that allow.toml may make an exception from, and the tool that owns it.
RULES = {
    "mutable-state": "check-layers",
    "constructor": "check-layers",
    "symbol": "check-layers",
    "include": "check-layers",
    "function-length": "check-style",
    "parameters": "check-style",
    "file-length": "check-style",
    "line-length": "check-style",
    "tab": "check-style",
    "todo": "check-style",
    "test-sleep": "check-style",
    "host-or-path": "check-style",
    "fault-untested": "check-style",
    "fault-unused": "check-style",
    "error-unused": "check-style",
}


class CheckError(Exception):
    """The check itself cannot run. That is a failure, never a pass."""


def tracked_files(root):
    """Paths, relative to root, of the files that git tracks and that exist."""
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise CheckError(f"{' '.join(command)} failed: {done.stderr.decode().strip()}\n"
                         "The checks look at the files that git tracks; run them in a clone.")
    names = [name for name in done.stdout.decode().split("\0") if name]
    return [name for name in names if (root / name).is_file()]


def test_files(root):
    """Tracked files that only tests and fuzzers are made of: by name, or as test_support in a
    meson.build, with the header of the same name."""
    tracked = tracked_files(root)
    tests = {path for path in tracked if re.search(r"_(test|fuzz)\w*\.[ch]$", path)}
    for path in tracked:
        if not path.startswith("src/") or not path.endswith("/meson.build"):
            continue
        text = re.sub(r"#.*", "", read_text(root / path))
        for names in re.findall(r"\btest_support\s*\+?=\s*([^\])]*)", text):
            for name in re.findall(r"'([^']+)\.c'", names):
                stem = f"{Path(path).parent}/{name}"
                tests |= {stem + ".c", stem + ".h"} & set(tracked)
    return tests


def read_text(path):
    return path.read_text(encoding="utf-8", errors="replace")


C_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def strip_c(text, keep_strings=False):
    """Blanks comments, and the inside of strings unless kept; lines stay where they are."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)
    return C_TOKEN.sub(blank, text)


class Report:
    """Collects faults; an exception in allow.toml takes one away; each exception must be used."""

    def __init__(self, tool, root):
        self.tool = tool
        self.faults = []
        self.allowed = self._read_allowed(root / ALLOW_FILE)
        self.used = set()

    def _read_allowed(self, path):
        if not path.exists():
            raise CheckError(f"{path} is missing: the table of reasoned exceptions")
        try:
            entries = tomllib.loads(path.read_text()).get("allow", [])
        except tomllib.TOMLDecodeError as error:
            raise CheckError(f"{path}: {error}") from error
        allowed = {}
        for entry in entries:
            if set(entry) != {"rule", "path", "name", "reason"} or len(entry["reason"]) < 10:
                raise CheckError(f"{path}: {entry}: an entry has rule, path, name and a reason")
            if entry["rule"] not in RULES:
                raise CheckError(f"{path}: no rule is called '{entry['rule']}'; "
                                 f"rules: {', '.join(RULES)}")
            allowed[(entry["rule"], entry["path"], entry["name"])] = entry
        return allowed

    def fault(self, rule, path, line, name, text):
        """name says which function, symbol or table entry; '' stands for the whole file."""
        assert rule not in RULES or RULES[rule] == self.tool
        key = (rule, str(path), name)
        if key in self.allowed:
            self.used.add(key)
            return
        place = f"{path}:{line}" if line else str(path)
        self.faults.append(f"{place}: {text} [{rule}]")

    def finish(self, summary, rules=None):
        """Prints the outcome; returns the exit code. rules: those that ran (None: the tool's)."""
        for key, entry in self.allowed.items():
            owned = RULES[entry["rule"]] == self.tool and (rules is None or entry["rule"] in rules)
            if owned and key not in self.used:
                self.faults.append(f"{ALLOW_FILE}: the exception {key} allows nothing that exists; "
                                   "remove it [unused-exception]")
        for fault in sorted(set(self.faults)):
            print(fault)
        count = len(set(self.faults))
        print(f"{self.tool}: {summary}: " + (f"{count} fault(s)" if count else "well"))
        return 1 if count else 0


def run_tool(main):
    try:
        sys.exit(main())
    except CheckError as error:
        print(f"{Path(sys.argv[0]).name}: cannot run: {error}", file=sys.stderr)
        sys.exit(2)
