"""The 2016 worker's `post_process_consumer.conf` in our words (`reference/peers.md` §1.2 and §1.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from supervisor.brokerurl import parse_address
from supervisor.settings import Settings

if TYPE_CHECKING:
    from supervisor.configdraft import Draft

#: What tells this file from that of SNS.
KEYS: Final = frozenset(
    {
        "amq_queues",
        "archive_directory",
        "ceph_directory",
        "temp_root_directory",
        "ceph_instruments",
        "excitation_instruments",
    }
)
_PERCENT: Final = re.compile(r"%(.?)", re.DOTALL)
#: Templates of the old file: what its %s stood for, in their order.
_PARTS: Final = {
    "archive_directory": ("instrument", "cycle", "rb", "run"),
    "ceph_directory": ("instrument", "rb", "run"),
}
_SHIPPED: Final = {
    "archive_directory": "/isis/NDX%s/Instrument/data/cycle_%s/autoreduced/%s/%s",
    "ceph_directory": "/instrument/%s/RBNumber/RB%s/autoreduced/%s",
}
_TEMPORARY: Final = "/autoreducetmp"


def convert(draft: Draft) -> None:
    """Fills a draft from the old file it was made for; faults are noted in it."""
    _broker(draft)
    _queues(draft)
    _paths(draft)
    draft.put(
        "retry",
        "by",
        "producer",
        "The 2016 worker answered at once with an error that carries retry_in, and its web application sends the run "
        'again. "supervisor" would retry here, in silence.',
    )


def _broker(draft: Draft) -> None:
    if draft.raw("brokers") is None:
        draft.problems.append('brokers: is missing; write for example "brokers": "localhost:61613"')
        return
    value = draft.text("brokers", '"localhost:61613"')
    if value is None:
        return
    host, _, port = value.partition(":")
    try:
        # A port is a must here: urlsplit would take none, and a later colon, in its own way.
        address = parse_address(f"stomp+ssl://{host}:{int(port)}")
    except ValueError:
        draft.wrong("brokers", "is not one host:port", '"localhost:61613"')
        return
    draft.put(
        "broker",
        "url",
        str(address),
        "From brokers. The 2016 worker used TLS and never checked the broker's certificate; here it is checked: name "
        f'its authority as ca_file where the system does not know it. Clear text is "stomp://{host}:{address.port}".',
    )


def _queues(draft: Draft) -> None:
    names = draft.texts("amq_queues", '["/queue/ReductionPending"]')
    if names is not None:
        if names:
            draft.put("queues", "pending", names, "From amq_queues.")
        else:
            draft.wrong("amq_queues", "must not be empty", '["/queue/ReductionPending"]')
    for key in ("started", "complete", "error"):
        name = draft.text(f"reduction_{key}", f'"/queue/Reduction{key.capitalize()}"')
        if name is not None:
            draft.put("queues", key, name, f"From reduction_{key}.")
    draft.leave("messages that cannot be read are answered on queues.error", "postprocess_error")


def _paths(draft: Draft) -> None:
    templates = {key: _template(draft, key) for key in _PARTS}
    ceph = templates["ceph_directory"]
    temporary = draft.text("temp_root_directory", f'"{_TEMPORARY}"')
    if temporary is not None:
        _temporary(draft, temporary)
    for key, template in templates.items():
        if template is not None:
            draft.put("paths", key, template, f"From {key}; each %s has its name.")
    if ceph is not None:
        cut = ceph.rpartition("/")[0] + "/"
        draft.put("paths", "excitation_directory", cut, "From ceph_directory: the 2016 worker cut the run off.")
    for key in ("ceph_instruments", "excitation_instruments"):
        names = draft.texts(key, '["LET", "MARI"]')
        if names is not None:
            draft.put("paths", key, names, f"From {key}.")
    known = Settings().paths.result_roots
    roots = {f"/{template.split('/')[1]}" for template in templates.values() if template is not None}
    more = [root for root in sorted(roots) if root not in known and "{" not in root]
    if more:
        why = "From archive_directory and ceph_directory: results are written below these folders alone."
        draft.put("paths", "result_roots", [*known, *more], why)


def _temporary(draft: Draft, temporary: str) -> None:
    root = temporary.rstrip("/")
    if not root.startswith("/") or ".." in root.split("/"):
        draft.wrong("temp_root_directory", "must be an absolute path without '..'", f'"{_TEMPORARY}"')
        return
    prefixes: list[dict[str, Any]] = [
        {"windows": "\\\\isis\\inst$\\", "linux": "/isis/"},
        {"windows": "\\\\autoreduce\\data\\", "linux": f"{root}/data/"},
    ]
    draft.put(
        "paths",
        "windows_prefixes",
        prefixes,
        "From temp_root_directory, below which the share \\\\autoreduce\\data lay. Results are no longer put "
        "together there, but beside their place in the archive.",
    )
    roots = [f"{root}/data" if path == f"{_TEMPORARY}/data" else path for path in Settings().paths.data_roots]
    draft.put("paths", "data_roots", roots, "From temp_root_directory, besides the usual ones.")


def _template(draft: Draft, key: str) -> str | None:
    """Returns a template with our placeholders for its %s, in the order in which the 2016 worker filled them."""
    value = draft.text(key, f'"{_SHIPPED[key]}"')
    if value is None:
        return None
    parts, marks = _PARTS[key], _PERCENT.findall(value)
    if not value.startswith("/") or any(mark not in {"s", "%"} for mark in marks) or set("{}") & set(value):
        draft.wrong(key, "must be an absolute path with %s for its parts, and no braces", f'"{_SHIPPED[key]}"')
        return None
    if marks.count("s") != len(parts):
        draft.wrong(key, f"must have %s {len(parts)} times, for {', '.join(parts)}", f'"{_SHIPPED[key]}"')
        return None
    names = iter(parts)
    return _PERCENT.sub(lambda mark: "%" if mark[1] == "%" else f"{{{next(names)}}}", value)
