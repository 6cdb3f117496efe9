"""One stream over a long and wide path, and the first byte over it, in virtual time: Tern alone."""

import subprocess

from . import ways
from .machine import number, output_of
from .process import Failure

def one_way(program, way, sizes, add):
    text = output_of([program, "byte", way])
    add("byte_rtts", number(text, r"^[^,]*: ([\d.]+) round trips"))
    if way == "quic":
        add("resumed_rtts", number(text, r"resumed: ([\d.]+) round trips"))
    count = sizes.path_bytes["quic" if way == "quic" else "link"]
    text = output_of([program, "stream", way, str(count)])
    add("share", number(text, r": ([\d.]+) % of the path"))
    add("steady", number(text, r"([\d.]+) % in the second half"))


def path(programs, sizes, results):
    if programs.path is None:
        return
    print("simulated path of 63 ms and 5 Gbit/s", flush=True)
    for key, way in ways.IN_MEMORY.items():
        try:
            one_way(programs.path, way, sizes,
                    lambda what, value, key=key: results.add((what, key), "tern", value))
        except (Failure, subprocess.TimeoutExpired) as failure:
            results.fail("tern", f"path, {way}: {failure}")
            continue
        print(f"  {way}: {results.median(('byte_rtts', key), 'tern'):.2f} round trips to the first "
              f"byte, {results.median(('share', key), 'tern'):.1f} % of the path, "
              f"{results.median(('steady', key), 'tern'):.1f} % steady", flush=True)
