"""A peer program as a child process: commands in, answers and events out (see README.md)."""

import collections
import json
import os
import pathlib
import shlex
import subprocess
import threading
import time

START_TIMEOUT_S = 30
EXIT_TIMEOUT_S = 10
STDERR_TAIL_LINES = 20


class Failure(Exception):
    """A peer did not do what the contract says; the text is for the report."""


def check_program(name, program):
    if not pathlib.Path(program).is_file():
        raise Failure(f"{name}: there is no {program}; tools/install-interop builds the stock "
                      "peers, and the Tern build its own once tools/install interop has run")


class Peer:
    """One running peer. Any thread of its own only reads; the caller's thread does the rest."""

    def __init__(self, name, program, arguments, prefix=(), environment=None):
        """Prefix is what the command line starts with, environment what is added to our own."""
        self.name = name
        self.command = [*prefix, str(program), *arguments]
        check_program(name, program)
        self.events = []
        self._answers = {}
        self._next_id = 0
        self._arrived = threading.Condition()
        self._ended = False
        self._stderr = collections.deque(maxlen=STDERR_TAIL_LINES)
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", bufsize=1, env={**os.environ, **(environment or {})})
        self._readers = [threading.Thread(target=target, daemon=True)
                         for target in (self._read_stdout, self._read_stderr)]
        for reader in self._readers:
            reader.start()

    def _read_stdout(self):
        for text in self._process.stdout:
            try:
                line = json.loads(text)
            except ValueError:
                line = {"event": "not JSON", "text": text}
            line["received_s"] = time.monotonic()
            with self._arrived:
                if line.get("event") == "result":
                    self._answers[line.get("id")] = line
                else:
                    self.events.append(line)
                self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    def _read_stderr(self):
        for text in self._process.stderr:
            self._stderr.append(text.rstrip("\n"))

    def _wait(self, found, timeout_s, what):
        """The first true value of found(), which runs under the lock after every line."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                value = found()
                if value:
                    return value
                if self._ended:
                    raise Failure(f"{self.name} ended while waiting for {what}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure(f"{self.name}: no {what} within {timeout_s} s")
                self._arrived.wait(left)

    def ready(self):
        """Waits for the ready event and keeps what it says."""
        event = self.wait_event("ready", START_TIMEOUT_S)
        self.peer_id = event["peer_id"]
        self.addrs = event["addrs"]
        self.implementation = event["implementation"]
        if not all(addr.endswith("/p2p/" + self.peer_id) for addr in self.addrs):
            raise Failure(f"{self.name}: ready addresses lack the peer id: {self.addrs}")
        return self

    def wait_event(self, kind, timeout_s, **members):
        """The first event of that kind that has these members."""
        def found():
            for event in self.events:
                if event.get("event") == kind and members.items() <= event.items():
                    return event
            return None
        return self._wait(found, timeout_s, f"{kind} event {members or ''}".rstrip())

    def has_event(self, kind, **members):
        with self._arrived:
            return any(event.get("event") == kind and members.items() <= event.items()
                       for event in self.events)

    def forget_events(self):
        with self._arrived:
            self.events.clear()

    def messages(self, topic):
        with self._arrived:
            return [event for event in self.events
                    if event.get("event") == "message" and event.get("topic") == topic]

    def send(self, cmd, **members):
        """Sends a command without waiting; answer() waits for what it says."""
        self._next_id += 1
        line = json.dumps({"id": self._next_id, "cmd": cmd, **members})
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Failure(f"{self.name}: cannot take {cmd}: {error}") from error
        return self._next_id, cmd

    def answer(self, sent, timeout_s):
        """The answer to a sent command, which may be a refusal."""
        number, cmd = sent
        return self._wait(lambda: self._answers.get(number), timeout_s, f"answer to {cmd}")

    def ask(self, cmd, timeout_s=20, **members):
        """Runs a command that must succeed."""
        answer = self.answer(self.send(cmd, **members), timeout_s)
        if answer.get("ok") is not True:
            raise Failure(f"{self.name}: {cmd} failed: {answer.get('error')}")
        return answer

    def end(self, by_quit):
        """Ends the peer in one of the contract's two ways; it must exit 0."""
        try:
            if by_quit:
                self.send("quit")
            self._process.stdin.close()
            code = self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            how = "quit" if by_quit else "the end of stdin"
            raise Failure(f"{self.name} still runs {EXIT_TIMEOUT_S} s after {how}") from None
        except OSError as error:
            raise Failure(f"{self.name} had ended: {error}") from error
        if code != 0:
            raise Failure(f"{self.name} exited with {code}")

    def kill(self):
        """Ends the peer whatever its state; for cleaning up."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(EXIT_TIMEOUT_S)

    def describe(self):
        """The command line and the end of stderr, for the report of a failure."""
        tail = "\n".join(f"      {line}" for line in self._stderr) or "      (nothing on stderr)"
        return f"    {self.name}: {shlex.join(self.command)}\n{tail}"
