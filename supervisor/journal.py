"""The journal: a job is durable here before its message is acknowledged (DESIGN §2, §5).

Order of making: folders, `request.json`, the `waiting` entry, the `by-run` index, then a look into `cancels/`: whoever
writes `by-run` looks in `cancels/` afterwards, and whoever writes `cancels/` looks in `by-run` afterwards, so that a
cancel and its job cannot miss each other.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from supervisor import durable, names, records, storeformat, tombstones, waiting
from supervisor.records import Cancel, Request
from supervisor.runkey import run_value
from supervisor.storeformat import UnknownStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.layout import JobPlace, Layout

#: A remembered cancel is forgotten after this many seconds (DESIGN §4).
CANCEL_EXPIRES = 24 * 3600.0
#: Times that a folder is made again which pruning removed as empty, or moved away, before it could be used.
_TRIES = 10
_FOLDERS = ("hosts", "waiting", "by-run", "cancels", "rb", "jobs", "poison", "tombstones", "disabled")


class Taken(StrEnum):
    """What became of a message that was to be journaled."""

    #: A new job.
    NEW = "new"
    #: Known already: a redelivery.
    DUPLICATE = "duplicate"
    #: The id is known with another body.
    CONFLICT = "conflict"


def open_store(layout: Layout, *, create: bool) -> None:
    """Check that `layout.root` is a store that this version can read; make an empty one if `create`.

    Raises:
        UnknownStore: not a store, or of another version.
        OSError: the store cannot be used.
    """
    if storeformat.read(layout) is None:
        if not create:
            raise UnknownStore(f'"{layout.root}" is not a store: it has no FORMAT; correct store.path')
        durable.make_folder(layout.root, "store")
        for folder in _FOLDERS:
            durable.make_folder(layout.path(folder), "store")
        durable.link_new(layout.format, storeformat.StoreFormat(number=records.VERSION).to_bytes(), "format")
    storeformat.check(layout)


def digest(body: bytes) -> str:
    """The sha256 of a message body, which tells a redelivery from a conflict."""
    return hashlib.sha256(body).hexdigest()


def journal(layout: Layout, request: Request) -> Taken:
    """Make the job of `request` durable, or find that it is, or that it was: a tombstone tells of a pruned job.

    Pruning links the tombstone before it moves the folder away, and this looks for one after `request.json` was linked
    and before anything else is made: whoever of the two comes second sees the other, and a job never runs again.

    Raises:
        OSError: the store cannot be used; nothing may be acknowledged.
    """
    place = layout.job(request.job)
    new = _link_request(place, request)
    if not new:
        known = read_request(place)
        if known is not None and known.digest != request.digest:
            return Taken.CONFLICT
        request = known or request
        if durable.exists(place.final):
            with contextlib.suppress(FileNotFoundError):  # pruned at this moment
                durable.touch(place.redelivered, "redelivered")
            return Taken.DUPLICATE
    pruned = tombstones.find(layout, request.job)
    if pruned is not None:
        # What stands here is ours, or of a redelivery that died here: a pruned job's own folder was moved away whole.
        durable.remove(place.request, "request")
        durable.remove_folder(place.root, "job")
        return Taken.DUPLICATE if pruned.digest == request.digest else Taken.CONFLICT
    index(layout, request)  # where it is not new: the crash may have come between request.json and the entries
    if new:
        return Taken.NEW
    durable.touch(place.redelivered, "redelivered")
    return Taken.DUPLICATE


def _link_request(place: JobPlace, request: Request) -> bool:
    """Link `request.json`; the folder may be moved away, pruned, between its making and the link."""
    for _ in range(_TRIES):
        durable.make_folder(place.root, "job")
        try:
            return durable.link_new(place.request, records.to_record(request), "request")
        except FileNotFoundError:
            continue
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place.root)


def index(layout: Layout, request: Request) -> None:
    """Make the `waiting` and `by-run` entries of a journaled job, then match the remembered cancels with it."""
    durable.touch(layout.path("waiting", waiting.entry_of(request).name), "waiting")
    by_run = layout.by_run(request.instrument, request.run)
    for _ in range(_TRIES):
        durable.make_folder(by_run, "by-run")
        with contextlib.suppress(FileNotFoundError):  # empty: pruned between the two
            durable.touch(os.path.join(by_run, names.encode(request.job)), "by-run")
            break
    else:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), by_run)
    for name, cancel in remembered(layout):
        if means(cancel, request):
            cancel_job(layout.job(request.job), cancel)
            durable.remove(layout.path("cancels", name), "remembered-cancel")


def read_request(place: JobPlace) -> Request | None:
    """The request of a job, or None where it is not journaled."""
    data = durable.read(place.request)
    return None if data is None else records.from_record(Request, place.request, data)


def find_job(layout: Layout, part: str) -> JobPlace | None:
    """The job of a `waiting` part: its component, or the one in the shard that is shortened to it."""
    if not names.is_digest(part):
        return layout.job_component(part)
    shard = layout.job_shard_of_part(part)
    for component in durable.listing(shard):
        if names.shorten(component) == part:
            return layout.job_component(component)
    return None


def remembered(layout: Layout) -> Iterator[tuple[str, Cancel]]:
    """Every remembered cancel with the name of its record."""
    for name in durable.listing(layout.cancels):
        path = layout.path("cancels", name)
        data = durable.read(path)
        if data is not None:
            yield name, records.from_record(Cancel, path, data)


def means(cancel: Cancel, request: Request) -> bool:
    """Say whether `cancel` means this job: same instrument, run by value, version, and not a later job (pure)."""
    return (
        cancel.instrument == request.instrument
        and run_value(cancel.run) == run_value(request.run)
        and cancel.version in (None, request.version)
        and request.time_ms <= cancel.time_ms
    )


def cancel_job(place: JobPlace, cancel: Cancel) -> bool:
    """Link the cancel cell of a job; False when it was cancelled before."""
    return durable.link_new(place.cancel, records.to_record(cancel), "cancel")


def cancel_run(layout: Layout, cancel: Cancel) -> list[str]:
    """Cancel every undecided job that `cancel` means; where none is seen, remember it.

    A job of the run that is decided already proves nothing: the one that is meant may not be journaled yet.

    Returns:
        The ids of the jobs that are cancelled now; empty when it is remembered or comes too late.
    """
    cancelled, seen = _cancel_known(layout, cancel)
    if seen:
        return cancelled
    key = f"{names.part_of(f'{cancel.instrument} {cancel.run}')}.{digest(cancel.message_id.encode())[:16]}"
    path = layout.path("cancels", key)
    durable.link_new(path, records.to_record(cancel), "remembered-cancel")
    cancelled, seen = _cancel_known(layout, cancel)  # whoever writes cancels/ looks in by-run afterwards
    if seen:
        durable.remove(path, "remembered-cancel")
    return cancelled


def _cancel_known(layout: Layout, cancel: Cancel) -> tuple[list[str], bool]:
    cancelled = []
    seen = False
    for component in durable.listing(layout.by_run(cancel.instrument, run_value(cancel.run))):
        place = layout.job_component(component)
        request = read_request(place)
        if request is None or not means(cancel, request) or durable.exists(place.final):
            continue
        seen = True
        if cancel_job(place, cancel):
            cancelled.append(request.job)
    return cancelled, seen


def match_remembered(layout: Layout, now: float) -> list[str]:
    """Match every remembered cancel with the jobs journaled since, and forget those that expired."""
    cancelled: list[str] = []
    for name, cancel in remembered(layout):
        if now - cancel.written > CANCEL_EXPIRES:
            durable.remove(layout.path("cancels", name), "remembered-cancel")
            continue
        found, seen = _cancel_known(layout, cancel)
        if seen:
            cancelled += found
            durable.remove(layout.path("cancels", name), "remembered-cancel")
    return cancelled


def resubmitted(request: Request, *, job: str, time_ms: int, host: str, now: float) -> Request:
    """The request of a new job that runs `request` again (pure)."""
    return replace(request, job=job, time_ms=time_ms, sequence=0, host=host, journaled=now, resubmit_of=request.job)
