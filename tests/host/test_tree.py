"""Real boxes of namespaces and tree, for root and for an ordinary user: what is inside, and what is not."""

from __future__ import annotations

import errno
import os
import socket
import textwrap

import pytest
from treebox import Failed, Yard, people

from sandbox import tree
from sandbox.linux import mounts
from sandbox.tree import Bind, Tree, plan_tree

TRY = textwrap.dedent("""
    import errno, os
    def attempt(act, *args, **kw):
        try:
            act(*args, **kw)
        except OSError as error:
            return errno.errorcode[error.errno]
        return "done"
    def write(path, data=b"x"):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while data:
                data = data[os.write(fd, data):]
        finally:
            os.close(fd)
""")


@pytest.fixture(params=people())
def yard(request):
    made = Yard(request.param)
    yield made
    made.remove()


@pytest.fixture(params=[True, False], ids=["by_attributes", "by_remount"])
def modern(request):
    return request.param


def look(yard, text: str, tree=None, **more):
    return yard.ask(TRY + textwrap.dedent(text), tree=tree or plan_tree(yard.facts()), **more)


def test_the_box_is_a_world_of_its_own(yard):
    found = look(
        yard,
        """
        import pwd, socket
        result = {
            "pid": os.getpid(), "uid": os.getuid(), "host": socket.gethostname(), "root": sorted(os.listdir("/")),
            "pids": [n for n in os.listdir("/proc") if n.isdigit()], "name": pwd.getpwuid(os.getuid()).pw_name,
            "home": pwd.getpwuid(os.getuid()).pw_dir, "dev": sorted(os.listdir("/dev")), "run": os.listdir("/run"),
            "mounts": open("/proc/self/mountinfo").read(), "etc": sorted(os.listdir("/etc")),
            "sys": os.listdir("/sys/devices/system"), "cpu": attempt(write, "/sys/devices/system/cpu/online"),
        }
        """,
    )

    assert (found["pid"], found["pids"], found["host"]) == (1, ["1"], "box")
    assert (found["uid"], found["name"], found["home"]) == (yard.uid(), "reduce", "/home/reduce")
    own = {"dev", "etc", "home", "out", "proc", "run", "sys", "tmp", "usr"}
    assert set(found["root"]) == own | set(tree.host_system())
    assert found["dev"] == sorted([*tree.DEVICES, "fd", "stdin", "stdout", "stderr", "shm"])
    assert found["run"] == ["handoff"]
    assert "shadow" not in found["etc"]
    assert found["sys"] == ["cpu"]
    assert found["cpu"] in {"EROFS", "EACCES"}
    assert all("nosuid" in line.split()[5] for line in found["mounts"].splitlines())


def test_what_is_not_named_does_not_exist(yard):
    with open(yard.place("secret"), "w") as file:
        file.write("x")
    places = ["/etc/shadow", "/root", "/work", "/var", "/boot", "/opt", yard.path, yard.place("secret")]

    found = look(yard, f"result = [attempt(os.stat, path) for path in {places!r}]")

    assert found == ["ENOENT"] * len(places)


def test_only_our_own_places_can_be_written(yard, modern):
    data = yard.folder("data/cycle 25_1 — λ", {"run.nxs": "counts"})
    ours = plan_tree(yard.facts(data=(data,)))
    places = [f"{data}/run.nxs", f"{data}/new", "/x", "/etc/passwd", "/usr/x", "/proc/x", "/dev/x", "/run/x", "/home/x"]

    found = look(
        yard,
        f"""
        for path in ("/out/x", "/home/reduce/x", "/run/handoff/x", "/tmp/x", "/dev/shm/x", "/dev/null"):
            write(path)
        result = [attempt(write, path) for path in {places!r}], open({data!r} + "/run.nxs").read()
        """,
        ours,
        modern=modern,
    )

    assert found == [["EROFS", "EROFS", "EROFS", "EROFS", "EROFS", "ENOENT", "EROFS", "EROFS", "EROFS"], "counts"]
    assert os.listdir(yard.place("out")) == os.listdir(yard.place("home")) == os.listdir(yard.place("handoff")) == ["x"]
    assert os.stat(yard.place("out/x")).st_uid == yard.uid()


SETTINGS = """
places = ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches"]
result = [attempt(os.open, path, os.O_WRONLY) for path in places]
"""


