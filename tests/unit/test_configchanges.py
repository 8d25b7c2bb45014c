"""What differs between two configurations, and what of it needs a restart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import config
from supervisor.config import ConfigProblems, Configuration
from supervisor.configchanges import applicable, changes
from supervisor.configwords import fields_of, is_section, is_table, needs_restart, section_in
from supervisor.settings import Settings


def read(text):
    document = config.tables(text, "x")
    return Configuration(path=None, origin="x", document=document, settings=config.validate(document, "x"))


def told(old, new):
    return [(change.key, change.old, change.new, change.restart) for change in changes(read(old), read(new))]


def test_the_same_value_written_otherwise_is_no_change():
    assert told('[limits]\nwall = "2 h"\n', '[limits]\nwall = "120 min"\n') == [
        ("limits.wall", '"2 h"', '"120 min"', False)
    ]
    assert told('[store]\npoll = "60 s"\n', "[store]\npoll = 60\n") == []
    assert told("", '[limits]\nmemory = "8 GiB"\n') == []


def test_values_stand_as_they_were_written_and_defaults_as_an_operator_would_write_them():
    assert told("", '[limits]\nmemory = "9 GiB"\n[store]\npath = "/other"\n') == [
        ("store.path", 'default ("/var/lib/autoreduce-supervisor/store")', '"/other"', True),
        ("limits.memory", 'default ("8 GiB")', '"9 GiB"', False),
    ]


def test_tables_that_are_named_count_as_empty_where_they_are_missing():
    text = '[limits.instrument.ENGINX]\nmemory = "16 GiB"\n[instrument.LET]\nmode = "auto"\nenabled = false\n'
    both = [("limits.instrument.ENGINX.memory", "default", '"16 GiB"'), ("instrument.LET.enabled", "true", "false")]
    assert [row[0] for row in told("", text)] == [row[0] for row in both]
    assert [row[0] for row in told(text, "")] == [row[0] for row in both]
    assert told(text, text.replace("ENGINX", "enginx")) == []


def test_what_needs_a_restart_keeps_its_old_value_and_the_rest_is_taken():
    old = read('[host]\nid = "a"\n[limits]\nwall = "1 h"\n')
    new = read('[host]\nid = "b"\nslots = 3\n[store]\npath = "/new"\n[limits]\nwall = "2 h"\n')
    to_be = applicable(old, new, changes(old, new))
    assert to_be.settings.host.id == "a"
    assert to_be.settings.host.slots == 3
    assert to_be.settings.store.path == Settings().store.path
    assert to_be.settings.limits_for("X").wall == 7200
    assert {change.key for change in changes(to_be, new)} == {"host.id", "store.path"}


def test_old_values_that_cannot_stand_beside_new_ones_refuse_the_whole():
    old = read('[queues]\npending = "/queue/A"\nerror = "/queue/B"\n')
    new = read('[queues]\npending = "/queue/B"\nerror = "/queue/A"\n')
    with pytest.raises(ConfigProblems, match=r"error is a queue we read from.*needs a restart: queues\.pending"):
        applicable(old, new, changes(old, new))


def _keys(section=Settings, place=()):
    for key, field in fields_of(section).items():
        inner = section_in(field.annotation)
        if is_section(field.annotation):
            yield from _keys(inner, (*place, key))
        elif inner is None or not is_table(field.annotation):
            yield ".".join((*place, key)), needs_restart(section, key)


def test_the_keys_that_need_a_restart_are_those_that_a_start_alone_reads():
    needing = {key for key, restart in _keys() if restart}
    sections = {"broker", "service", "spool", "lock", "log", "metrics"}
    assert {key for key in needing if key.split(".")[0] not in sections} == {
        "store.path",
        "store.unproven",
        "host.id",
        "queues.pending",
        "queues.cancel",
        "queues.heartbeat",
        "queues.heartbeat_every",
        "queues.ping",
    }
    assert {key for key, _ in _keys() if key.split(".")[0] in sections} <= needing


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "host": st.fixed_dictionaries({}, optional={"id": st.sampled_from("ab"), "slots": st.integers(0, 3)}),
            "limits": st.fixed_dictionaries({}, optional={"wall": st.sampled_from(["1 h", "60 min", "none"])}),
            "instrument": st.dictionaries(
                st.sampled_from(["LET", "let ", "GEM"]), st.just({"enabled": False}), max_size=1
            ),
        },
    ),
    st.fixed_dictionaries({}, optional={"host": st.fixed_dictionaries({}, optional={"id": st.sampled_from("abc")})}),
)
def test_a_reload_leaves_only_what_needs_a_restart(old, new):
    before, after = (
        Configuration(path=None, origin="x", document=one, settings=config.validate(one, "x")) for one in (old, new)
    )
    to_be = applicable(before, after, changes(before, after))
    assert all(change.restart for change in changes(to_be, after))
    assert not any(change.restart for change in changes(before, to_be))
