"""Settings of the way in and out: the broker, the names of the queues, and the replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, StrictStr

from supervisor.brokerkinds import KindName  # noqa: TC001  # pydantic reads it
from supervisor.brokerurl import BrokerAddress, parse_address
from supervisor.family import Family
from supervisor.settingtypes import Duration, Line, OptionalPath, OptionalQueue, Queue, Section, Size, Urls, setting

if TYPE_CHECKING:
    from collections.abc import Iterator


class Broker(Section):
    """The message broker."""

    RESTART: ClassVar[bool] = True

    url: Urls = setting(
        "none",
        'Address of the broker: "stomp://host:61613" in clear text, "stomp+ssl://host:61614" with TLS, or a '
        'list of them, tried in turn when one fails. "none" works without a broker: runs come from '
        "`autoreduce-supervisor submit` alone.",
    )
    user: Line = setting("", "Name to log in with; empty logs in without a name.")
    password_file: OptionalPath = setting(
        "",
        "File whose first line is the password. Readable by the service user alone. The password itself never"
        " stands in this file.",
    )
    credential: Annotated[StrictStr, Field(pattern=r"^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*)?$")] = setting(
        "", "Name of a systemd credential (`LoadCredential=`) that holds the password, instead of `password_file`."
    )
    heartbeat: Duration = setting(
        "10 s",
        "STOMP heart-beat in both directions. A broker that is silent for longer than this and its tolerance "
        "counts as lost, and the next address is tried. They cannot be switched off: without them a frozen peer"
        " keeps our messages.",
        ge=0.1,
    )
    prefetch: StrictInt = setting(
        8,
        "Messages the broker may hand over before one is acknowledged. Each is acknowledged as soon as it is "
        "journaled, so a small window is enough; when the store is in trouble the window fills and the broker"
        " keeps the rest.",
        ge=1,
        le=10_000,
    )
    connect_timeout: Duration = setting(
        "10 s", "Longest wait for a connection and its answer; reached: the next address is tried.", gt=0
    )
    receipt_timeout: Duration = setting(
        "30 s",
        "Longest wait for the broker's receipt of a reply; reached: the connection is made anew and the reply"
        " sent again.",
        gt=0,
    )
    ca_file: OptionalPath = setting(
        "", "Certificates (PEM) that may sign the broker's; empty trusts those of the system."
    )
    cert_file: OptionalPath = setting("", "Our own certificate (PEM), if the broker asks for one; needs `key_file`.")
    key_file: OptionalPath = setting("", "Private key (PEM) of `cert_file`.")
    vhost: Line = setting("", "STOMP virtual host; empty sends the host name of the address.")
    text_messages: StrictBool = setting(
        True,
        "Send replies as text messages, as today's consumers expect. `false` sends them with a content "
        "length, which ActiveMQ turns into byte messages.",
    )

    kind: KindName = setting(
        "auto",
        'What the broker is: "classic" (ActiveMQ Classic), "artemis" (Apache Artemis) or "portable" (any other that '
        'speaks STOMP 1.2). "auto" goes by how it introduces itself, which Artemis can be told not to do.',
    )

    @property
    def enabled(self) -> bool:
        """Whether there is a broker at all."""
        return bool(self.url)

    @property
    def addresses(self) -> tuple[BrokerAddress, ...]:
        """The addresses in the order in which they are tried; empty without a broker."""
        return tuple(parse_address(url) for url in self.url)

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        if self.password_file and self.credential:
            yield "password_file and credential both give the password; keep one"
        if self.user and not (self.password_file or self.credential):
            yield f"user is {self.user!r} but there is no password; write password_file or credential"
        if not self.user and (self.password_file or self.credential):
            yield "there is a password but no user; write user"
        if bool(self.cert_file) != bool(self.key_file):
            yield "cert_file and key_file belong together; write both or none"
        if self.url and (self.ca_file or self.cert_file) and not any(address.tls for address in self.addresses):
            yield 'certificates are named but no address uses TLS; write "stomp+ssl://..." or remove them'


def _queues(value: Any) -> Any:
    """Makes a tuple of one name or a list of them; each is then judged as a name of its own."""
    if value == "" or (isinstance(value, list | tuple) and "" in value):
        raise ValueError('must not be empty; write for example "/queue/ReductionPending"')
    if not isinstance(value, str | list | tuple) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(
            'must be a queue or a list of queues; write "/queue/ReductionPending", or ["/queue/ReductionPending", '
            '"/queue/REDUCTION.DATA_READY"]'
        )
    return (value,) if isinstance(value, str) else tuple(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueNames:
    """Where replies of one family go."""

    started: str
    complete: str
    error: str
    #: Empty: to `error`.
    skipped: str
    #: Empty: nothing is said.
    cancelled: str
    #: For a run whose instrument has no script on disk. Empty: to `error`; only SNS has such a queue.
    disabled: str


class SnsQueues(Section):
    """Where runs of SNS are answered; skipped and cancelled ones as `queues.skipped` and `queues.cancelled` say."""

    started: Queue = setting("/queue/REDUCTION.STARTED", "Told when a run has begun.")
    complete: Queue = setting("/queue/REDUCTION.COMPLETE", "Told when a result is published.")
    error: Queue = setting("/queue/REDUCTION.ERROR", "Told when a run ended without a result.")
    disabled: Queue = setting("/queue/REDUCTION.DISABLED", "Told when the instrument of a run has no script.")


class Queues(Section):
    """Names of the queues; the defaults are those of 2016."""

    pending: Annotated[tuple[Queue, ...], BeforeValidator(_queues)] = setting(
        "/queue/ReductionPending",
        "Runs to reduce, and cancels: one queue, or a list of queues. Messages of every family may come on each of "
        "them; SNS sends its own to /queue/REDUCTION.DATA_READY.",
        restart=True,
    )
    started: Queue = setting("/queue/ReductionStarted", "Told when a run has begun.")
    complete: Queue = setting("/queue/ReductionComplete", "Told when a result is published.")
    error: Queue = setting(
        "/queue/ReductionError", "Told when a run ended without a result, and of messages that cannot be read."
    )
    skipped: OptionalQueue = setting(
        "", "Told when a script skipped its run; empty sends these to `error`, with the text of 2016."
    )
    cancelled: OptionalQueue = setting("", "Told when a run was cancelled; empty sends nothing, as in 2016.")
    cancel: OptionalQueue = setting(
        "", "A queue for cancels alone; empty takes them from `pending` only.", restart=True
    )
    heartbeat: OptionalQueue = setting(
        "",
        "Told in JSON every `heartbeat_every` that this host serves, as monitors of SNS expect it, with its counts, "
        "version and limits under the key supervisor; empty sends nothing. A heartbeat is not stored by the broker and "
        "never sent again.",
        restart=True,
    )
    heartbeat_every: Duration = setting("30 s", "Pause between two heartbeats.", ge=1, restart=True)
    ping: OptionalQueue = setting(
        "",
        "A topic on which monitors ask: a message with `reply_to` is answered there with the heartbeat, at most ten at "
        "once and one in each second; empty reads none.",
        restart=True,
    )
    sns: SnsQueues = SnsQueues()

    def of(self, family: Family) -> QueueNames:
        """Returns where replies to a message of a family go."""
        own: Queues | SnsQueues = self.sns if family is Family.SNS else self
        return QueueNames(
            started=own.started,
            complete=own.complete,
            error=own.error,
            skipped=self.skipped,
            cancelled=self.cancelled,
            disabled=self.sns.disabled if family is Family.SNS else "",
        )

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The queues that are read, each once."""
        return (*self.pending, *(name for name in (self.cancel, self.ping) if name))

    @property
    def names(self) -> frozenset[str]:
        """Every queue that has a meaning of its own: where a stranger may have nothing sent to."""
        own = {getattr(self, name) for name in ("started", "complete", "error", "skipped", "cancelled", "heartbeat")}
        own |= {getattr(self.sns, name) for name in SnsQueues.model_fields}
        return frozenset(own - {""}).union(self.subscriptions)

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        answers = [
            (name, getattr(self, name))
            for name in ("started", "complete", "error", "skipped", "cancelled", "heartbeat")
        ]
        answers += [(f"sns.{name}", getattr(self.sns, name)) for name in SnsQueues.model_fields]
        for name, queue in answers:
            if queue in self.subscriptions:
                yield f"{name} is a queue we read from; our own replies would come back as runs: write another"
        if self.cancel in self.pending:
            yield "cancel is the same queue as pending; leave it empty, cancels are always taken from pending"
        if self.ping and self.ping in (*self.pending, self.cancel):
            yield "ping is a queue that runs or cancels come on; name a topic of its own, or leave it empty"
        for name in dict.fromkeys(name for name in self.pending if self.pending.count(name) > 1):
            yield f"pending names {name} twice; keep one"


class Replies(Section):
    """How replies are written and sent."""

    gap: Duration = setting(
        "200 ms",
        "Pause between the receipt of a started reply and the final one: today's web application drops a "
        "complete that overtakes its started.",
    )
    max_bytes: Size = setting(
        "512 KiB",
        "Longest reply; beyond it the logs are cut in the middle, then a note stands in place of the echoed script.",
        ge=4096,
        le=100 * 1024**2,
    )
    extension: Literal["auto", "key", "headers", "none"] = setting(
        "auto",
        "Where what 2016 did not know (job id, verdict, usage, limits ...) stands: under the key "
        '"supervisor", in STOMP headers, or nowhere. "auto" decides by the family of the message; for 2016 it'
        ' is "key".',
    )
