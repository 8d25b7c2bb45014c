"""One identity: whoever starts as root makes what needs root, becomes the service user, and goes on as nobody else.

There is no second user (DESIGN §6): a shepherd could neither signal, read nor move a box of another one. What root
makes first: the folders of the service where they are missing, and the subtree of control groups. Folders that stand
already are not given away: they must be the user's.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydantic

from sandbox import delegation
from sandbox.linux import namespaces

if TYPE_CHECKING:
    from supervisor.settings import Settings

ROOT_CAUTION = (
    "CAUTION: this serves as root, and scripts keep uid 0 inside a user namespace; "
    "name a user of its own in service.user"
)


class BadUser(Exception):
    """Nobody can serve as `service.user` here; the sentence says why and what mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUser:
    """Who everything runs as."""

    name: str
    uid: int
    gid: int
    home: str
    #: Supplementary groups that are kept: none, or that of the store.
    groups: tuple[int, ...] = ()


def look_up(name: str, store: str = "") -> ServiceUser:
    """Return the user of this name.

    Args:
        name: what `service.user` says.
        store: the store's folder; its group is kept where the user is a member. A script keeps it too, so no other is.

    Raises:
        BadUser: there is none, it is root, or its group cannot serve.
    """
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise BadUser(
            f'service.user: there is no user "{name}" on this host; make one with useradd --system, or write another'
        ) from None
    if account.pw_uid == 0:
        raise BadUser(
            f'service.user: "{name}" is root; write a user of its own, or leave the key empty to serve as root'
        )
    if account.pw_gid == 0:
        raise BadUser(
            f'service.user: the primary group of "{name}" is that of root; give it one of its own with usermod -g'
        )
    try:
        grp.getgrgid(account.pw_gid)
    except KeyError:
        raise BadUser(
            f'service.user: the primary group {account.pw_gid} of "{name}" does not exist on this host; make it with '
            f"groupadd -g {account.pw_gid}"
        ) from None
    groups: tuple[int, ...] = ()
    with contextlib.suppress(OSError):  # a store that root may not see, or that is made later, has no group to keep
        owner = os.stat(store).st_gid if store else account.pw_gid
        if owner not in {0, account.pw_gid} and owner in os.getgrouplist(name, account.pw_gid):
            groups = (owner,)
    return ServiceUser(name=name, uid=account.pw_uid, gid=account.pw_gid, home=account.pw_dir, groups=groups)


def problems(settings: Settings) -> list[str]:
    """Return what is wrong with `service.user` on this host, as sentences."""
    if settings.service.user:
        try:
            look_up(settings.service.user)
        except BadUser as bad:
            return [str(bad)]
    return []


def assume(settings: Settings) -> list[str]:
    """Become the service user if this process is root and one is named; the caller has one thread.

    Returns:
        What the log is to say, one sentence each; a warning begins with "CAUTION".

    Raises:
        BadUser: it cannot be served as this user.
        OSError: a folder could not be made, or the kernel refused.
    """
    name = settings.service.user
    if os.geteuid() != 0:
        if name and look_up(name).uid != os.geteuid():
            raise BadUser(
                f'service.user is "{name}", but this runs as uid {os.geteuid()}; start it as root or as {name}'
            )
        return []
    if not name:
        return [ROOT_CAUTION]
    who = look_up(name, settings.store.path)
    _make_folders(settings, who)
    notes = [f"Serving as {name}, uid {who.uid}, gid {who.gid}, further groups {list(who.groups) or 'none'}."]
    folders, why = delegation.hand_over(who.uid, who.gid)
    if folders:
        notes.append(f"Control groups are handed over to {name}: {', '.join(dict.fromkeys(folders.values()))}.")
    else:
        notes.append(f"CAUTION: no control group can be made for boxes, a sampler holds their memory: {why}")
    become(who)
    _check_sight(settings, who)
    return notes


def become(who: ServiceUser) -> None:
    """Give up root for good: groups, gid, uid (setresuid(2)).

    A process that has changed its user is not dumpable, and could not write the maps of a user namespace
    (proc_pid(5)); so it is made dumpable again.

    Raises:
        OSError: the kernel refused.
    """
    os.chdir("/")  # root's own folder is none that the user may look into
    os.setgroups(who.groups)
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
    namespaces.keep_dumpable()
    os.environ.update(HOME=who.home, USER=who.name, LOGNAME=who.name)


def _make_folders(settings: Settings, who: ServiceUser) -> None:
    """Make what is missing and give it to the user; a log file too."""
    for path, mode in _folders(settings):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.mkdir(path, mode)
        except FileExistsError:
            continue
        # By descriptor: what was just made is given away, whatever its name means by now.
        _give(path, os.O_RDONLY | os.O_DIRECTORY, who)
    if settings.service.log:
        with contextlib.suppress(FileExistsError):
            _give(settings.service.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, who)


def _folders(settings: Settings) -> list[tuple[str, int]]:
    return [(settings.service.run_dir, 0o750), (settings.spool.path, 0o700), (settings.store.path, 0o750)]


def _give(path: str, flags: int, who: ServiceUser) -> None:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        if os.fstat(fd).st_uid == 0:
            os.fchown(fd, who.uid, who.gid)
    finally:
        os.close(fd)


def _check_sight(settings: Settings, who: ServiceUser) -> None:
    """See that the user can do its work, now that this process is the user.

    Raises:
        BadUser: a folder is another's, or the program itself lies where the user may not read.
    """
    # Dependencies may have been installed elsewhere than our own packages: one of them stands for all.
    for code in (sys.executable, os.path.dirname(os.__file__), os.path.dirname(__file__), *pydantic.__path__):
        if not os.access(code, os.R_OK):
            raise BadUser(f'service.user: "{who.name}" may not read "{code}"; install where every user may read')
    for path, _ in _folders(settings):
        if not os.access(path, os.W_OK | os.X_OK):
            raise BadUser(f'service.user: "{who.name}" may not write "{path}"; run chown -R {who.name} {path}')
    log = settings.service.log
    if log and not os.access(log, os.W_OK):
        raise BadUser(f'service.user: "{who.name}" may not write "{log}"; run chown {who.name} {log}')
