"""`config`: shows a configuration and where each value comes from, what has changed, and converts an old worker's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sandbox.limits import LimitError, parse_size
from supervisor import config, configimport, shown
from supervisor.exitcodes import CONFIG, OK, USAGE

if TYPE_CHECKING:
    import argparse

NAME = "config"
SUMMARY = "show the configuration, say what has changed in it, or convert an old worker's"
EPILOG = """\
Exit status: 0 done; 2 usage, or a file is there already; 3 no supervisor runs here to compare with; 70 what it uses
cannot be seen; 78 the configuration, or the old one, cannot be used.

Examples:
  autoreduce-supervisor config show --origin --config /etc/autoreduce/supervisor.toml
  autoreduce-supervisor config show --origin --instrument GEM --rb 1510188
  autoreduce-supervisor config diff --config /etc/autoreduce/supervisor.toml
  autoreduce-supervisor config import post_process_consumer.conf --out supervisor.toml --password-file password
"""
#: Longest old file that is read, in bytes; a real one has a few thousand, and a longer one ends in the middle.
_LONGEST = 1024 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this verb."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    show = what.add_parser("show", help="the configuration in force, as TOML that can be loaded again")
    show.add_argument(
        "--config", metavar="FILE", help=f"the configuration (default: {config.DEFAULT_PATH} if it is there)"
    )
    show.add_argument("--origin", action="store_true", help="say behind each key where its value comes from")
    show.add_argument("--all", action="store_true", help="show also keys that are empty by default")
    show.add_argument("--instrument", metavar="NAME", help="show what a run of this instrument gets")
    show.add_argument("--rb", metavar="RB", help="show what a run of this RB gets; needs --instrument")
    diff = what.add_parser("diff", help="what a file would change in the running supervisor, or in another file")
    diff.add_argument("files", metavar="FILE", nargs="*", help="two files to compare; else --config with what runs")
    diff.add_argument(
        "--config", metavar="FILE", help=f"the configuration (default: {config.DEFAULT_PATH} if it is there)"
    )
    diff.add_argument("--run-dir", metavar="DIR", help="that of the supervisor, where the file names another by now")
    diff.add_argument("--json", action="store_true", help="print one JSON object")
    take = what.add_parser("import", help="convert the 2016 worker's JSON or SNS's post_processing.conf")
    take.add_argument("old", metavar="OLD", help="the old worker's configuration")
    take.add_argument("--out", metavar="FILE", help="write the result there; never over a file (default: print it)")
    take.add_argument(
        "--password-file", metavar="FILE", help="write the broker's password there, mode 0600; never over a file"
    )
    take.add_argument(
        "--family", choices=("auto", *configimport.FAMILIES), default="auto", help="whose file it is (default: auto)"
    )
    take.add_argument(
        "--total-memory", metavar="SIZE", help="memory of the host that shall run the jobs (default: of this one)"
    )


def main(args: argparse.Namespace) -> int:
    """Shows, compares or converts."""
    if args.what == "diff":
        from supervisor.verbs import configdiff

        return configdiff.main(args)
    return _show(args) if args.what == "show" else _import(args)


def _show(args: argparse.Namespace) -> int:
    from supervisor import configshow
    from supervisor.settingtypes import instrument_name

    if args.rb is not None and args.instrument is None:
        shown.complain("--rb needs --instrument: limits of an RB stand over those of its instrument")
        return USAGE
    try:
        name, text = config.read(args.config)
        config.parse(text, name)
        document = config.tables(text, name)
    except config.ConfigProblems as found:
        shown.complain(*(f"{found.origin}: {problem}" for problem in found.problems))
        return CONFIG
    if args.instrument is None:
        told = configshow.whole(document, text, name, origins=args.origin, everything=args.all)
    else:
        try:
            instrument = instrument_name(args.instrument.strip())
        except ValueError as wrong:
            shown.complain(f"--instrument: {wrong}")
            return USAGE
        rb = (args.rb or "").strip().upper()
        told = configshow.for_run(document, text, name, instrument=instrument, rb=rb, origins=args.origin)
    shown.say(told.rstrip("\n"))
    return OK


def _import(args: argparse.Namespace) -> int:
    try:
        memory = parse_size(args.total_memory) if args.total_memory else _memory()
    except LimitError as wrong:
        shown.complain(f"--total-memory: {wrong}")
        return USAGE
    password_file = os.path.abspath(args.password_file) if args.password_file else configimport.PASSWORD_FILE
    try:
        with open(args.old, "rb") as file:
            body = file.read(_LONGEST)
        old = configimport.read_old(body)
        family = configimport.family_of(old) if args.family == "auto" else args.family
        made = configimport.convert(old, family, name=args.old, total_memory=memory, password_file=password_file)
    except OSError as trouble:
        shown.complain(f"{shown.line(args.old)}: cannot be read: {_reason(trouble)}; name the old configuration")
        return CONFIG
    except configimport.ImportProblems as found:
        shown.complain(*(f"{shown.line(args.old)}: {shown.line(problem)}" for problem in found.problems))
        return CONFIG
    files = [(args.password_file, f"{made.password}\n", 0o600)] if args.password_file and made.password else []
    files += [(args.out, made.text, 0o640)] if args.out else []
    written: list[str] = []
    for path, text, mode in files:
        try:
            _create(path, text, mode)
        except OSError as trouble:
            for one in written:
                os.unlink(one)
            shown.complain(f"cannot write {shown.line(path)}: {_reason(trouble)}; nothing was written: name another")
            return USAGE
        written.append(path)
    if not args.out:
        shown.say(made.text.rstrip("\n"))
    shown.complain(*_remarks(made, args.password_file, args.out))
    return OK


def _remarks(made: configimport.Imported, password_file: str | None, out: str | None) -> list[str]:
    remarks = [f"{shown.line(path)} is written" for path in (out,) if path]
    if made.left_out:
        count = len(made.left_out)
        remarks.append(
            f"{count} {'key was' if count == 1 else 'keys were'} not taken over; the end of the result says why"
        )
    if made.password and password_file:
        remarks.append(f"{shown.line(password_file)} is written, mode 0600: give it to the service user")
    elif made.password:
        remarks.append(
            f"the password was not taken over: write it into {configimport.PASSWORD_FILE}, mode 0600 and owned by the "
            "service user, or import again with --password-file FILE"
        )
    elif password_file:
        remarks.append(f"the old file has no password with a user; {shown.line(password_file)} was not written")
    return remarks


def _create(path: str, text: str, mode: int) -> None:
    """Writes a new file; one that is there, or a link in its place, is left alone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        os.unlink(path)
        raise


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
