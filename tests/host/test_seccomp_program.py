"""The filter as a program: interpreted here, instruction by instruction, and compared with what its table says."""

from __future__ import annotations

import errno
import struct

import pytest

from sandbox.linux import bpf, seccomp, syscalls
from sandbox.linux.denied import DENIED, Rule, When

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FOREIGN = (0x40000003, 0x40000028, 0xC00000B7, 0xC000003E, 0xC00000F3, 0)
VALUES = (0, 1, 2, 3, 8, 10, 16, 17, 38, 40, 0x800, 0x5401, 0x5412, 0x541C, 1024, 0x20000, 0x40000, 0x20008, 0x01200011)
WIDE = (0x3D0F00, 0x10000000, 0x02000000, 0x7E020000, 0x80000000, 0xFFFFFFFF)


def interpret(code, data):
    """Runs classic BPF over a struct seccomp_data and returns its answer and the count of instructions it took."""
    steps = list(struct.iter_unpack("=HBBI", code))
    accumulator, at, taken = None, 0, 0
    while True:
        operation, yes, no, constant = steps[at]
        taken += 1
        at += 1
        if operation == 0x20:  # load a word
            accumulator = struct.unpack_from("=I", data, constant)[0]
        elif operation == 0x05:  # jump
            at += constant
        elif operation == 0x15:  # jump if equal
            at += yes if accumulator == constant else no
        elif operation == 0x45:  # jump if any bit
            at += yes if accumulator & constant else no
        elif operation == 0x06:
            return constant, taken
        else:
            raise AssertionError(f"unknown instruction {operation:#x}")


def ask(code, arch, number, *arguments):
    words = [value & (2**64 - 1) for value in arguments] + [0] * (6 - len(arguments))
    return interpret(code, struct.pack("=IIQ6Q", number, arch, 0x7F00DEADBEEF, *words))[0]


def expected(table, architecture, number, arguments):
    """What the table says in words, without any of the code under test but the table of numbers."""
    if architecture == "x86_64" and number & 0x40000000:
        return seccomp.KILL_PROCESS
    for rule in table:
        if number not in [syscalls.number(call, architecture) for call in rule.calls]:
            continue
        low = [value & 0xFFFFFFFF for value in arguments] + [0] * 6
        if all(
            (when.any_bit and low[when.argument] & when.any_bit)
            or (when.one_of and low[when.argument] in when.one_of)
            or (when.none_of and low[when.argument] not in when.none_of)
            for when in rule.when
        ):
            return 0x00050000 | rule.answer
    return seccomp.ALLOW


@pytest.mark.parametrize("architecture", syscalls.ARCHITECTURES)
def test_every_call_with_many_arguments_gets_the_answer_of_the_table(architecture):
    code = seccomp.assemble(DENIED, architecture)
    arch = ARCH[architecture]
    touchy = {syscalls.number(call, architecture) for rule in DENIED if rule.when for call in rule.calls}
    seen = set()
    for number in (*range(513), 0x40000000, 0x40000027, 0x40000200, 0x7FFFFFFF, 0xFFFFFFFF):
        values = (*VALUES, *WIDE) if number in touchy else (0, 0xFFFFFFFF)
        for first in values:
            for second in values:
                for rest in ((0, 0), (1, 0x22), (0o5600, 0x40022), (15, 0), (0xFFFFFFFF, 0xFFFFFFFF)):
                    arguments = (first, second, *rest)
                    answer = ask(code, arch, number, *arguments)
                    assert answer == expected(DENIED, architecture, number, arguments), (number, arguments)
                    seen.add(answer)
    assert seen >= {seccomp.ALLOW, 0x00050001, 0x0005000C, 0x00050026}
    assert (seccomp.KILL_PROCESS in seen) == (architecture == "x86_64")


@pytest.mark.parametrize("architecture", syscalls.ARCHITECTURES)
def test_calls_by_another_convention_kill_whatever_their_number(architecture):
    code = seccomp.assemble(DENIED, architecture)
    for arch in set(FOREIGN) - {ARCH[architecture]}:
        for number in range(513):
            assert ask(code, arch, number) == seccomp.KILL_PROCESS


