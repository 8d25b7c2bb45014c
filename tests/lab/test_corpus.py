"""The hostile corpus under systemd and control groups of version 2, on a host that gives cores to a program."""

from __future__ import annotations

import json

import pytest

#: An emulated machine plays a case in some seconds.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(4500)]

#: What the kernel hands cores to, as systemd-coredump and apport are: says whose it was told of. A shell that crashes
#: under the usual limit shows that it is.
CORES = """
cat > /tmp/cores <<'END'
#!/bin/sh
echo "$@" >> /tmp/cores.said
cat > /dev/null
END
chmod 755 /tmp/cores
echo '|/tmp/cores %P' > /proc/sys/kernel/core_pattern
sh -c 'ulimit -c 0; echo $$ > /tmp/crashed; kill -ABRT $$'
cmp /tmp/crashed /tmp/cores.said || exit 1
"""
#: The packages lie where every box sees the distribution's; a folder of theirs in the root would be one of the host's.
PLAY = (
    "cp -r packages /usr/local/lib/corpus; mkdir -m 777 /var/tmp/corpus; systemd-run --quiet --wait --pipe -p WorkingDirectory=/mnt/work -p Delegate=yes"
    " --setenv=PYTHONPATH=/mnt/work:/mnt/work/tests/support:/mnt/work/packages --setenv=PYTHONDONTWRITEBYTECODE=1"
    " --setenv=CORPUS_PACKAGES=/usr/local/lib/corpus -p User={user}"
    " python3 tests/support/corpus.py --json --slow 4 --level {level} --folder /var/tmp/corpus"
)


@pytest.mark.parametrize(("user", "level"), [("svc", "hostile"), ("svc", "contained"), ("root", "hostile")])
def test_every_case_ends_as_it_must_and_the_host_does_not_notice(guest, user, level):
    done = guest(
        f"cd /mnt/work\n{CORES}\n{PLAY.format(user=user, level=level)}; cat /tmp/cores.said | wc -l", seconds=2400
    )

    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    assert {row["case"]: row["differences"] for row in rows if row["differences"]} == {}
    skipped = {row["case"]: row["skipped"] for row in rows if row["skipped"]}
    print(f"{len(rows) - len(skipped)} cases played, not played: {skipped}")
    assert len(rows) - len(skipped) >= 240, done.stdout
    assert all(why.startswith(("needs ", "not for level ")) for why in skipped.values()), skipped
    assert done.stdout.split()[-1] == "1", "a program of the host was told of a box's core"
