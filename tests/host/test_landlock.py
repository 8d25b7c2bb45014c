"""Landlock: its table of rights, and each act that a domain stops or leaves alone, done for real in a forked child."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import statistics
import struct
import subprocess
import time

import confined
import pytest
from confined import IDENTITIES, attempt, under_rules

from sandbox.linux import keyring, landlock, landproof, libc, prctl, trial
from sandbox.linux.landlock import Ruleset

#: The ABI of this kernel; what it does not know yet is expected to be let through.
ABI = landlock.usable_abi()


def since(level, stopped, otherwise="None"):
    """What is seen of an act that Landlock knows from this ABI on."""
    return stopped if level <= ABI else otherwise


@pytest.fixture
def place():
    yield from confined.folder()


def content(path):
    with open(path, "rb") as stream:
        return stream.read()


@pytest.fixture(autouse=True)
def present():
    assert landlock.abi(), "this kernel has no Landlock: boot it with lsm=landlock,... (Linux 5.13 or newer)"


def test_the_masks_of_every_abi_are_those_of_the_kernel():
    full = {level: landlock.handled_by(level).attributes() for level in range(1, 8)}

    assert [len(full[level]) for level in range(1, 8)] == [8, 8, 8, 16, 16, 24, 24]
    assert [struct.unpack_from("=Q", full[level])[0] for level in range(1, 8)] == [
        *(0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF)
    ]
    assert struct.unpack("=3Q", full[6]) == (0xFFFF, 3, 3)
    assert landlock.handled_by(99) == landlock.handled_by(landlock.NEWEST)


def test_the_abi_of_this_kernel_is_usable_as_a_whole():
    assert 1 <= landlock.usable_abi() == min(landlock.abi(), landlock.NEWEST)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_kernel_without_landlock_has_abi_0(monkeypatch, number):
    monkeypatch.setattr(libc, "syscall", refusing(number))

    assert landlock.abi() == 0
    assert landlock.usable_abi() == 0
    assert landproof.self_test() == "this kernel has no landlock"
    with pytest.raises(OSError, match="no landlock") as caught:
        Ruleset().restrict()
    assert caught.value.errno == errno.EOPNOTSUPP


def test_any_other_refusal_is_an_error(monkeypatch):
    monkeypatch.setattr(libc, "syscall", refusing(errno.EPERM))

    with pytest.raises(OSError, match="refused") as caught:
        landlock.abi()
    assert caught.value.errno == errno.EPERM


def refusing(number):
    def syscall(_name, _number, *_arguments):
        raise OSError(number, "refused")

    return syscall


def test_a_kernel_that_promises_more_than_it_takes_is_used_as_far_as_it_goes(monkeypatch, place):
    create = landlock._create

    def reluctant(handled):
        if "truncate" in handled.fs:
            raise OSError(errno.EINVAL, "an older kernel")
        return create(handled)

    monkeypatch.setattr(landlock, "_create", reluctant)

    assert landlock.usable_abi() == min(2, ABI)
    text = attempt(under_rules_told(read=(place,)))
    assert text == {1: "abi 1: 13 file rights", 2: "abi 2: 14 file rights"}.get(
        landlock.abi(), f"abi 2 of {landlock.abi()}: 14 file rights"
    )


def under_rules_told(**rules):
    def act():
        prctl.forgo_new_privileges()
        return Ruleset(**rules).restrict().text()

    return act


def test_what_is_in_force_is_told():
    count = {1: 13, 2: 14, 3: 15, 4: 15}.get(ABI, 16)
    rights = [f"{count} file rights"]
    rights += ["bind_tcp", "connect_tcp"] * (ABI >= 4) + ["abstract_unix_socket", "signal"] * (ABI >= 6)
    promised = f" of {landlock.abi()}" if landlock.abi() > ABI else ""

    assert attempt(under_rules_told()) == f"abi {ABI}{promised}: {', '.join(rights)}"
    assert "tcp" not in attempt(under_rules_told(network=True))


@pytest.mark.parametrize("identity", IDENTITIES)
def test_the_self_test_finds_nothing(place, identity):
    assert attempt(lambda: landproof.self_test(place), identity) == ""
    assert os.listdir(place) == [], "it leaves nothing behind"


def test_the_self_test_names_every_act_that_is_not_stopped(monkeypatch, place):
    """Each right off, one after the other, while the domain claims to have it, as on a kernel that lies."""
    real = landlock.handled_by
    everything = real(ABI)
    acts = {
        "read_file": "reading",
        "read_dir": "listing",
        "write_file": "writing",
        "truncate": "truncating",
        "make_reg": "making a file was not stopped",
        "make_dir": "making a folder",
        "make_sym": "making a link",
        "make_fifo": "making a pipe",
        "remove_file": "removing",
        "refer": "moving what is granted: EXDEV",
        "ioctl_dev": "a device's ioctl",
        "bind_tcp": "binding a TCP port",
        "connect_tcp": "connecting by TCP",
        "abstract_unix_socket": "a socket outside",
        "signal": "a signal to the outside",
    }
    known = {*everything.fs, *everything.net, *everything.scope}
    # What an earlier test of this process warmed would grant rights that the weak ruleset does not handle: EINVAL.
    monkeypatch.setattr(landlock, "_granted", landlock._granted.__wrapped__)
    for right, what in [(right, what) for right, what in acts.items() if right in known]:
        weak = landlock.Handled(
            fs=tuple(name for name in everything.fs if name != right),
            net=tuple(name for name in everything.net if name != right),
            scope=tuple(name for name in everything.scope if name != right),
        )
        monkeypatch.setattr(landlock, "handled_by", lambda _level, weak=weak: weak)
        monkeypatch.setattr(landlock, "Domain", lambda **facts: REAL_DOMAIN(**{**facts, "handled": everything}))
        assert what in landproof.self_test(place), right


REAL_DOMAIN = landlock.Domain


@pytest.mark.parametrize("level", range(1, max(ABI, 1) + 1))
def test_every_older_abi_can_be_put_in_force(place, level):
    secret = os.path.join(place, "secret")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("x")

    assert attempt(under_rules(lambda: open(secret, "rb").close(), use=level)) == "EACCES"
    truncated = attempt(under_rules(lambda: os.truncate(secret, 0), use=level))
    assert truncated == ("None" if level < 3 else "EACCES")
    bound = attempt(under_rules(bind, use=level))
    assert bound == ("None" if level < 4 else "EACCES")
    outside = os.getpid()
    assert attempt(under_rules(lambda: os.kill(outside, 0), use=level)) == ("None" if level < 6 else "EPERM")


def bind():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))


def test_before_abi_2_no_file_moves_between_folders(place):
    for name in ("a", "b"):
        os.mkdir(os.path.join(place, name))
    open(os.path.join(place, "a", "x"), "w", encoding="utf-8").close()

    def move():
        os.rename(os.path.join(place, "a", "x"), os.path.join(place, "b", "x"))

    assert attempt(under_rules(move, write=(place,), use=1)) == "EXDEV"
    assert attempt(under_rules(move, write=(place,))) == since(2, "None", "EXDEV")


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_rule_for_reading_lets_read_and_execute_and_nothing_else(place, identity):
    inner = os.path.join(place, "data")
    os.mkdir(inner, 0o777)
    os.chmod(inner, 0o777)
    file = os.path.join(inner, "file")
    with open(file, "w", encoding="utf-8") as stream:
        stream.write("abc")
    os.chmod(file, 0o666)
    rules = {"read": (inner, "/usr", "/lib", "/lib64", "/bin")}

    def under(act):
        return attempt(under_rules(act, **rules), identity)

    assert under(lambda: content(file)) == "b'abc'"
    assert under(lambda: os.listdir(inner)) == "['file']"
    assert under(lambda: subprocess.run(["/bin/true"], check=True).returncode) == "0"
    assert under(lambda: open(file, "r+b").close()) == "EACCES"
    assert under(lambda: os.truncate(file, 3)) == since(3, "EACCES")
    assert under(lambda: os.unlink(file)) == "EACCES"
    assert under(lambda: os.rename(file, file + "2")) == "EACCES"
    assert under(lambda: os.mkdir(os.path.join(inner, "d"))) == "EACCES"
    assert under(lambda: os.listdir(place)) == "EACCES"
    assert attempt(under_rules(lambda: os.execv("/bin/true", ["true"]), read=(inner,)), identity) == "EACCES"


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_rule_for_writing_lets_do_all_but_make_device_nodes(place, identity):
    def work():
        os.chdir(place)
        os.makedirs("a/b")
        with open("a/x", "w", encoding="utf-8") as stream:
            stream.write("#!/bin/true\n")
        os.chmod("a/x", 0o755)
        os.rename("a/x", "a/b/x")
        os.link("a/b/x", "a/y")
        os.symlink("y", "a/z")
        os.mkfifo("a/fifo")
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind("a/sock")
        os.truncate("a/y", 3)
        os.truncate("a/y", 0)
        os.unlink("a/y")
        os.rename("a/b", "b")
        return sorted(os.listdir("a"))

    rules = {"read": ("/usr", "/lib", "/lib64", "/bin"), "write": (place,)}
    assert attempt(under_rules(work, **rules), identity) == "['fifo', 'sock', 'z']"
    # 0:0, which overlay file systems use as a mark, is the one that an ordinary user may make.
    node = os.path.join(place, "node")
    assert attempt(lambda: os.mknod(node, 0o020600, 0), identity) == "None"
    os.unlink(node)
    assert attempt(under_rules(lambda: os.mknod(node, 0o020600, 0), **rules), identity) == "EACCES"


@pytest.mark.parametrize("identity", IDENTITIES)
def test_single_files_and_devices_get_the_rights_that_files_can_have(place, identity):
    file = os.path.join(place, "file")
    open(file, "w", encoding="utf-8").close()
    os.chmod(file, 0o666)

    def work():
        with open(file, "w", encoding="utf-8") as stream:
            stream.write("x")
        with open("/dev/null", "w", encoding="utf-8") as stream:
            stream.write("x")
            fcntl.ioctl(stream, 0x5401, b"\0" * 64)  # a question that only a terminal answers

    assert attempt(under_rules(work, write=(file, "/dev/null")), identity) == "ENOTTY"
    assert attempt(under_rules(lambda: os.unlink(file), write=(file,)), identity) == "EACCES"
    assert attempt(under_rules(lambda: content(file), read=(file,)), identity) == "b'x'"


def test_a_rule_can_name_an_open_descriptor_that_stays_open(place):
    open(os.path.join(place, "x"), "w", encoding="utf-8").close()

    def act():
        fd = os.open(place, os.O_PATH)
        prctl.forgo_new_privileges()
        Ruleset(read=(fd,)).restrict()
        os.fstat(fd)
        return os.listdir(place)

    assert attempt(act) == "['x']"


def test_what_was_open_before_stays_open(place):
    def act():
        before = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        prctl.forgo_new_privileges()
        Ruleset().restrict()
        return os.listdir(before)

    assert attempt(act) == "[]"


def test_a_path_that_is_not_there_is_named(place):
    path = os.path.join(place, "absent")

    def act():
        try:
            Ruleset(read=("/usr", path)).restrict()
        except OSError as error:
            return f"{errno.errorcode[error.errno]} {error}"
        return "in force"

    text = trial.run(act)
    assert text.startswith("ENOENT")
    assert f"landlock rule for '{path}'" in text


def test_a_descriptor_that_is_not_open_is_named():
    def act():
        try:
            Ruleset(write=(4000,)).restrict()
        except OSError as error:
            return str(error)
        return "in force"

    assert "landlock rule for descriptor 4000: Bad file descriptor" in trial.run(act)


def test_without_no_new_privs_an_ordinary_user_gets_no_domain():
    def act():
        if not os.geteuid():
            confined.become(confined.ORDINARY)
        try:
            Ruleset().restrict()
        except OSError as error:
            return f"{error.errno} {error}"
        return "in force"

    text = trial.run(act)
    assert text.startswith(f"{errno.EPERM} ")
    assert "landlock_restrict_self" in text


def test_a_domain_is_inherited_and_can_only_become_narrower(place):
    inner, outer = os.path.join(place, "inner"), os.path.join(place, "outer")
    for path in (inner, outer):
        os.mkdir(path)

    def act():
        Ruleset(read=(place,)).restrict()
        first = attempt(lambda: os.listdir(outer))
        second = attempt(under_rules(lambda: os.listdir(outer), read=(inner,)))
        third = attempt(under_rules(lambda: os.mkdir(os.path.join(outer, "d")), write=(place,)))
        return first, second, third

    assert attempt(under_rules(act, read=(place,))) == "('[]', 'EACCES', 'EACCES')"


@pytest.mark.parametrize("identity", IDENTITIES)
def test_with_network_the_loopback_works_and_without_it_is_refused(identity):
    def talk():
        # No name is looked up: that would read files outside the rules.
        with socket.socket() as server, socket.socket() as client:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"x")
                return accepted.recv(1)

    assert attempt(under_rules(talk, network=True), identity) == "b'x'"
    assert attempt(under_rules(talk), identity) == since(4, "EACCES", "b'x'")


def test_sockets_and_signals_work_inside_a_domain():
    def act():
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind("")
            server.listen(1)
            client.connect(server.getsockname())
        os.kill(os.getpid(), 0)
        child = os.fork()
        if not child:
            while True:
                time.sleep(60)
        os.kill(child, 9)
        return os.waitpid(child, 0)[1]

    assert attempt(under_rules(act)) == "9"


def test_how_long_it_takes_is_told(place):
    def act():
        prctl.forgo_new_privileges()
        took = []
        for _ in range(10):
            start = time.perf_counter()
            Ruleset(read=("/",), write=(place, "/")).restrict()
            took.append(time.perf_counter() - start)
        return f"{statistics.median(took) * 1e3:.3f} ms for a domain of three rules"

    text = trial.run(act)
    print(f"\nlandlock: {text}")
    assert text.endswith("three rules")


# -- the session keyring


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_new_session_keyring_hides_the_keys_of_the_old_one(identity):
    def act():
        def session():
            return libc.syscall("keyctl", 250 if os.uname().machine == "x86_64" else 219, 0, -3, 1)

        keyring.join_new_session()
        before = session()
        joined = keyring.join_new_session()
        return joined, session() != before

    assert attempt(act, identity) == "(True, True)"


def test_only_a_kernel_without_keys_is_forgiven(monkeypatch):
    monkeypatch.setattr(libc, "syscall", refusing(errno.ENOSYS))
    assert keyring.join_new_session() is False

    monkeypatch.setattr(libc, "syscall", refusing(errno.EDQUOT))
    with pytest.raises(OSError, match="refused"):
        keyring.join_new_session()
