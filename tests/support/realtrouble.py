"""A store that is really in trouble: a full, a read-only or a frozen file system, in a mount namespace of its own.

python tests/support/realtrouble.py full|readonly|frozen|mounted FOLDER

It is to be started below `unshare --mount`: its mounts are seen by nobody else and go with it. Prints what `status` said
in trouble, and ends with 0 when every run that was submitted before, during and after it has its result. With `mounted`
the archive's data are mounted while a box waits that cannot see it, and what is printed is why the run was put off.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT)]

from fleetsite import FleetSite  # noqa: E402  # found on the path above
from scenarios import good, outcomes  # noqa: E402  # ditto
from troubles import told  # noqa: E402  # ditto

from sandbox.linux import proctree  # noqa: E402  # ditto
from supervisor import durable  # noqa: E402  # ditto

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Begins the trouble, and ends it.
    Phases: TypeAlias = tuple[Callable[[], None], Callable[[], None]]

#: Of the file system with the store: small enough to be filled in a moment.
_SIZE = 8 << 20


def _say(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def _full(store: str) -> Phases:
    """Memory that is filled to the last byte, and emptied again."""
    _say("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", store)
    filler = os.path.join(store, "filler")

    def fill() -> None:
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    return fill, lambda: os.unlink(filler)


def _readonly(store: str) -> Phases:
    """A read-only view of the same folder is laid over it; what is open stays writable, as after a failing server."""

    def cover() -> None:
        _say("mount", "--bind", store, store)
        _say("mount", "-o", "remount,bind,ro", store)

    return cover, lambda: _say("umount", store)


def _frozen(store: str) -> Phases:
    """A file system on a device of its own: whoever writes to it waits in the kernel until it is thawed."""
    image = store + ".img"
    with open(image, "wb") as file:
        file.truncate(4 * _SIZE)
    _say("mkfs.ext4", "-q", "-F", image)
    _say("mount", "-o", "loop", image, store)
    os.chmod(store, 0o777)  # a folder of this test, in a namespace of its own
    return lambda: _say("fsfreeze", "--freeze", store), lambda: _say("fsfreeze", "--unfreeze", store)


#: Takes nothing but the data that were mounted.
_READER = """
def main(input_file, output_dir):
    assert open(input_file, "rb").read() == b"mounted"
    open(output_dir + "/result", "w").close()
"""


def mounted(base: Path) -> int:
    """Mount the folder of the data between the shepherd's look at them and the word to go; return 0 when it ran."""
    site = FleetSite(base / "site", level="contained")
    with site:
        site.serve()
        site.arm("shepherd", "box.start before", "stop")
        site.submit("job", site.message("1", _READER))
        shepherd = site.until(site.stopped, "the shepherd to stand before its word to go")
        site.until(lambda: site.victims().script, "the box to stand")
        folder = site.data("1").parent
        _say("mount", "-t", "tmpfs", "none", str(folder))
        site.data("1").write_bytes(b"mounted")
        proctree.send(shepherd, signal.SIGCONT)
        site.settle()
        first, *_, last = outcomes(site).values()
        print(first["why"], flush=True)
        assert [first["kind"], last["kind"], last.get("verdict")] == ["retry", "committed", "completed"], (first, last)
        assert durable.exists(site.layout.job("job").published)
        site.stop_supervisor()
    return 0


_KINDS = {"full": _full, "readonly": _readonly, "frozen": _frozen}


def main(kind: str, base: Path) -> int:
    """Play it; return 0 when nothing was lost."""
    site = FleetSite(base / "site")
    store = site.base / "store"
    store.mkdir()
    with site:
        begin, end = _KINDS[kind](str(store))
        site.serve()
        site.submit("before", site.message("1", good("before")))
        site.settle()
        begin()
        what = site.until(lambda: told(site), "status to tell")
        print(what, flush=True)
        if kind != "frozen":  # there this process would wait in the kernel as well
            body = site.message("2", good("during"))
            try:
                site.submit("during", body)
            except OSError as error:
                print(f"submit: {error}", flush=True)
            else:
                print("submit: taken", flush=True)
        assert site.restarts == 0
        end()
        site.until(lambda: not told(site), "status to be well")
        site.submit("during", site.message("2", good("during")))
        site.submit("after", site.message("3", good("after")))
        site.settle()
        kinds = [found["kind"] for found in outcomes(site).values()]
        assert kinds == ["committed"] * 3, kinds
        for job in ("before", "during", "after"):
            assert durable.exists(site.layout.job(job).published), job
        site.stop_supervisor()
    return 0


if __name__ == "__main__":
    sys.exit(mounted(Path(sys.argv[2])) if sys.argv[1] == "mounted" else main(sys.argv[1], Path(sys.argv[2])))
