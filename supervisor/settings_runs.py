"""Settings of a run: what it may use, and what holds for its instrument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import StrictBool, StrictInt  # noqa: TC002  # the model reads its annotations when it is built

from sandbox.limits import KEYS
from supervisor.settingtypes import (
    ByName,
    Instrument,
    LimitText,
    ReadOnlyTemplate,
    Section,
    Size,
    setting,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class LimitOverrides(Section):
    """Limits of one instrument or RB; what is not named keeps the value of `[limits]`."""

    memory: LimitText = None
    wall: LimitText = None
    cpu: LimitText = None
    processes: LimitText = None
    open_files: LimitText = None
    file_size: LimitText = None
    output: LimitText = None
    files: LimitText = None
    log: LimitText = None
    tmp: LimitText = None
    grace: LimitText = None
    cpus: LimitText = None

    def written(self) -> dict[str, Any]:
        """Returns the limits that are named, as they were written."""
        return {key: getattr(self, key) for key in KEYS if getattr(self, key) is not None}


class LimitSettings(LimitOverrides):
    """Limits of every run.

    Sizes as "8 GiB", times as "2 h", counts plain, "none" for no limit. New values hold for runs started
    later.
    """

    memory: LimitText = setting(
        "8 GiB", "Memory of all processes of a run together; reached: the run is killed, `memory_limit`."
    )
    wall: LimitText = setting(
        "4 h", "Time by the clock; reached: the run is asked to end and killed after `grace`, `wall_limit`."
    )
    cpu: LimitText = setting(
        "none", "Processor time of all processes together; reached: the run is ended, `cpu_limit`."
    )
    processes: LimitText = setting(
        256, "Processes and threads at one time; reached: starting another fails inside the script."
    )
    open_files: LimitText = setting(
        1024, "Open files of each process; reached: opening another fails inside the script."
    )
    file_size: LimitText = setting(
        "none", "Size of any one file; reached: writing on fails inside the script, `output_limit` if it dies of it."
    )
    output: LimitText = setting("20 GiB", "All bytes in the output folder; reached: the run is killed, `output_limit`.")
    files: LimitText = setting(
        100_000, "Files and folders in the output folder; reached: the run is killed, `output_limit`."
    )
    log: LimitText = setting(
        "10 MiB",
        "Log that is kept; beyond it the middle is left out and the run goes on, beyond 64 times as much it "
        "ends, `log_limit`.",
    )
    tmp: LimitText = setting("2 GiB", "Bytes in the private temporary folder; reached: recorded beside the verdict.")
    grace: LimitText = setting("10 s", "Time between the request to end and the kill.")
    cpus: LimitText = setting(
        "none", "Processors a run may use at one time, for example 2 or 0.5; reached: it is slowed down."
    )
    instrument: Annotated[dict[Instrument, LimitOverrides], ByName] = setting({}, "Other limits for one instrument.")
    rb: Annotated[dict[str, LimitOverrides], ByName] = setting(
        {}, "Other limits for one RB number; they win over those of its instrument."
    )


class InstrumentSettings(Section):
    """One instrument; the table is named after it. One without a table has the defaults."""

    enabled: StrictBool = setting(
        True, "`false` lets the instrument's runs wait until it is `true` again; none is lost."
    )
    concurrency: StrictInt = setting(
        0,
        "Runs of this instrument at one time on this host, whatever slots are free; reached: its others wait, or go to "
        "another host. It bounds each host for itself, not the fleet. 0 for no bound.",
        ge=0,
        le=10_000,
    )
    mode: Literal["auto", "module", "program"] = setting(
        "auto",
        'How the script is run: "module" imports it and calls main(input_file, output_dir), "program" runs it'
        ' with both as arguments. "auto" decides by the family of the message; for 2016 it is "module".',
    )
    require: Literal["", "none", "contained", "hostile"] = setting(
        "",
        "Least isolation this instrument's runs must get; a host that cannot give it leaves them to others. Empty "
        "takes that of `[isolation]`, which an instrument can only raise.",
    )
    network: StrictBool = setting(
        False,
        "Let the script use the network of the host. `false` leaves it a loopback of its own, and any other address is "
        'refused at once; at level "none" nothing separates a script from the network.',
    )
    read_only: tuple[ReadOnlyTemplate, ...] = setting(
        (),
        "Further folders and files that the script may read, besides its data file's folder; {instrument}, {rb} and "
        '{cycle} stand for the run\'s own. At level "none" a script reads what the service user may read.',
        examples=['["/isis/NDX{instrument}/user/masks"]'],
    )


class Isolation(Section):
    """Isolation of scripts."""

    require: Literal["none", "contained", "hostile"] = setting(
        "contained",
        'Least isolation a run must get; a host that cannot give it takes no run. "contained" closes a script off by '
        "namespaces, a tree of files of its own, and filters of system calls; "
        '"hostile" asks also for control groups, Landlock, and results that lie in a sized memory file system until '
        'they are filed. "none" only limits and measures scripts; it needs `allow_unsafe`. `doctor` says what a host '
        "proves.",
    )
    allow_unsafe: StrictBool = setting(
        False,
        'Allow `require = "none"`: scripts may then read and write all that the service user may, and disturb other '
        "runs. For tests, and for sites that trust every script.",
    )

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        if self.require == "none" and not self.allow_unsafe:
            yield 'require is "none"; write "contained", or allow_unsafe = true if you trust every script'


class Skip(Section):
    """How a script says that it skipped its run."""

    anywhere: StrictBool = setting(
        False,
        'Take an exception as a skip when "skip" stands anywhere in its text. `false` asks that the text begins with '
        "it, in any letter case.",
    )


class Provenance(Section):
    """What is recorded beside each result."""

    data_limit: Size = setting(
        "4 GiB",
        "Data files up to this size are recorded with the SHA-256 of the whole file; larger ones with size, "
        "modification time and the SHA-256 of their first and last MiB, since reading them again would cost more than "
        "it tells. 0 reads no file whole.",
    )
