"""Namespaces, capabilities and loopback, each alone, for root and for an ordinary user."""

from __future__ import annotations

import errno
import os
import textwrap

import pytest
from treebox import Failed, Yard, people

from sandbox.linux import capabilities, loopback, namespaces


@pytest.fixture(params=people())
def yard(request):
    made = Yard(request.param)
    yield made
    made.remove()


def ask(yard, text: str):
    imports = """
        import errno, os
        from sandbox.linux import capabilities, fork, libc, loopback, namespaces, prctl
        uid, gid = os.geteuid(), os.getegid()
        def attempt(act, *args):
            try:
                act(*args)
            except OSError as error:
                return errno.errorcode[error.errno]
            return "done"
    """
    return yard.ask(textwrap.dedent(imports) + textwrap.dedent(text))


def test_this_host_allows_every_namespace(yard):
    assert ask(yard, "result = namespaces.can_unshare()") == ""


def test_trying_leaves_the_caller_where_it_was():
    before = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}

    assert namespaces.can_unshare() == ""

    assert {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")} == before


def test_a_host_that_has_switched_them_off_is_understood(yard):
    # The host's setting has a twin in each user namespace, which its owner may lower.
    found = ask(
        yard,
        """
        namespaces.unshare(("user",))
        namespaces.write_maps(0, 0, uid, gid)
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
        result = namespaces.can_unshare()
        """,
    )

    assert "are refused here" in found
    assert "No space left on device" in found
    assert "raise user.max_user_namespaces" in found


def test_a_chroot_is_understood(yard):
    found = ask(
        yard,
        """
        namespaces.unshare(("user",))
        namespaces.write_maps(0, 0, uid, gid)
        os.chroot("/usr")
        result = namespaces.can_unshare()
        """,
    )

    assert "are refused here" in found
    assert "Operation not permitted" in found
    assert "no chroot" in found


def test_each_namespace_is_left_by_its_name(yard):
    found = ask(
        yard,
        """
        before = {name: os.readlink(f"/proc/self/ns/{name}") for name in namespaces.FLAGS}
        before["pid"] = os.readlink("/proc/self/ns/pid_for_children")
        namespaces.unshare(("user", "uts", "ipc"))
        after = {name: os.readlink(f"/proc/self/ns/{name}") for name in namespaces.FLAGS}
        after["pid"] = os.readlink("/proc/self/ns/pid_for_children")
        result = sorted(name for name in before if before[name] != after[name])
        """,
    )

    assert found == ["ipc", "user", "uts"]


def test_maps_name_one_user_and_one_group_and_deny_more(yard):
    found = ask(
        yard,
        """
        namespaces.unshare(("user",))
        before = os.getuid()
        namespaces.write_maps(1000, 100, uid, gid)
        read = lambda name: open(f"/proc/self/{name}").read().split()
        result = [before, os.getuid(), os.getgid(), read("uid_map")[::2], read("gid_map")[::2], read("setgroups"),
                  attempt(os.setgroups, [])]
        """,
    )

    assert found == [65534, 1000, 100, ["1000", "1"], ["100", "1"], ["deny"], "EPERM"]


def test_a_map_is_written_once(yard):
    with pytest.raises(Failed, match="cannot write 'deny' to /proc/self/setgroups") as failed:
        ask(
            yard,
            """
            namespaces.unshare(("user",))
            namespaces.write_maps(5, 5, uid, gid)
            namespaces.write_maps(5, 5, uid, gid)
            """,
        )

    assert failed.value.number == errno.EPERM


def test_who_became_somebody_else_or_hid_must_be_dumpable_before_maps_are_written(yard):
    found = ask(
        yard,
        """
        if uid == 0:
            os.setgroups([])
            os.setresgid(4242, 4242, 4242)
            os.setresuid(4242, 4242, 4242)
            uid = gid = 4242
        else:
            prctl.hide()
        namespaces.unshare(("user",))
        refused = attempt(namespaces.write_maps, uid, gid, uid, gid)
        namespaces.keep_dumpable()
        namespaces.write_maps(uid, gid, uid, gid)
        result = [refused, os.getuid() == uid]
        """,
    )

    assert found == ["EACCES", True]


def test_an_unknown_namespace_is_an_error():
    with pytest.raises(KeyError):
        namespaces.unshare(("time travel",))


def test_the_host_is_named_in_the_namespace_only(yard):
    found = ask(
        yard,
        """
        import socket
        host = socket.gethostname()
        namespaces.unshare(("user", "uts"))
        namespaces.write_maps(uid, gid, uid, gid)
        namespaces.set_hostname("somewhere")
        result = [host, socket.gethostname()]
        """,
    )

    assert found == [os.uname().nodename, "somewhere"]


def test_loopback_is_down_until_it_is_brought_up(yard):
    found = ask(
        yard,
        """
        namespaces.unshare(("user", "net"))
        namespaces.write_maps(uid, gid, uid, gid)
        before = loopback.is_up()
        loopback.bring_up()
        import socket
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            result = [before, loopback.is_up()]
        """,
    )

    assert found == [False, True]
    assert loopback.is_up()  # the host's own


def test_loopback_without_power_is_an_error_that_names_the_call(yard):
    with pytest.raises(Failed, match=r"ioctl\(SIOCSIFFLAGS, lo\) failed") as failed:
        ask(yard, 'namespaces.unshare(("user",))\nloopback.bring_up()')

    assert failed.value.number == errno.EPERM


DROP = """
namespaces.unshare(("user",))
namespaces.write_maps({uid}, {uid}, uid, gid)
full = capabilities.held()["CapEff"]
capabilities.drop_all()
"""


@pytest.mark.parametrize("inside", [0, 1000])
def test_all_capabilities_go_for_good(yard, inside):
    found = ask(
        yard,
        DROP.format(uid=inside)
        + """
import subprocess
text = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
with open("/tmp/status" + str(os.getpid()), "w") as file:
    file.write(text)
after = capabilities.held(file.name)
os.unlink(file.name)
result = [full > 1 << 30, sorted(set(capabilities.held().values())), sorted(set(after.values())),
          attempt(capabilities.drop_all), attempt(namespaces.set_hostname, "x"), libc.prctl(27)]
""",
    )

    # PR_GET_SECUREBITS: all but "keep capabilities", each with its lock (capabilities(7)).
    assert found == [True, [0], [0], "EPERM", "EPERM", 0b1110_1111]


def test_capabilities_of_a_file_that_is_no_status_are_an_error(tmp_path):
    (tmp_path / "status").write_text("Name:\tx\nCapEff:\t0\n")

    with pytest.raises(ValueError, match="lacks CapInh, CapPrm, CapBnd, CapAmb"):
        capabilities.held(str(tmp_path / "status"))


def test_an_ordinary_process_cannot_drop_its_bounding_set_and_says_so(yard):
    if yard.uid() == 0:
        found = ask(yard, "os.setresuid(4242, 4242, 4242)\nresult = attempt(capabilities.drop_all)")
    else:
        found = ask(yard, "result = attempt(capabilities.drop_all)")

    assert found == "EPERM"
