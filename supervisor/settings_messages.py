"""Settings of the way in and out: the broker, the names of the queues, and the replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from supervisor.brokerurl import BrokerAddress, parse_address
from supervisor.settingtypes import Duration, Line, OptionalPath, OptionalQueue, Queue, Section, Size, Urls, setting

if TYPE_CHECKING:
    from collections.abc import Iterator


class Broker(Section):
    """The message broker. Changes here need a restart."""

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


class Queues(Section):
    """Names of the queues; the defaults are those of 2016."""

    pending: Queue = setting("/queue/ReductionPending", "Runs to reduce, and cancels.")
    started: Queue = setting("/queue/ReductionStarted", "Told when a run has begun.")
    complete: Queue = setting("/queue/ReductionComplete", "Told when a result is published.")
    error: Queue = setting(
        "/queue/ReductionError", "Told when a run ended without a result, and of messages that cannot be read."
    )
    skipped: OptionalQueue = setting(
        "", "Told when a script skipped its run; empty sends these to `error`, with the text of 2016."
    )
    cancelled: OptionalQueue = setting("", "Told when a run was cancelled; empty sends nothing, as in 2016.")
    cancel: OptionalQueue = setting("", "A queue for cancels alone; empty takes them from `pending` only.")

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        for name in ("started", "complete", "error", "skipped", "cancelled"):
            if getattr(self, name) and getattr(self, name) in {self.pending, self.cancel}:
                yield f"{name} is a queue we read from; our own replies would come back as runs: write another"
        if self.cancel == self.pending:
            yield "cancel is the same queue as pending; leave it empty, cancels are always taken from pending"


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
