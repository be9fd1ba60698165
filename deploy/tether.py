"""Becomes a given command that ends when its parent does.

`python -I -S tether.py PARENT SIGNAL USER NICE COMMAND...` keeps its process id: it only sets the stage and
execs. PARENT 0 means whoever the parent is; USER `-` means no change of user.

A program of its own, because code between fork and exec in a process with threads (Temporal's client has
some) may deadlock.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


AUTOGROUP = "/proc/self/autogroup"
TRIES = 10


def command(sign: signal.Signals, argv: list[str], user: str = "-", nice: int = 0) -> list[str]:
    """The command line whose process becomes `argv` and gets `sign` when this process dies (Linux only)."""
    ours = [sys.executable, "-I", "-S", str(Path(__file__))]
    return [*ours, str(os.getpid()), str(int(sign)), user, str(nice), *argv]


def step_back(nice: int) -> None:
    """Others go first where processors are short. Whoever calls this leads a session of its own.

    Linux may share the processors among sessions (autogroup), each with a niceness of its own; that of a
    process then counts within its session only.
    """
    os.nice(nice)
    for _ in range(TRIES):
        try:
            Path(AUTOGROUP).write_text(str(nice))
        except BlockingIOError:
            # Of all processes without privileges, one may do this in a tenth of a second.
            time.sleep(0.1)
        except OSError:
            return
        else:
            return


def become(user: str) -> None:
    """Give up root, as Postgres demands.

    A fresh clone often lies under a directory only root may enter (/root). Keeping the one capability that
    passes file permissions avoids what the alternative does: opening that directory to everybody.
    """
    import pwd

    entry = pwd.getpwnam(user)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Without it access(2), by which initdb looks for postgres, disregards the capability we keep.
        ctypes.CDLL(None).prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if sys.platform == "linux":
        keep_reach(ctypes.CDLL(None))


def keep_reach(libc: ctypes.CDLL) -> None:
    """Keep that one capability, or none where it is not ours to keep; never the rest of root's."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    reach = 1 << CAP_DAC_OVERRIDE
    if all(libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)) for mask in (reach, 0)):
        sys.exit("cannot give up root's capabilities")
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def tie(parent: int, sign: int) -> None:
    """Only after the change of user: that clears it. A parent already gone sends nothing, so look."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, sign, 0, 0, 0)
    if parent and os.getppid() != parent:
        sys.exit(f"the parent {parent} is gone")


def main(parent: str, sign: str, user: str, nice: str, *argv: str) -> None:
    if int(nice):
        step_back(int(nice))
    if user != "-":
        become(user)
    if sys.platform == "linux":
        tie(int(parent), int(sign))
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main(*sys.argv[1:])
