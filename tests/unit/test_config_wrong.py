"""Every value that can be wrong has a message that names the key and the value and says what to write."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import floors
from supervisor.config import ConfigProblems, parse
from supervisor.configwords import fields_of, is_section, section_in, sentences
from supervisor.settings import Settings
from supervisor.tomltext import bare, path, toml

#: Wrong for some keys, right for others: what TOML can hold, of every kind.
WRONG = {
    "a truth": "true",
    "a number": "7",
    "a negative number": "-3",
    "nought": "0",
    "a fraction": "0.25",
    "a huge number": "9" * 400,
    "a number longer than is printed": "0x" + "f" * 5000,
    "no number": "nan",
    "infinity": "-inf",
    "an empty text": '""',
    "a word": '"rubbish"',
    "a relative path": '"a/b"',
    "a path that climbs": '"/a/../b"',
    "the root": '"/"',
    "an unknown unit": '"3 furlongs"',
    "an unknown placeholder": '"/{instrument}/{nonsense}"',
    "a control character": '"/a\\u0007b"',
    "a line break": '"a\\nb"',
    "a NUL": '"/a\\u0000b"',
    "a very long text": '"' + "x" * 5000 + '"',
    "a day": "2026-07-28",
    "an empty list": "[]",
    "a list of numbers": "[1, 2]",
    "a list of empty texts": '["", ""]',
    "a list of lists": '[["/a"]]',
    "a table": "{ a = 1 }",
    "an empty table": "{}",
    "a list of tables": "[{ a = 1 }]",
}
REMEDY = re.compile(r"\b(write|for example|did you mean|use|keep|remove|add|leave|there are|belong together)\b")
ALIEN = re.compile(
    r"Input should|input should|validation error|Value error|value is not a valid|\btype=|pydantic|Traceback|<class|"
    r"https?://(?!h\b)|Decimal\(|datetime\."
)


def places(section=Settings, at=()):
    """Yields every key of every section as a place; tables by name get an instrument, lists of tables an entry."""
    for key, field in fields_of(section).items():
        below = section_in(field.annotation)
        yield (*at, key)
        if below is None:
            continue
        if is_section(field.annotation):
            yield from places(below, (*at, key))
        elif "dict" in str(field.annotation):
            yield from places(below, (*at, key, "GEM"))
        else:
            yield from ((*at, key, 0, name) for name in fields_of(below))


PLACES = list(places())


def section_of(place):
    section = Settings
    for key in place:
        if key in fields_of(section):
            section = section_in(fields_of(section)[key].annotation) or section
    return section


def document(place, value):
    """Returns a text that writes one value at one place."""
    if 0 in place:
        at = place.index(0)
        others = [f'{bare(key)} = "/x"' for key in fields_of(section_of(place[:at])) if key != place[at + 1]]
        return f"{path(place[:at])} = [{{ {', '.join([f'{bare(place[at + 1])} = {value}', *others])} }}]"
    return f"{path(place)} = {value}"


def problems(text):
    try:
        parse(text, "test.toml")
    except ConfigProblems as found:
        return found.problems
    return []


def check(text, sentence):
    assert REMEDY.search(sentence), f"{text[:200]}\nhas no remedy in: {sentence}"
    assert not ALIEN.search(sentence), f"{text[:200]}\nis told in strange words: {sentence}"
    assert sentence.isprintable(), sentence
    assert len(sentence) < 1500, sentence


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_every_wrong_value_of_every_key_is_told_with_key_value_and_remedy(place):
    full = ".".join(str(part) for part in place)
    told = 0
    for kind, value in WRONG.items():
        text = document(place, value)
        for sentence in problems(text):
            told += 1
            check(text, sentence)
            named, _, rest = sentence.partition(": ")
            # What two keys contradict about each other is told by their section, in the names of its keys.
            if not named.startswith(full):
                assert full.startswith(named), f"{kind}: {sentence}"
                names = fields_of(section_of(place))
                assert any(re.search(rf"\b{name}\b", rest) for name in names), f"{kind}: {sentence}"
    assert told > 5, "a key that takes nearly everything is not checked"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_wrong_text_is_repeated_as_it_was_written_unless_it_may_be_secret(place):
    secret = any(word in str(part) for part in place for word in ("url", "pass", "credential"))
    for value in ('"3 furlongs"', "-3", '"a/b"'):
        for sentence in problems(document(place, value)):
            if sentence.partition(": ")[0] == ".".join(map(str, place)):
                assert (value in sentence) is not secret, sentence


def test_no_secret_is_repeated_whatever_is_wrong_with_it():
    for place in PLACES:
        if len(place) == 2 and place[0] == "broker" and any(word in place[1] for word in ("url", "pass", "credential")):
            for value in ('"geheim\\n"', '["geheim"]', '{ geheim = "geheim" }', '"stomp://geheim@h"'):
                assert "geheim" not in str(problems(document(place, value)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[instrument.GEM]\nnetwork = 1", "instrument.GEM.network: 1 must be true or false; write for example false"),
        (
            '[instrument.GEM]\nread_only = ["masks"]',
            'instrument.GEM.read_only.0: "masks" must be an absolute path; write for example',
        ),
        (
            '[instrument.GEM]\nread_only = ["/x/{run}"]',
            'instrument.GEM.read_only.0: "/x/{run}" must use only {instrument} {rb} {cycle}, not {run}; write',
        ),
        (
            '[isolation]\nrequire = "hostile"\n[instrument.GEM]\nrequire = "contained"',
            'instrument.GEM.require: "contained" is less than isolation.require ("hostile")',
        ),
        (
            '[isolation]\nrequire = "none"',
            'isolation: require is "none"; write "contained", or allow_unsafe = true if you trust every script',
        ),
        ('[provenance]\ndata_limit = "many"', 'provenance.data_limit: "many" is not a size; write for example'),
        ("[skip]\nanywhere = 0", "skip.anywhere: 0 must be true or false"),
        ("instrument = 3", "instrument: 3 must be a table of sections; write for example [instrument.NAME]"),
        (
            "[paths]\nroot_map = 3",
            "paths.root_map: 3 must be a list of tables; write for example [{ from = ..., to = ... }]",
        ),
        (
            "[paths]\nroot_map = [3]",
            "paths.root_map.0: 3 must be a table; write for example { from = ..., to = ... }",
        ),
        ("x = " + "9" * 5000, "is not valid TOML: too long a number or too deeply nested"),
        ("x = " + "[" * 3000 + "]" * 3000, "is not valid TOML: "),
    ],
)
def test_a_problem_is_told_in_these_words(text, expected):
    (only,) = problems(text)
    assert only.startswith(expected)


def test_a_strangers_key_is_told_short_and_on_one_line():
    (only,) = problems(f'[limits]\n"a\\n\\u001b{"x" * 5000}" = 1')
    assert only.startswith('limits."a\\u000a\\u001bxxx')
    assert only.isprintable()
    assert len(only) < 1000


def test_an_instrument_can_raise_the_isolation_and_not_lower_it():
    settings = parse(
        '[isolation]\nrequire = "contained"\n[instrument.GEM]\nrequire = "hostile"\n[instrument.LET]\nmode = "auto"',
        "x",
    )
    assert [settings.floor_for(name) for name in ("gem", "LET", "MARI")] == ["hostile", "contained", "contained"]
    assert Settings().floor_for("GEM") == "contained"
    assert parse('[isolation]\nrequire = "none"\nallow_unsafe = true', "x").floor_for("GEM") == "none"


def test_floors_above_what_a_host_proves_are_told_for_each_instrument():
    settings = parse('[isolation]\nrequire = "contained"\n[instrument.GEM]\nrequire = "hostile"', "x")

    common, own = floors.problems(settings, "none")
    assert common.startswith('isolation.require: this host proves level "none" only')
    assert own.startswith('instrument.GEM.require: this host proves level "none" only')
    assert floors.problems(settings, "contained") == [own.replace('"none"', '"contained"')]
    assert floors.problems(settings, "hostile") == []
    assert floors.problems(Settings(), Settings().isolation.require) == []
    assert floors.enough("none", "none")
    assert not floors.enough("contained", "none")


NAMES = sorted({str(part) for place in PLACES for part in place if part != 0} | {"GEM", "gem ", "x y", "é"})
SCALARS = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["8 GiB", "none", "/isis", "/isis/{rb}/{run}", "stomp://h:1", "10 s", "program", "hostile"])
)


def deeper(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)


KEYS_BELOW = {name: [*fields_of(section_in(field.annotation)), "GEM"] for name, field in fields_of(Settings).items()}
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        name: st.dictionaries(st.sampled_from(keys), st.recursive(SCALARS, deeper, max_leaves=4), max_size=3)
        for name, keys in KEYS_BELOW.items()
    },
)


@given(DOCUMENTS)
def test_a_document_of_any_content_is_taken_or_refused_in_our_own_words(content):
    text = "\n".join(f"{bare(key)} = {toml(value)}" for key, value in content.items())
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        pytest.fail(f"the test wrote no TOML: {text!r}")
    for sentence in problems(text):
        check(text, sentence)


@given(st.text(max_size=200) | st.text("[]{}=.\"'#\n\\ a1-:_", max_size=60))
def test_any_text_is_a_configuration_or_a_problem(text):
    for sentence in problems(text):
        assert sentence.isprintable()


def test_a_fault_that_the_validator_has_no_words_of_ours_for_is_still_told_in_ours():
    class Error:
        def errors(self, **_):
            return [{"type": "brand_new", "loc": ("host", "slots"), "msg": "Input should be new", "ctx": {}}]

    (only,) = sentences(Error(), {"host": {"slots": 3}})
    assert only == "host.slots: 3 cannot be used as it stands; write for example 0"