def test_the_kernels_settings_cannot_be_opened_for_writing_even_by_root(yard, modern):
    expected = "EROFS" if yard.uid() == 0 else "EACCES"

    assert look(yard, SETTINGS, modern=modern) == [expected] * 2


def test_without_its_cover_roots_box_could_set_the_kernel(yard):
    # User id 0 of the host is enough for most of /proc/sys: no capability is asked for.
    expected = "done" if yard.uid() == 0 else "EACCES"

    found = look(yard, SETTINGS, before="import sandbox.rootfs; sandbox.rootfs._READ_ONLY_PROC = ()")

    assert found == [expected] * 2


def test_tmp_and_shm_end_at_their_bytes_and_at_their_inodes(yard):
    found = look(
        yard,
        """
        result = []
        for folder in ("/tmp", "/dev/shm"):
            fits = attempt(write, folder + "/a", b"x" * (900 << 10))
            full = attempt(write, folder + "/b", b"x" * (200 << 10))
            os.unlink(folder + "/a"); os.unlink(folder + "/b")
            count = 0
            while (ended := attempt(write, f"{folder}/{count}", b"")) == "done" and count < 1000:
                count += 1
            result.append([fits, full, ended, count, oct(os.stat(folder).st_mode & 0o7777)])
        """,
    )

    assert found == [["done", "ENOSPC", "ENOSPC", 99, "0o1777"]] * 2  # the root is the hundredth inode


def test_nothing_can_be_mounted_or_unmounted_inside(yard):
    found = look(
        yard,
        """
        from sandbox.linux import capabilities, mounts
        fd = os.open("/usr", os.O_PATH)
        result = [
            attempt(mounts.tmpfs, "/tmp", size=4096, inodes=10, mode=0o700), attempt(mounts.unmount, "/proc"),
            attempt(mounts.make_private), attempt(mounts.bind, fd, fd), attempt(mounts.bind, fd, fd, modern=False),
            attempt(mounts.change_root, "/tmp"), sorted(set(capabilities.held().values())),
        ]
        """,
        before="import sandbox.linux.capabilities, sandbox.linux.mounts",
    )

    assert found == [*["EPERM"] * 6, [0]]