#: Name, number on x86_64, number on aarch64, taken from <asm/unistd_64.h> and <asm-generic/unistd.h> by a program.
HEADERS = """
acct 163 89; add_key 248 217; adjtimex 159 171; bpf 321 280; chroot 161 51; clock_adjtime 305 266;
clock_settime 227 112; clone 56 220; clone3 435 435; delete_module 176 106; fanotify_init 300 262; fcntl 72 25;
finit_module 313 273; fsconfig 431 431; fsmount 432 432; fsopen 430 430; fspick 433 433; init_module 175 105;
io_setup 206 0; io_uring_enter 426 426; io_uring_register 427 427; io_uring_setup 425 425; ioctl 16 29; ioperm 173 -;
iopl 172 -; kcmp 312 272; kexec_file_load 320 294; kexec_load 246 104; keyctl 250 219;
landlock_add_rule 445 445; landlock_create_ruleset 444 444; landlock_restrict_self 446 446;
lookup_dcookie 212 18; memfd_create 319 279; memfd_secret 447 447; migrate_pages 256 238; mmap 9 222; modify_ldt 154 -; mount 165 40; mount_setattr 442 442;
move_mount 429 429; move_pages 279 239; open_by_handle_at 304 265; open_tree 428 428; open_tree_attr 467 467;
perf_event_open 298 241; personality 135 92; pidfd_getfd 438 438; pivot_root 155 41; process_madvise 440 440;
process_vm_readv 310 270; process_vm_writev 311 271; ptrace 101 117; quotactl 179 60; quotactl_fd 443 443;
reboot 169 142; request_key 249 218; seccomp 317 277; setns 308 268; settimeofday 164 170; shmget 29 194; socket 41 198;
socketpair 53 199; swapoff 168 225; swapon 167 224; syslog 103 116; umount2 166 39; unshare 272 97;
uselib 134 -; userfaultfd 323 282
"""


def test_every_number_is_that_of_the_headers():
    rows = [row.split() for row in HEADERS.replace("\n", " ").split(";")]
    assert {name for name, _, _ in rows} == set(syscalls._NUMBERS)
    for name, *numbers in rows:
        for architecture, number in zip(syscalls.ARCHITECTURES, numbers, strict=True):
            assert syscalls.number(name, architecture) == (None if number == "-" else int(number)), name
    assert syscalls.number_here("keyctl") == syscalls.number("keyctl", syscalls.here())


def test_a_call_that_a_processor_does_not_have_is_left_out_or_named(monkeypatch):
    assert syscalls.number("iopl", "aarch64") is None
    monkeypatch.setattr(syscalls, "here", lambda: "aarch64")
    with pytest.raises(ValueError, match="processor 'aarch64' has no system call 'iopl'"):
        syscalls.number_here("iopl")


def test_the_best_known_calls_are_denied_and_allowed_by_number():
    code = {architecture: seccomp.assemble(DENIED, architecture) for architecture in ARCH}
    denied = 0x00050000 | errno.EPERM
    absent = 0x00050000 | errno.ENOSYS
    for x86, arm, answer in [
        (165, 40, denied),  # mount
        (155, 41, denied),  # pivot_root
        (101, 117, denied),  # ptrace
        (438, 438, denied),  # pidfd_getfd
        (321, 280, denied),  # bpf
        (435, 435, absent),  # clone3
        (425, 425, absent),  # io_uring_setup
        (73, 32, seccomp.ALLOW),  # flock
        (237, 235, seccomp.ALLOW),  # mbind
        (238, 237, seccomp.ALLOW),  # set_mempolicy
        (319, 279, seccomp.ALLOW),  # memfd_create
        (203, 122, seccomp.ALLOW),  # sched_setaffinity
        (303, 264, seccomp.ALLOW),  # name_to_handle_at
        (59, 221, seccomp.ALLOW),  # execve
        (72, 25, seccomp.ALLOW),  # fcntl
    ]:
        assert ask(code["x86_64"], ARCH["x86_64"], x86) == answer
        assert ask(code["aarch64"], ARCH["aarch64"], arm) == answer


def test_garbage_in_the_high_half_of_an_argument_evades_nothing():
    code, arch = seccomp.assemble(DENIED, "x86_64"), ARCH["x86_64"]
    high = 0xDEAD << 32
    denied = 0x00050000 | errno.EPERM
    assert ask(code, arch, 56, high | 0x10000000 | 17) == denied
    assert ask(code, arch, 16, 0, high | 0x5412) == denied
    assert ask(code, arch, 41, high | 40, 1, 0) == denied
    assert ask(code, arch, 41, 16, 3, high | 15) == denied
    assert ask(code, arch, 41, high | 1, 1, 0) == seccomp.ALLOW
    assert ask(code, arch, 56, high | 17) == seccomp.ALLOW


