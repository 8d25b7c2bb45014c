"""A machine of a staged fleet: one process with a boot id of its own, below which everything of that host stays.

Run as `python hostmachine.py BOOT_FILE`. In a mount namespace of its own the kernel's boot id is covered by BOOT_FILE,
so that two hosts, or two boots of one host, are told apart on one real machine by the code as it is. It adopts orphans:
no process of the host gets away. Each line of standard input is a program to start, as JSON with `argv`, `env` and
`log`; its pid is the answer. At the end of standard input it ends everything below it.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from sandbox.linux import libc, mounts, namespaces, prctl, proctree

#: What `proctree.boot_id` reads.
BOOT_ID = "/proc/sys/kernel/random/boot_id"
_MS_BIND = 0x1000  # <linux/mount.h>


def _boot(path: str) -> None:
    """Have this process, and all that it starts, see the boot id in the file `path`."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        namespaces.unshare(("mnt",))
    else:
        namespaces.unshare(("user", "mnt"))
        namespaces.write_maps(uid, gid, uid, gid)
    mounts.make_private()
    libc.mount(path, BOOT_ID, None, _MS_BIND)


def _start(line: str) -> int:
    order = json.loads(line)
    out = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.posix_spawn(
            order["argv"][0],
            order["argv"],
            order["env"],
            file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), *((os.POSIX_SPAWN_DUP2, out, fd) for fd in (1, 2))],
            setsigdef=[signal.SIGCHLD],
        )
    finally:
        os.close(null)
        os.close(out)


def main() -> None:
    """Serve until standard input ends."""
    _boot(sys.argv[1])
    prctl.adopt_orphans()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    print(os.getpid(), flush=True)
    while line := sys.stdin.readline():
        print(_start(line), flush=True)
    while proctree.stop_then_kill(proctree.below(os.getpid())):
        continue


if __name__ == "__main__":
    main()
