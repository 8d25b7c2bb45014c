"""The filter of system calls: from a table to a program, and into the kernel (seccomp(2), Linux 3.17).

A call that the table does not name is allowed. A call made by another processor's convention (32-bit code on a 64-bit
kernel, x32) kills the process: its numbers mean other calls. Under any filter the kernel refuses nothing less than
before, and a script can only add filters that deny more.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import itertools
import struct
from typing import TYPE_CHECKING, Final

from sandbox.linux import bpf, libc, prctl, syscalls, trial
from sandbox.linux.denied import DENIED, Rule, When

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KILL_PROCESS: Final = 0x80000000
ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000

#: AUDIT_ARCH_* of <linux/audit.h>, in the order of `syscalls.ARCHITECTURES`.
_AUDIT_ARCH: Final = (0xC000003E, 0xC00000B7)
#: Set in the number of every x32 call (<asm/unistd.h>), which has the AUDIT_ARCH of x86_64.
_X32: Final = 0x40000000

# Offsets in struct seccomp_data; both processors are little-endian, so the low half of an argument comes first.
_NR: Final = 0
_ARCH: Final = 4
_ARGUMENTS: Final = 16

_SET_MODE_FILTER: Final = 1


def errno_answer(number: int) -> int:
    """The filter's answer that gives the caller this errno."""
    return _ERRNO | number


def assemble(table: Sequence[Rule] = DENIED, architecture: str = "") -> bytes:
    """Makes the filter of a table.

    Args:
        table: what is denied.
        architecture: one of `syscalls.ARCHITECTURES`; "" means the one this process runs on.

    Returns:
        An array of struct sock_filter.

    Raises:
        ValueError: a call or the processor is unknown, a rule can never apply, or the program is too long.
    """
    architecture = architecture or syscalls.here()
    if architecture not in syscalls.ARCHITECTURES:
        raise ValueError(
            f"no filter can be made for processor '{architecture}': {' and '.join(syscalls.ARCHITECTURES)}"
        )
    rules = _by_number(table, architecture)
    program: list[bpf.Step] = [
        bpf.Load(_ARCH),
        bpf.IfEqual(_AUDIT_ARCH[syscalls.ARCHITECTURES.index(architecture)], "ours", "kill"),
        bpf.Label("ours"),
        bpf.Load(_NR),
    ]
    if architecture == "x86_64":
        program.append(bpf.IfAnyBit(_X32, "kill"))
    # Calls that are always denied come first: their answer needs the number alone, which newer kernels work out once.
    for number, found in sorted(rules.items(), key=lambda item: (bool(item[1][0].when), item[0])):
        if found[0].when:
            program += _on_arguments(number, found)
        else:
            program.append(bpf.IfEqual(number, f"errno {found[0].answer}"))
    program.append(bpf.Label("allow"))
    program.append(bpf.Answer(ALLOW))
    for answer in sorted({rule.answer for rule in table}):
        program += [bpf.Label(f"errno {answer}"), bpf.Answer(errno_answer(answer))]
    program += [bpf.Label("kill"), bpf.Answer(KILL_PROCESS)]
    return bpf.link(program)


def _by_number(table: Sequence[Rule], architecture: str) -> dict[int, list[Rule]]:
    """The rules of each call that this processor has, in their order."""
    rules: dict[int, list[Rule]] = {}
    for rule in table:
        for call in rule.calls:
            number = syscalls.number(call, architecture)
            if number is None:
                continue
            known = rules.setdefault(number, [])
            if known and not known[-1].when:
                raise ValueError(f"system call '{call}' is denied already: '{rule.why}' can never apply")
            if known and not rule.when:
                raise ValueError(f"system call '{call}' has rules on its arguments: deny it altogether in one rule")
            known.append(rule)
    return rules


def _on_arguments(number: int, rules: Sequence[Rule]) -> Iterator[bpf.Step]:
    yield bpf.IfEqual(number, f"call {number}", f"past {number}")
    yield bpf.Label(f"call {number}")
    for place, rule in enumerate(rules):
        past = f"past rule {place} of {number}"
        for count, when in enumerate(rule.when):
            yield from _condition(when, f"held {count} of rule {place} of {number}", past)
        yield bpf.Goto(f"errno {rule.answer}")
        yield bpf.Label(past)
    yield bpf.Goto("allow")
    yield bpf.Label(f"past {number}")


def _condition(when: When, holds: str, fails: str) -> Iterator[bpf.Step]:
    yield bpf.Load(_ARGUMENTS + 8 * when.argument)
    if when.any_bit:
        yield bpf.IfAnyBit(when.any_bit, holds, fails)
    elif when.one_of:
        for value in when.one_of:
            yield bpf.IfEqual(value, holds)
        yield bpf.Goto(fails)
    else:
        for value in when.none_of:
            yield bpf.IfEqual(value, fails)
    yield bpf.Label(holds)


def digest(program: bytes) -> str:
    """Names a filter for the record: SHA-256 of its instructions, in hexadecimal."""
    return hashlib.sha256(program).hexdigest()


def install(program: bytes) -> None:
    """Puts the calling thread, and all that it starts, under this filter for ever.

    Args:
        program: what `assemble` returned.

    Raises:
        OSError: no_new_privs is not set (EACCES), or the kernel has no filters or does not take this one (EINVAL).
    """
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: count of instructions, and where they are.
    header = struct.pack("@HP", len(program) // bpf.INSTRUCTION.size, ctypes.addressof(code))
    memory = ctypes.create_string_buffer(header, len(header))
    libc.syscall("seccomp", syscalls.number_here("seccomp"), _SET_MODE_FILTER, 0, ctypes.addressof(memory))


def self_test(program: bytes | None = None, table: Sequence[Rule] = DENIED) -> str:
    """Makes every denied call in a forked child under the filter, with arguments that do no harm if it is let through.

    Args:
        program: the filter; None means the one of the table.
        table: what the filter denies.

    Returns:
        "" when every call got its answer, else what did not.

    Raises:
        OSError: the child could not be made.
    """
    code = assemble(table) if program is None else program
    found = [trial.run(lambda: _try_all(code, table))]
    if syscalls.here() == "x86_64":
        said = trial.run(lambda: _try_x32(code))
        found.append("" if said.endswith("SIGSYS") else f"an x32 call was not stopped ({said})")
    return "; ".join(text for text in found if text)


def _try_all(program: bytes, table: Sequence[Rule]) -> str:
    prctl.forgo_new_privileges()
    install(program)
    found = []
    for rule in table:
        for call in rule.calls:
            number = syscalls.number(call, syscalls.here())
            if number is None:
                continue
            try:
                libc.syscall(call, number, *harmless(rule))
                got = 0
            except OSError as error:
                got = error.errno or 0
            if got != rule.answer:
                found.append(f"{call} answered {errno.errorcode.get(got, 'nothing')}")
    return "; ".join(found)


def _try_x32(program: bytes) -> str:
    prctl.forgo_new_privileges()
    install(program)
    try:
        return f"getpid answered {libc.syscall('getpid', _X32 | 39)}"
    except OSError as error:
        return str(error)


def harmless(rule: Rule) -> list[int]:
    """Arguments to which a rule applies, and which the kernel refuses if the call comes through.

    -1 is no address, no descriptor and no process, and it holds flags that exclude each other.
    """
    arguments = [-1] * 6
    for when in rule.when:
        if when.one_of:
            arguments[when.argument] = when.one_of[0]
        elif when.none_of:
            arguments[when.argument] = next(value for value in itertools.count(1) if value not in when.none_of)
    return arguments
