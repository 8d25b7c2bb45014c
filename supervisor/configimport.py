"""An old worker's configuration becomes ours, or every fault of it a sentence (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from supervisor import config, importisis, importsns, shown, strictjson
from supervisor.configdraft import Draft

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Old files that are understood, by the name that `config import --family` takes.
FAMILIES: Final = ("isis2016", "sns")
#: The password file that the new configuration names when none is given.
PASSWORD_FILE: Final = "/etc/autoreduce/password"  # noqa: S105  # the name of the file, not what is in it


class ImportProblems(Exception):
    """The old file cannot be converted; `problems` says everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        #: One sentence each: old key, value, what to write.
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A converted configuration."""

    #: "isis2016" or "sns".
    family: str
    #: The new file; the model has accepted it.
    text: str
    #: The broker's password of the old file, empty for none. It stands nowhere in `text`.
    password: str
    #: Old keys that were not taken over, each with why.
    left_out: tuple[tuple[str, str], ...]


def read_old(body: bytes) -> dict[str, Any]:
    """Reads an old configuration, which is JSON for either worker.

    Raises:
        ImportProblems: It is no JSON object.
    """
    try:
        return strictjson.read_object(body)
    except strictjson.NotStrict as wrong:
        told = str(wrong).replace("the message", "the file", 1)
        raise ImportProblems([f"{told}; an old configuration is one JSON object"]) from None


def family_of(old: Mapping[str, Any]) -> str:
    """Returns whose configuration this is, by its keys.

    Raises:
        ImportProblems: It cannot be told.
    """
    isis, sns = len(importisis.KEYS & old.keys()), len(importsns.KEYS & old.keys())
    if isis == sns:
        raise ImportProblems(
            ["its keys do not tell whose configuration it is; write --family isis2016 or --family sns"]
        )
    return "isis2016" if isis > sns else "sns"


def convert(
    old: Mapping[str, Any], family: str, *, name: str, total_memory: int, password_file: str = PASSWORD_FILE
) -> Imported:
    """Converts an old configuration.

    Args:
        old: What was read.
        family: "isis2016" or "sns".
        name: What the old file is called, for the comment at the head.
        total_memory: Bytes of memory of the host that shall run the jobs.
        password_file: Absolute path of the file that the new configuration names for the password.

    Raises:
        ImportProblems: A value of the old file cannot be used.
    """
    draft = Draft(old)
    password = _login(draft, password_file)
    if family == "isis2016":
        importisis.convert(draft)
    else:
        importsns.convert(draft, total_memory)
    draft.finish()
    if draft.problems:
        raise ImportProblems(draft.problems)
    heading = [
        f"Configuration of autoreduce-supervisor, converted from {shown.line(name, 200)} ({family}).",
        "Keys that do not stand here have their defaults. Check with: autoreduce-supervisor check-config",
    ]
    text = draft.toml(heading)
    try:
        config.parse(text, "the converted configuration")
    except config.ConfigProblems as found:
        raise ImportProblems([f"the converted configuration: {problem}" for problem in found.problems]) from None
    return Imported(family=family, text=text, password=password, left_out=tuple(draft.left_out))


def _login(draft: Draft, password_file: str) -> str:
    """Puts user and password file into the draft and returns the password."""
    user = draft.text("amq_user", '"autoreduce"', empty=True)
    password = draft.raw("amq_pwd") or ""
    if not isinstance(password, str) or not password.isprintable():
        draft.wrong("amq_pwd", "must be a text on one line", '"..."')
        return ""
    if user:
        draft.put("broker", "user", user, "From amq_user.")
        draft.put(
            "broker",
            "password_file",
            password_file,
            "From amq_pwd, which stands in this file of its own, readable by the service user alone."
            if password
            else "There is no amq_pwd in the old file: write the password into this file.",
        )
        return password
    draft.leave("it is empty: the broker is used without a login", "amq_user")
    draft.leave("there is no amq_user that it belongs to", "amq_pwd")
    return ""
