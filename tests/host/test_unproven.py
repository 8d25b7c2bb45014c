"""A host whose store lies on a network file system: it serves when a probe has passed, or when it is told to."""

from __future__ import annotations

import json
import subprocess

import pytest
from embedded import PATIENCE
from injectedmount import NFS, MountedElsewhere
from storemaking import make_store

from supervisor import hosts, rundir

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def site(tmp_path):
    with MountedElsewhere(tmp_path, host={"id": "h1"}) as made:
        make_store(tmp_path)
        yield made


def probe(site):
    """Probe between the host of the site and one that is called h2, by the word of their processes on two machines."""
    both = []
    for host in ("h1", "h2"):
        site.mount = NFS | {"boot": f"boot of {host}"}
        config = site.path(f"{host}.toml")
        with open(site.config) as file, open(config, "w") as copy:
            copy.write(file.read().replace('id = "h1"', f'id = "{host}"'))
        command = site.command("doctor", "--peer", "--cells", "5")
        command[command.index("--config") + 1] = config
        both.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    site.mount = NFS
    said = [each.communicate(timeout=PATIENCE * 3) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert "h1 and h2: locks between them are proven" in said[0][0].replace("h2 and h1", "h1 and h2")


def status(site):
    return json.loads(site.verb("status", "--json").stdout)


def test_a_host_serves_only_once_a_probe_has_passed_and_no_longer_when_its_mount_has_changed(site):
    refused = site.verb("start")
    assert refused.returncode == 78
    assert "no passed probe names host h1 on nfs4" in refused.stderr
    assert rundir.serving(site.run_dir) is None

    probe(site)
    assert site.verb("start").returncode == 0
    assert status(site)["unproven"] == ""
    assert hosts.read_beat(site.layout, "h1").unproven == ""
    job = site.submit(site.message())
    assert site.wait_published(job).verdict == "completed"

    who = rundir.serving(site.run_dir)
    site.mount = NFS | {"options": NFS["options"].replace("4.2", "4.1")}
    refused = site.verb("restart")
    assert refused.returncode == 78
    assert "nothing was stopped" in refused.stderr
    assert "options was vers=4.2 and is vers=4.1" in refused.stderr
    assert rundir.serving(site.run_dir) == who


def test_a_host_that_is_told_to_serves_unproven_and_says_so_everywhere(site):
    site.configure(host={"id": "h1"}, store={"unproven": True})
    site.start()
    job = site.submit(site.message())
    assert site.wait_published(job).verdict == "completed"

    sentence = "locks are unproven: no passed probe names host h1 on nfs4 (server:/export at /shared)"
    assert f"CAUTION: {sentence}" in site.log_text()
    assert hosts.read_beat(site.layout, "h1").unproven.startswith(sentence)
    assert status(site)["unproven"].startswith(sentence)
    assert f"CAUTION: {sentence}" in site.verb("status").stdout
