"""Programs under measurement: servers that answer lines, clients that print one result."""

import json
import os
import queue
import subprocess
import tempfile
import threading
import time

START_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 30


class Failure(Exception):
    """A program did not do its part; the text is for the report."""


class Server:
    """A process that says {"event":"ready"} and then answers commands, one JSON line each."""

    def __init__(self, name, command):
        self.name = name
        self._lines = queue.Queue()
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=self._stderr, text=True, bufsize=1)
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def wait(self, member, timeout_s):
        """The next line that has this member."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failure(f"{self.name}: no {member} within {timeout_s} s") from None
            if line is None:
                raise Failure(f"{self.name} ended early: {tail(self._stderr)}")
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if member in value:
                return value

    def wait_ready(self, timeout_s=START_TIMEOUT_S):
        self.ready = self.wait("event", timeout_s)
        return self

    def ask(self, command, member):
        try:
            self._process.stdin.write(json.dumps({"id": 1, "cmd": command}) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Failure(f"{self.name} takes no {command}: {error}") from error
        return self.wait(member, ANSWER_TIMEOUT_S)

    def cpu(self):
        return self.ask("cpu", "cpu_seconds")["cpu_seconds"]


def tail(file):
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:]) or "nothing on stderr"


def run_client(name, command, timeout_s):
    """Runs a program to its end; its JSON line, and the CPU seconds it took."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        deadline = time.monotonic() + timeout_s
        while True:
            # wait4 alone tells what this one child took.
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid != 0:
                break
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise Failure(f"{name}: still running after {timeout_s} s: {' '.join(command)}")
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Failure(f"{name}: exit status {process.returncode}: {tail(err)}")
        out.seek(0)
        try:
            result = json.loads(out.read())
        except ValueError:
            raise Failure(f"{name}: no result: {tail(err)}") from None
        return result, usage.ru_utime + usage.ru_stime
