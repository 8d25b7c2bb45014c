"""The command on a store that lies, by the word of this program, on another file system than it does.

`python injectedmount.py '{"kind": "nfs4", "options": "rw,...", "boot": "..."}' VERB ...` is `autoreduce-supervisor VERB
...` where the table of mounts says so of the store; everything else is real. `MountedElsewhere` is a site of such a host.
"""

from __future__ import annotations

import json
import sys

from embedded import Embedded

from sandbox.linux import proctree
from supervisor import cli, storeground
from supervisor.mounted import Mount

NFS = {"kind": "nfs4", "source": "server:/export", "options": "rw,vers=4.2,hard,local_lock=none"}


class MountedElsewhere(Embedded):
    """A site whose store lies on what `mount` says."""

    mount = NFS

    def command(self, verb, *arguments):
        _, *words = super().command(verb, *arguments)
        assert words[:2] == ["-m", "supervisor.cli"]
        return [sys.executable, __file__, json.dumps(self.mount), *words[2:]]


def inject(kind, source, options, boot="", recover=""):
    """Have the store of this process lie on a mount."""
    mount = Mount(point="/shared", kind=kind, source=source, options=frozenset(options.split(",")))
    storeground.read = lambda path: storeground.of(mount, recover=recover)
    if boot:
        proctree.boot_id = lambda: boot


if __name__ == "__main__":
    inject(**json.loads(sys.argv[1]))
    sys.exit(cli.main(sys.argv[2:]))
