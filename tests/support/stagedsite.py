"""What is the same on every host of a staged fleet: the times of the locks, the configuration, and the script of its jobs."""

from __future__ import annotations

from dataclasses import dataclass

INSTRUMENT = "GEM"
CONFIG = """
[broker]
url = "{broker}"
heartbeat = "2 s"
[store]
path = "{base}/store"
poll = "50 ms"
[host]
id = "{host}"
slots = 2
memory = "1 TiB"
[service]
run_dir = "{base}/{host}/run"
[spool]
path = "{base}/{host}/spool"
[queues]
{queues}
[replies]
gap = "0 s"
[lock]
beat = "300 ms"
self_kill_after = "{self_kill}"
takeover_after = "{takeover}"
[publish]
max_attempts = 5
give_up = "{give_up}"
[limits]
grace = "300 ms"
[isolation]
require = "none"
allow_unsafe = true
[interpreter]
argv = ["{python}", "-I", "-S"]
[paths]
data_roots = ["{base}/data"]
result_roots = ["{base}/archive"]
archive_directory = "{base}/archive/{{rb}}{{run}}/"
ceph_directory = "{base}/archive/ceph/{{rb}}/{{run}}/"
excitation_directory = "{base}/archive/excitations/{{rb}}/"
version_directory = ""
script = "{base}/scripts/{{instrument}}/reduce.py"
variables = "{base}/scripts/{{instrument}}/reduce_vars.py"
"""

#: A script that says when it begins, notices another one of its RB that lives, and waits for a sign if it is told to.
SCRIPT = """
import fcntl, os, time
signs, job, rb, gated = {signs!r}, {job!r}, {rb!r}, {gated!r}
def main(input_file, output_dir):
    box = os.open(os.path.join(signs, "box-" + rb), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(box, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        open(os.path.join(signs, "overlap-" + job), "w").close()
    open(os.path.join(signs, "began-" + job), "a").write("x")
    while gated and not os.path.exists(os.path.join(signs, "go-" + job)):
        time.sleep(0.01)
    for name in ("a.txt", "b.txt"):
        with open(os.path.join(output_dir, name), "w") as file:
            file.write(rb + " " + job)
"""


@dataclass(frozen=True, kw_only=True)
class Times:
    """The times of a lock, all hosts the same; `beat` is 300 ms."""

    self_kill: str
    takeover: str
    #: Beats of every living host in which nothing changes: then nothing will. More than every pause of a poll
    #: (`storepoller._COOL`), and twice `takeover` where hosts are taken over.
    still: int


#: Where a host is to be taken over.
QUICK = Times(self_kill="1 s", takeover="2 s", still=25)
#: Where none is: a machine under load takes nobody for dead.
CALM = Times(self_kill="60 s", takeover="120 s", still=12)
