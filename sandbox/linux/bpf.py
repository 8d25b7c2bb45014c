"""Classic BPF: a program with named jump targets becomes the bytes that the kernel takes (<linux/filter.h>).

Everything here is pure. A jump on a condition reaches 255 instructions at most; where a target is further, the jump
goes to an unconditional one placed right behind it, which reaches anything.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Bytes of one struct sock_filter: code, jump if true, jump if false, constant.
INSTRUCTION: Final = struct.Struct("=HBBI")
#: No program may be longer, in instructions (BPF_MAXINSNS).
LONGEST: Final = 4096

_LD_W_ABS: Final = 0x20
_JMP_JA: Final = 0x05
_JMP_JEQ_K: Final = 0x15
_JMP_JSET_K: Final = 0x45
_RET_K: Final = 0x06
#: How far a jump on a condition reaches.
_REACH: Final = 255


@dataclass(frozen=True, slots=True)
class Load:
    """Loads the 32-bit word at this offset of the data into the accumulator."""

    offset: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Ends the program with this value."""

    value: int


@dataclass(frozen=True, slots=True)
class Goto:
    """Goes on at the label."""

    label: str


@dataclass(frozen=True, slots=True)
class Label:
    """Names the instruction that follows; takes no space."""

    name: str


@dataclass(frozen=True, slots=True)
class IfEqual:
    """Goes on at the label if the accumulator equals `value`, else at `otherwise`, else behind this."""

    value: int
    label: str
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class IfAnyBit:
    """Goes on at the label if the accumulator has any bit of `value`, else at `otherwise`, else behind this."""

    value: int
    label: str
    otherwise: str | None = None


Test = IfEqual | IfAnyBit
Step = Load | Answer | Goto | Label | Test


def link(program: Sequence[Step]) -> bytes:
    """Turns a program into bytes.

    Args:
        program: its steps; jumps lead forward only, as the kernel demands.

    Returns:
        An array of struct sock_filter.

    Raises:
        ValueError: a label is missing, stands twice or lies behind the jump; the end can be run over; or the program
            is too long.
    """
    if not program or not isinstance(program[-1], Answer | Goto):
        raise ValueError("the last step of a program must be an answer")
    far: set[tuple[int, str]] = set()
    while True:
        starts, labels = _places(program, far)
        more = {jump for jump in _long_jumps(program, starts, labels, far) if jump not in far}
        if not more:
            break
        far |= more  # each makes the program longer, and so may make others long
    code = b"".join(
        piece for index, step in enumerate(program) for piece in _encode(index, step, starts[index], labels, far)
    )
    if len(code) > LONGEST * INSTRUCTION.size:
        raise ValueError(f"the program has {len(code) // INSTRUCTION.size} instructions, {LONGEST} are allowed")
    return code


def _targets(step: Test) -> list[str]:
    return [step.label, *([step.otherwise] if step.otherwise else [])]


def _places(program: Sequence[Step], far: set[tuple[int, str]]) -> tuple[list[int], dict[str, int]]:
    """Where each step and each label stands when the `far` jumps have their detour."""
    starts: list[int] = []
    labels: dict[str, int] = {}
    at = 0
    for index, step in enumerate(program):
        starts.append(at)
        if isinstance(step, Label):
            if step.name in labels:
                raise ValueError(f"label '{step.name}' stands twice")
            labels[step.name] = at
            continue
        at += 1
        if isinstance(step, IfEqual | IfAnyBit):
            at += sum((index, label) in far for label in _targets(step))
    return starts, labels


def _long_jumps(
    program: Sequence[Step], starts: Sequence[int], labels: Mapping[str, int], far: set[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    for index, step in enumerate(program):
        if isinstance(step, IfEqual | IfAnyBit):
            for label in _targets(step):
                if (index, label) not in far and _distance(label, starts[index], labels) > _REACH:
                    yield index, label


def _distance(label: str, at: int, labels: Mapping[str, int]) -> int:
    """Instructions between the one at `at` and the label's."""
    if label not in labels:
        raise ValueError(f"label '{label}' is missing")
    if labels[label] <= at:
        raise ValueError(f"label '{label}' lies behind a jump to it")
    return labels[label] - at - 1


def _encode(index: int, step: Step, at: int, labels: Mapping[str, int], far: set[tuple[int, str]]) -> Iterator[bytes]:
    match step:
        case Load(offset):
            yield INSTRUCTION.pack(_LD_W_ABS, 0, 0, offset)
        case Answer(value):
            yield INSTRUCTION.pack(_RET_K, 0, 0, value)
        case Goto(label):
            yield INSTRUCTION.pack(_JMP_JA, 0, 0, _distance(label, at, labels))
        case IfEqual(value) | IfAnyBit(value):
            detours = [label for label in _targets(step) if (index, label) in far]
            jump = [
                detours.index(label) if label in detours else _distance(label, at, labels) for label in _targets(step)
            ]
            jump += [len(detours)] * (2 - len(jump))  # what follows stands behind the detours
            yield INSTRUCTION.pack(_JMP_JEQ_K if isinstance(step, IfEqual) else _JMP_JSET_K, *jump, value)
            for place, label in enumerate(detours, 1):
                yield INSTRUCTION.pack(_JMP_JA, 0, 0, _distance(label, at + place, labels))
