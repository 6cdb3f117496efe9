"""One stream over a long and wide path, and the first byte over it, in virtual time: Tern alone."""

import re
import subprocess

from .machine import output_of
from .process import Failure

WAYS = {"tcp": "tcp+noise", "tls": "tcp+tls", "ws": "ws+noise", "quic": "quic"}


def figure(text, pattern):
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise Failure(f"bench_path printed {text.strip()!r}")
    return float(found.group(1))


def one_way(program, way, sizes, add):
    text = output_of([program, "byte", way])
    add("byte_rtts", figure(text, r"^[^,]*: ([\d.]+) round trips"))
    if way == "quic":
        add("resumed_rtts", figure(text, r"resumed: ([\d.]+) round trips"))
    count = sizes.path_bytes["quic" if way == "quic" else "link"]
    text = output_of([program, "stream", way, str(count)])
    add("share", figure(text, r": ([\d.]+) % of the path"))
    add("steady", figure(text, r"([\d.]+) % in the second half"))


def path(programs, sizes, results):
    if programs.path is None:
        return
    print("simulated path of 63 ms and 5 Gbit/s", flush=True)
    for key, way in WAYS.items():
        try:
            one_way(programs.path, way, sizes,
                    lambda what, value, key=key: results.add((what, key), "tern", value))
        except (Failure, subprocess.TimeoutExpired) as failure:
            results.fail("tern", f"path, {way}: {failure}")
            continue
        print(f"  {way}: {results.median(('byte_rtts', key), 'tern'):.2f} round trips to the first "
              f"byte, {results.median(('share', key), 'tern'):.1f} % of the path, "
              f"{results.median(('steady', key), 'tern'):.1f} % steady", flush=True)
