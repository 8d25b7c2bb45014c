"""The configuration as typed, frozen sections: each key with its default, its unit and what happens when it is reached.

Here stands the root, `Settings`, with the sections of the service itself; those of messages and of runs have modules of
their own. A setting is written down once: the commented sample `etc/autoreduce/supervisor.toml` and the page
`docs/reference/config.md` are generated from these classes (`supervisor.configdoc`). Defaults stand here as an operator
writes them ("10 s", "8 GiB") and pass the same checks as a file. The model is pure: whether a file exists is asked by
`supervisor.configfiles`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from sandbox.levels import LEVELS
from sandbox.limits import Limits, format_duration
from supervisor import whereabouts
from supervisor.settings_interpreter import Interpreter
from supervisor.settings_messages import Broker, Queues, Replies
from supervisor.settings_metrics import Metrics
from supervisor.settings_paths import PathSettings
from supervisor.settings_runs import InstrumentSettings, Isolation, LimitSettings, Provenance, Skip
from supervisor.settings_seeing import Log
from supervisor.settings_tune import Tune
from supervisor.settingtypes import ByName, Duration, Instrument, Line, OptionalPath, OwnFolder, Section, Size, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.profiles import Profile


#: Tombstones should be remembered at least for this many seconds: 90 d, and longer than a broker keeps a message.
_DAY = 86400.0
_REMEMBER = 90 * _DAY
#: What an instrument without a section has; asked for ten thousand jobs in a row, so not made anew each time.
_UNNAMED = InstrumentSettings()


class Store(Section):
    """The shared store: one folder, seen by every host of the fleet."""

    path: OwnFolder = setting(
        "/var/lib/autoreduce-supervisor/store",
        "Folder of the store. On one machine any local folder serves; a fleet needs one on a shared file "
        "system with working locks.",
        restart=True,
    )
    max_waiting: StrictInt = setting(
        100_000,
        "Most runs that may wait in the store; reached: messages stay with the broker until runs have ended, "
        "and `status` says so.",
        ge=1,
        le=100_000_000,
    )
    poll: Duration = setting(
        "1 s", "Pause between two looks at the store; the longest delay before another host's work is seen.", gt=0
    )
    keep: Duration = setting(
        "30 d",
        "Time for which a published job is kept whole; after it a small record remains, which `why` still tells, and "
        "which keeps its message from running again. Results in the archive are never touched.",
        gt=0,
    )
    remember: Duration = setting(
        "365 d",
        "Time for which that record is kept; after it a redelivery of the same message would run again. "
        "`check-config` warns below 90 d.",
        gt=0,
    )
    unproven: StrictBool = setting(
        False,
        "Serve from a network file system although no recorded pass of `doctor --peer` names this host, or its mount "
        "breaks locks. Two runs of one RB may then overlap; the log, `status` and `doctor` say so.",
        restart=True,
    )


class Host(Section):
    """This host."""

    id: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9._-]{0,60}$")] = setting(
        "",
        "Name of this host in the store, unique in the fleet; empty takes the machine id and the host name.",
        restart=True,
    )
    slots: StrictInt = setting(
        0, "Runs at one time; reached: further runs wait. 0 takes one for each core.", ge=0, le=10_000
    )

    memory: Size = setting(
        0,
        "Memory for runs: one starts only if its `limits.memory` fits beside those of the runs under way, else it "
        "waits, or goes to a host that has room. A run without a limit has the host to itself. 0 takes nine tenths of "
        "the host's memory, or of the least limit of the control groups that the service is in; but never less than "
        "the `limits.memory` of every run.",
    )
    cpus: StrictFloat | StrictInt = setting(
        0,
        "Processors for runs: as for memory, by `limits.cpus`; runs without that limit are bound by the slots alone. "
        "0 takes every core.",
        ge=0,
        le=100_000,
        allow_inf_nan=False,
    )
    reserve_after: Duration = setting(
        "5 min",
        "A run that waited for room on this host for so long gets it next: smaller ones begin only where they leave "
        "it room.",
    )

    def slot_count(self, cores: int) -> int:
        """Returns how many runs may go at one time on a host with so many cores."""
        return self.slots or max(1, cores)


class Service(Section):
    """The service itself."""

    RESTART: ClassVar[bool] = True

    user: Line = setting(
        "",
        "User that everything runs as when started as root: folders of the service that are missing, and its control "
        "groups, are made first and handed over. Empty keeps the user who starts it.",
    )
    run_dir: OwnFolder = setting(whereabouts.RUN_DIR, "Folder of sockets and pid files, on this host.")
    log: OptionalPath = setting("", "Log file; empty logs to standard error, where the journal picks it up.")


class Spool(Section):
    """Scratch space of running boxes."""

    RESTART: ClassVar[bool] = True

    path: OwnFolder = setting(
        "/var/tmp/autoreduce-supervisor",  # noqa: S108  each box makes a folder of its own in it, mode 0700
        "Local folder in which each run gets its scratch, output and temporary files; needs room for `slots` "
        "times `limits.output`.",
    )


class Retry(Section):
    """Retry of runs that the site kept from starting.

    Data not there yet, archive not writable, scratch full. A script's error is never retried.
    """

    by: Literal["supervisor", "producer"] = setting(
        "supervisor",
        'Who retries: "supervisor" keeps the run and tries it again in silence; "producer" answers at once '
        "with an error that carries `retry_in`, as in 2016, and forgets the run.",
    )
    first: Duration = setting(
        "1 min", "Wait before the second attempt; it doubles with each attempt, up to `delay`.", gt=0
    )
    delay: Duration = setting(
        "6 h", "Longest wait between two attempts, and the `retry_in` that a producer is told.", gt=0
    )
    cap: StrictInt = setting(
        12, "Attempts in all; reached: the run ends as `unavailable` with an error reply.", ge=1, le=1000
    )
    jitter: StrictFloat = setting(
        0.2,
        "Random share by which a wait is lengthened or shortened, 0 to 1, so that a fleet does not come back "
        "all at once.",
        ge=0,
        le=1,
        allow_inf_nan=False,
    )


class Lock(Section):
    """The lock of an RB. All hosts of a fleet need the same values."""

    RESTART: ClassVar[bool] = True

    beat: Duration = setting("10 s", "Pause between two signs of life of a run.", gt=0)
    self_kill_after: Duration = setting(
        "60 s", "A run whose signs of life do not reach the store for this long ends itself, and runs again.", gt=0
    )
    takeover_after: Duration = setting(
        "180 s",
        "A run of another host without a sign of life for this long, on a host without one either, is taken over.",
        gt=0,
    )

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        beat, kill, take = (format_duration(time) for time in (self.beat, self.self_kill_after, self.takeover_after))
        if self.self_kill_after < 3 * self.beat:
            yield (
                f"self_kill_after ({kill}) is less than three beats of {beat}; one late beat would kill a good run: "
                f"write at least {format_duration(3 * self.beat)}"
            )
        if self.takeover_after < 2 * self.self_kill_after:
            yield (
                f"takeover_after ({take}) is less than twice self_kill_after ({kill}); another host would begin while "
                f"a run that lost its lock still computes: write at least {format_duration(2 * self.self_kill_after)}"
            )


class Publish(Section):
    """Publishing of results."""

    give_up: Duration = setting(
        "24 h",
        "Longest time of trying to put a finished result into the archive; reached: it stays in staging and "
        "an error is sent.",
        gt=0,
    )
    unplaceable_after: Duration = setting(
        "24 h",
        "Time for which no host of the fleet, living or not, could give a run its isolation or its interpreter; "
        "reached: it ends as `refused`. Until then it waits, and `runs` says for what.",
        gt=0,
    )
    max_attempts: StrictInt = setting(
        3,
        "Times that a run may vanish with its supervisor or host and without a reason of ours; reached: it "
        "ends as `gave_up`.",
        ge=1,
        le=100,
    )


class Settings(Section):
    """The whole configuration."""

    broker: Broker = Broker()
    store: Store = Store()
    host: Host = Host()
    service: Service = Service()
    spool: Spool = Spool()
    queues: Queues = Queues()
    replies: Replies = Replies()
    paths: PathSettings = PathSettings()
    limits: LimitSettings = LimitSettings()
    interpreter: Interpreter = Interpreter()
    instrument: Annotated[dict[Instrument, InstrumentSettings], ByName] = setting({}, "One instrument.")
    retry: Retry = Retry()
    lock: Lock = Lock()
    publish: Publish = Publish()
    isolation: Isolation = Isolation()
    skip: Skip = Skip()
    provenance: Provenance = Provenance()
    tune: Tune = Tune()
    log: Log = Log()
    metrics: Metrics = Metrics()

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        for name, own in self.instrument.items():
            if own.require and LEVELS.index(own.require) < LEVELS.index(self.isolation.require):
                yield (
                    f'instrument.{name}.require: "{own.require}" is less than isolation.require '
                    f'("{self.isolation.require}"), which an instrument can only raise; write '
                    f'"{self.isolation.require}" or a higher one, or leave the key out'
                )

    def cautions(self) -> Iterator[str]:
        """Yields what can be used, and somebody should know."""
        if self.store.remember < _REMEMBER:
            yield (
                f"store.remember: a message that is delivered again after {self.store.remember / _DAY:g} d runs "
                f"again; write at least {_REMEMBER / _DAY:g} d, and more than brokers and producers keep messages"
            )

        usual = self.limits_for("").memory
        if self.host.memory and (usual is None or usual > self.host.memory):
            yield (
                "host.memory: a run with the limits.memory of every run does not fit, so that this host takes only "
                "those whose instrument or RB has a smaller one; raise host.memory, or lower limits.memory"
            )

    def limits_for(self, instrument: str, rb: str | None = None) -> Limits:
        """Returns the limits of a run: those of `[limits]`, over them its instrument's, over them its RB's."""
        limits = Limits().replace_from(self.limits.written())
        for table, name in ((self.limits.instrument, instrument.upper()), (self.limits.rb, rb or "")):
            if name in table:
                limits = limits.replace_from(table[name].written())
        return limits

    def interpreter_for(self, instrument: str, software: str = "") -> Profile:
        """Returns the interpreter of a run, as far as it is known before its script is seen.

        Raises:
            NoProfile: the site offers software by name, but not this.
        """
        return self.interpreter.profiles().choose(instrument.upper(), software)

    def instrument_for(self, instrument: str) -> InstrumentSettings:
        """Returns the settings of an instrument; one without a section has the defaults."""
        return self.instrument.get(instrument.upper(), _UNNAMED)

    def floor_for(self, instrument: str) -> str:
        """Returns the least isolation that runs of an instrument must get: "none", "contained" or "hostile"."""
        return self.instrument_for(instrument).require or self.isolation.require