def test_the_usual_ways_to_make_processes_and_sockets_pass():
    code, arch = seccomp.assemble(DENIED, "x86_64"), ARCH["x86_64"]
    for flags in (17, 0x01200011, 0x3D0F00, 0x4111):  # fork, glibc's fork, a thread, posix_spawn
        assert ask(code, arch, 56, flags) == seccomp.ALLOW
    for family, kind, protocol in [(1, 1, 0), (2, 1, 6), (2, 0x80002, 17), (10, 1, 0)]:
        assert ask(code, arch, 41, family, kind, protocol) == seccomp.ALLOW


@pytest.mark.parametrize("count", [1, 254, 255, 256, 257, 600, 1300])
def test_jumps_of_any_length_arrive(count):
    load = bpf.Load(0)
    middle = [bpf.IfEqual(value, "hit", None) for value in range(10, 10 + count)]
    program = [load, bpf.IfEqual(1, "one", "on"), bpf.Label("on"), bpf.IfAnyBit(1 << 31, "hit", "go"), bpf.Label("go")]
    program += [*middle, bpf.IfEqual(5, "hit", "one"), bpf.Answer(99), bpf.Label("hit"), bpf.Answer(7)]
    program += [bpf.Label("one"), bpf.Answer(8)]
    code = bpf.link(program)

    def answer(word):
        return interpret(code, struct.pack("=I", word))[0]

    assert answer(1) == 8
    assert answer(1 << 31) == 7
    assert [answer(value) for value in range(10, 10 + count)] == [7] * count
    assert answer(5) == 7
    assert answer(10 + count) == 8


def test_both_targets_of_one_condition_may_be_far():
    filler = [bpf.Load(0)] * 400
    program = [bpf.Load(0), bpf.IfEqual(1, "yes", "no"), *filler, bpf.Label("yes"), bpf.Answer(1)]
    program += [*filler, bpf.Label("no"), bpf.Answer(2)]
    code = bpf.link(program)
    assert interpret(code, struct.pack("=I", 1)) == (1, 4)
    assert interpret(code, struct.pack("=I", 0)) == (2, 4)


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ([], "the last step"),
        ([bpf.Load(0)], "the last step"),
        ([bpf.IfEqual(1, "nowhere"), bpf.Answer(1)], "'nowhere' is missing"),
        ([bpf.Label("a"), bpf.Load(0), bpf.IfEqual(1, "a"), bpf.Answer(1)], "'a' lies behind"),
        ([bpf.Label("a"), bpf.Load(0), bpf.Label("a"), bpf.Answer(1)], "'a' stands twice"),
        ([*[bpf.Load(0)] * 4096, bpf.Answer(1)], "4097 instructions"),
    ],
)
def test_a_program_that_the_kernel_would_refuse_is_not_made(program, complaint):
    with pytest.raises(ValueError, match=complaint):
        bpf.link(program)


@pytest.mark.parametrize(
    ("table", "architecture", "complaint"),
    [
        ((Rule(why="", calls=("mout",)),), "x86_64", "'mout'"),
        (DENIED, "riscv64", "riscv64"),
        ((Rule(why="one", calls=("mount",)), Rule(why="two", calls=("mount",))), "x86_64", "denied already: 'two'"),
        (
            (Rule(why="", calls=("ioctl",), when=(When(argument=0, one_of=(1,)),)), Rule(why="", calls=("ioctl",))),
            "x86_64",
            "altogether",
        ),
    ],
)
def test_a_table_with_a_slip_is_not_assembled(table, architecture, complaint):
    with pytest.raises(ValueError, match=complaint):
        seccomp.assemble(table, architecture)


@pytest.mark.parametrize("condition", [{}, {"one_of": (1,), "any_bit": 2}])
def test_a_condition_says_exactly_one_thing(condition):
    with pytest.raises(ValueError, match="one of"):
        When(argument=0, **condition)


def test_the_digest_changes_with_the_table_and_only_with_it():
    assert seccomp.digest(seccomp.assemble()) == seccomp.digest(seccomp.assemble(DENIED))
    assert seccomp.digest(seccomp.assemble()) != seccomp.digest(seccomp.assemble(DENIED[1:]))
    assert len(seccomp.digest(b"")) == 64