def test_a_namespace_inside_the_box_cannot_undo_it(yard):
    # Should a filter of system calls ever let it be made: what came from outside is locked there
    # (mount_namespaces(7)), and a fresh proc is refused where one with covered parts is in sight.
    data = yard.folder("data/a", {"run": "x"})

    found = look(
        yard,
        f"""
        from sandbox.linux import fork, libc, mounts, namespaces
        namespaces.unshare(("user", "mnt", "pid"))
        result = [attempt(mounts.unmount, "/proc/sys"), attempt(mounts.unmount, "/proc"), attempt(mounts.unmount, {data!r})]
        for path in ("/", "/proc/sys", {data!r}, "/usr"):
            result.append(attempt(libc.mount, None, path, None, 0x20 | 0x1000 | 0x2 | 0x4 | 0x8))
        def fresh():
            return {{"EPERM": 7}}.get(attempt(mounts.proc, "/tmp"), 1)
        child = fork.fork_into(fresh)
        result.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        plan_tree(yard.facts(data=(data,))),
        before="import sandbox.linux.mounts, sandbox.linux.namespaces",
    )

    assert found == [*["EINVAL"] * 3, *["EPERM"] * 4, 7]


def test_capabilities_do_not_come_back_by_an_exec(yard):
    found = look(
        yard,
        """
        import subprocess
        text = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
        result = [line.split()[1] for line in text.splitlines() if line.startswith("Cap")]
        """,
    )

    assert found == ["0" * 16] * 5


def test_with_capabilities_kept_the_same_acts_succeed(yard):
    # Otherwise the test above would also pass for an act that can never succeed.
    found = look(
        yard,
        """
        from sandbox.linux import capabilities, mounts
        held = capabilities.held()
        result = [
            attempt(mounts.tmpfs, "/tmp", size=4096, inodes=10, mode=0o700), attempt(mounts.unmount, "/tmp"),
            held["CapEff"] != 0, held["CapBnd"] != 0,
        ]
        """,
        before="import sandbox.linux.capabilities, sandbox.linux.mounts",
        keep=False,
    )

    assert found == ["done", "done", True, True]


def test_the_network_is_a_loopback_of_its_own(yard):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        name = f"\0treebox{os.getpid()}"
        abstract.bind(name)
        abstract.listen()
        outside = look_without(yard, server.getsockname(), name)
        inside = look(yard, connecting(server.getsockname(), name))

    assert outside[:2] == ["done", "done"]
    assert inside == ["ECONNREFUSED", "ECONNREFUSED", "done", "ENETUNREACH", ["lo"]]


def look_without(yard, address, name):
    return yard.ask(TRY + textwrap.dedent(connecting(address, name)))


def connecting(address, name: str) -> str:
    return f"""
        import socket
        def connect(family, address):
            with socket.socket(family) as client:
                client.settimeout(20)
                client.connect(address)
        with socket.create_server(("127.0.0.1", 0)) as own:
            loop = attempt(connect, socket.AF_INET, own.getsockname())
        def far():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(("192.0.2.1", 9))
        result = [attempt(connect, socket.AF_INET, {address!r}), attempt(connect, socket.AF_UNIX, {name!r}), loop,
                  attempt(far), [name for _, name in socket.if_nameindex()]]
        """


def test_the_host_has_the_same_mounts_afterwards(yard, modern):
    def mounted():
        with open("/proc/self/mountinfo") as file:
            return file.read()

    before = mounted()

    found = look(yard, 'result = len(open("/proc/self/mountinfo").readlines())', modern=modern)

    assert found > 15
    assert mounted() == before
    assert os.listdir(yard.place("root")) == []


def test_folders_in_one_another_come_out_right(yard, modern):
    outer = yard.folder("data/archive", {"a": "outer"})
    inner = yard.folder("data/archive/inner", {"b": "inner"})
    elsewhere = yard.folder("elsewhere", {"c": "elsewhere"})
    deep = f"{outer}/inner/deep/er"
    os.makedirs(deep)
    binds = (Bind(source=elsewhere, target=deep, writable=True), *(Bind(source=p, target=p) for p in (inner, outer)))
    ours = plan_tree(yard.facts(more=binds))

    found = look(
        yard,
        f"""
        result = [open({outer!r} + "/a").read(), open({inner!r} + "/b").read(), open({deep!r} + "/c").read(),
                  attempt(write, {deep!r} + "/new"), attempt(write, {inner!r} + "/new")]
        """,
        ours,
        modern=modern,
    )

    assert found == ["outer", "inner", "elsewhere", "done", "EROFS"]


def test_a_data_folder_in_usr_is_the_hosts(yard):
    ours = plan_tree(yard.facts(data=("/usr/share",)))

    assert look(yard, 'result = attempt(write, "/usr/share/x"), os.path.isdir("/usr/bin")', ours) == ["EROFS", True]


def test_a_data_folder_reached_by_links_keeps_its_name(yard, modern):
    real = yard.folder("archive/NDXSANS/cycle_25_1", {"run 1.nxs": "counts", "neighbour": "too"})
    os.symlink("archive", yard.place("instruments"))
    os.symlink("instruments/NDXSANS/cycle_25_1", yard.place("current"))
    os.symlink(yard.place("current"), yard.place("data/link"))
    ours = plan_tree(yard.facts(data=(yard.place("data/link"),)))

    found = look(
        yard,
        f"""
        folder = {yard.place("data/link")!r}
        result = [sorted(os.listdir(folder)), attempt(write, folder + "/x"), os.path.realpath(folder + "/run 1.nxs")]
        """,
        ours,
        modern=modern,
    )

    assert found == [["neighbour", "run 1.nxs"], "EROFS", yard.place("data/link/run 1.nxs")]
    assert os.path.isdir(real)


def test_a_link_in_a_shown_folder_leads_on_inside_only(yard):
    archive = yard.folder("archive")
    target = yard.folder("tape/7", {"run": "seven"})
    os.symlink(target, f"{archive}/current")
    os.symlink("/etc/shadow", f"{archive}/shadow")
    ours = plan_tree(yard.facts(readable=(archive,), data=(f"{archive}/current",)))

    found = look(
        yard,
        f'result = [open({archive!r} + "/current/run").read(), attempt(os.stat, {archive!r} + "/shadow")]',
        ours,
    )

    assert found == ["seven", "ENOENT"]


def test_a_mount_point_is_never_made_in_a_folder_of_the_host_that_is_read_only(yard):
    outer = yard.folder("data/archive")
    ours = plan_tree(yard.facts(more=(Bind(source=outer, target=outer), Bind(source=outer, target=f"{outer}/new"))))

    with pytest.raises(Failed, match=r"cannot make .*archive/new") as failed:
        look(yard, "result = 1", ours)

    assert failed.value.number == errno.EROFS
    assert os.listdir(outer) == []


def test_a_source_that_is_gone_is_named(yard):
    folder = yard.place("data/gone 2")

    with pytest.raises(Failed, match=f"cannot show '{folder}' at '{folder}': No such file") as failed:
        look(yard, "result = 1", plan_tree(yard.facts(data=(folder,))))

    assert (failed.value.kind, failed.value.number) == ("FileNotFoundError", errno.ENOENT)


OPENED = """
from dataclasses import replace
import os
fd = os.open(tree.binds[-1].source, os.O_PATH)
tree = replace(tree, binds=(*tree.binds[:-1], replace(tree.binds[-1], source=fd)))
"""


def test_a_descriptor_from_before_the_namespaces_is_bound(yard, modern):
    data = yard.folder("data/a", {"run": "one"})
    ours = plan_tree(yard.facts(more=(Bind(source=data, target="/data"),)))

    assert look(yard, 'result = open("/data/run").read()', ours, before=OPENED, modern=modern) == "one"


def test_a_folder_that_was_replaced_after_it_was_opened_is_refused(yard):
    data = yard.folder("data/a", {"run": "one"})
    os.chmod(yard.path, 0o777)
    ours = plan_tree(yard.facts(more=(Bind(source=data, target="/data"),)))
    swap = OPENED + f"os.rename({data!r}, {yard.place('data')!r} + '/b')\nos.mkdir({data!r})\n"

    # The link in /proc follows a renamed folder, so it is found under its new name and is the same.
    assert look(yard, 'result = open("/data/run").read()', ours, before=swap) == "one"

    gone = OPENED + f"import shutil\nshutil.rmtree({data!r})\n"
    with pytest.raises(Failed, match="cannot show"):
        look(yard, "result = 1", ours, before=gone)


def test_a_folder_of_another_ones_name_is_not_taken_for_it(yard):
    # A removed folder's link in /proc reads "name (deleted)", and anybody can make a folder of that name.
    data = yard.folder("data/a", {"run": "one"})
    os.chmod(yard.place("data"), 0o777)
    ours = plan_tree(yard.facts(more=(Bind(source=data, target="/data"),)))
    swap = OPENED + f"import shutil\nshutil.rmtree({data!r})\nos.mkdir({data!r} + ' (deleted)')\n"

    with pytest.raises(Failed, match="it was replaced after it was opened") as failed:
        look(yard, "result = 1", ours, before=swap)

    assert failed.value.number == errno.ESTALE


def test_a_descriptor_itself_cannot_be_bound_from_outside(yard):
    # Why the builder opens again what it was given open: the kernel says EINVAL (mount(2), open_tree(2)).
    found = yard.ask(
        TRY
        + textwrap.dedent("""
        from sandbox.linux import mounts, namespaces
        early = os.open("/usr", os.O_PATH)
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(("user", "mnt"))
        namespaces.write_maps(uid, gid, uid, gid)
        mounts.make_private()
        late = os.open("/usr", os.O_PATH)
        result = [attempt(mounts.bind, fd, late, modern=way) for fd in (early, late) for way in (True, False)]
        """)
    )

    assert found == ["EINVAL", "EINVAL", "done", "done"]


def test_a_mount_below_a_shown_folder_is_read_only_too(yard, modern):
    data = yard.folder("data/a")
    below = yard.folder("data/a/below")
    code = f"""
        from sandbox import rootfs
        from sandbox.linux import mounts, namespaces
        from sandbox.tree import Bind, Tree
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(("user", "mnt"))
        namespaces.write_maps(uid, gid, uid, gid)
        mounts.make_private()
        mounts.tmpfs({below!r}, size=1 << 20, inodes=10, mode=0o755)
        write({below!r} + "/x")
        tree = Tree(binds=(Bind(source={data!r}, target="/a"), Bind(source={data!r}, target="/w w", writable=True)))
        rootfs.build(tree, {yard.place("root")!r}, modern={modern})
        root = {yard.place("root")!r}
        result = [sorted(os.listdir(root + "/a/below")), attempt(write, root + "/a/below/y"), attempt(write, root + "/a/y"),
                  attempt(write, root + "/w w/below/y")]
    """

    assert yard.ask(TRY + textwrap.dedent(code)) == [["x"], "EROFS", "EROFS", "done"]


def test_mounts_that_cover_each_other_are_made_read_only_where_they_can_be_reached(yard, modern):
    data = yard.folder("data/a")
    below = yard.folder("data/a/below")
    code = f"""
        from sandbox import rootfs
        from sandbox.linux import mounts, namespaces
        from sandbox.tree import Bind, Tree
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(("user", "mnt"))
        namespaces.write_maps(uid, gid, uid, gid)
        mounts.make_private()
        for turn in range(2):
            mounts.tmpfs({below!r}, size=1 << 20, inodes=10, mode=0o755)
            for name in ("/covered", "/" + str(turn)):
                os.mkdir({below!r} + name)
                mounts.tmpfs({below!r} + name, size=1 << 20, inodes=10, mode=0o755)
                mounts.make_read_only({below!r} + name)
        mounts.unmount({below!r} + "/covered")
        write({below!r} + "/top")
        namespaces.unshare(("user", "mnt"))  # from here on flags are locked
        namespaces.write_maps(uid, gid, uid, gid)
        root = {yard.place("root")!r}
        rootfs.build(Tree(binds=(Bind(source={data!r}, target="/a", writable=WRITABLE),)), root, modern={modern})
        result = [sorted(os.listdir(root + "/a/below")), attempt(write, root + "/a/below/y"), attempt(write, root + "/a/y")]
    """
    shown = yard.ask(TRY + textwrap.dedent(code).replace("WRITABLE", "False"))
    writable = yard.ask(TRY + textwrap.dedent(code).replace("WRITABLE", "True"))

    assert shown == [["1", "covered", "top"], "EROFS", "EROFS"]
    assert writable == [["1", "covered", "top"], "done", "done"]


def test_a_remount_that_forgets_a_locked_flag_is_refused(yard):
    # In a user namespace inside another the flags of the outer one are locked (mount_namespaces(7)).
    code = """
        from sandbox.linux import libc, mounts, namespaces
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(("user", "mnt"))
        namespaces.write_maps(uid, gid, uid, gid)
        mounts.make_private()
        mounts.tmpfs("/mnt", size=1 << 20, inodes=10, mode=0o755)
        namespaces.unshare(("user", "mnt"))
        namespaces.write_maps(uid, gid, uid, gid)
        fd = os.open("/mnt", os.O_PATH)
        by_remount = attempt(mounts.bind, fd, fd, modern=False)
        forgetful = attempt(libc.mount, None, "/mnt", None, 0x20 | 0x1000 | 0x1)
        result = [by_remount, forgetful, attempt(write, "/mnt/x")]
    """

    assert yard.ask(TRY + textwrap.dedent(code)) == ["done", "EPERM", "EROFS"]


def test_a_fresh_proc_needs_the_hosts_in_sight(yard):
    # Why the root is changed after /proc is mounted and not before.
    code = f"""
        from sandbox import rootfs
        from sandbox.linux import fork, mounts, namespaces
        from sandbox.tree import Tree
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(("user", "mnt", "pid"))
        namespaces.write_maps(uid, gid, uid, gid)
        root = {yard.place("root")!r}
        rootfs.build(Tree(), root)
        def late():
            mounts.change_root(root)
            return {{"EPERM": 7}}.get(attempt(mounts.proc, "/proc"), 1)
        child = fork.fork_into(late)
        result = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    """

    assert yard.ask(TRY + textwrap.dedent(code)) == 7


def test_attributes_of_mounts_are_used_where_the_kernel_has_them():
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])

    assert mounts.has_attributes() is (release >= (5, 12))


def test_a_tmpfs_without_limits_is_refused():
    with pytest.raises(ValueError, match="would have no limit"):
        mounts.tmpfs("/none", size=0, inodes=10, mode=0o700)


def test_an_empty_tree_shows_nothing(yard):
    assert look(yard, 'result = sorted(os.listdir("/"))', Tree()) == ["proc"]
