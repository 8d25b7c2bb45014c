"""Interpreter profiles: what the site wrote, what the message asks for, and what the script's own line says."""

from __future__ import annotations

import pytest

from supervisor import config
from supervisor.profiles import BadScriptLine, NoProfile, Profile, Profiles, conda_env

TEXT = """
[interpreter]
argv = ["/usr/bin/python3"]
env = { COMMON = "1", BOTH = "common" }
conda_argv = ["/usr/bin/conda-wrap", "{env}", "--classic"]
[interpreter.instrument.gem]
argv = ["/opt/gem/bin/python"]
env = { BOTH = "gem" }
[interpreter.software."Mantid 6.2.0"]
argv = ["/opt/mantid-6.2.0/bin/python"]
[interpreter.conda.sans]
argv = ["/opt/sans/bin/python"]
"""


@pytest.fixture
def profiles() -> Profiles:
    return config.parse(TEXT, "test").interpreter.profiles()


def test_an_instrument_without_a_profile_has_the_common_one(profiles):
    assert profiles.choose("WISH").argv == ("/usr/bin/python3",)


def test_an_instruments_profile_stands_on_the_common_environment(profiles):
    chosen = profiles.choose("GEM")

    assert chosen.argv == ("/opt/gem/bin/python",)
    assert chosen.env == {"COMMON": "1", "BOTH": "gem"}


@pytest.mark.parametrize("asked", ["Mantid 6.2.0", "mantid  6.2.0 ", "MANTID 6.2.0"])
def test_software_wins_over_the_instrument_and_is_compared_without_case(profiles, asked):
    assert profiles.choose("GEM", asked).argv == ("/opt/mantid-6.2.0/bin/python",)


def test_software_that_no_profile_has_is_refused_with_what_to_write(profiles):
    with pytest.raises(NoProfile) as refused:
        profiles.choose("GEM", "Mantid latest")

    assert '[interpreter.software."Mantid latest"]' in str(refused.value)
    assert "Mantid 6.2.0" in str(refused.value)


def test_where_the_site_names_no_software_the_word_means_nothing():
    profiles = config.parse("", "test").interpreter.profiles()

    assert profiles.choose("GEM", "Mantid latest") == profiles.common


def test_two_spellings_of_one_software_are_a_contradiction():
    text = '[interpreter.software."Mantid 6"]\n[interpreter.software."mantid  6"]\n'

    with pytest.raises(config.ConfigProblems, match="which are the same; keep one"):
        config.parse(text, "test")


def test_a_conda_wrapper_must_get_the_name():
    with pytest.raises(config.ConfigProblems, match=r"must pass the name on as \{env\}"):
        config.parse('[interpreter]\nconda_argv = ["/usr/bin/conda-wrap"]\n', "test")


def test_a_listed_environment_wins_over_the_wrapper(profiles):
    assert profiles.for_conda("sans").argv == ("/opt/sans/bin/python",)
    assert profiles.for_conda("mantid-dev").argv == ("/usr/bin/conda-wrap", "mantid-dev", "--classic")


def test_an_environment_that_nothing_offers_is_refused_with_what_to_write():
    profiles = config.parse("", "test").interpreter.profiles()

    with pytest.raises(NoProfile, match=r"write \[interpreter.conda.sans\]"):
        profiles.for_conda("sans")


def test_a_shepherd_chooses_as_the_supervisor_would(profiles):
    again = Profiles.from_json(profiles.to_json(), profiles.choose("GEM"))

    for name in ("sans", "mantid-dev"):
        assert again.for_conda(name) == profiles.for_conda(name)
    assert again.common.argv == ("/opt/gem/bin/python",)


@pytest.mark.parametrize(
    ("script", "env"),
    [
        (b"", ""),
        (b'CONDA_ENV = "sans"\nimport sys\n', "sans"),
        (b"#!/usr/bin/env python\n  CONDA_ENV='mantid-dev'  # ours\n", "mantid-dev"),
        (b'\xef\xbb\xbfimport sys\r\nCONDA_ENV="sans"\r\n', "sans"),
        (b'\xef\xbb\xbfCONDA_ENV="sans"', "sans"),
        (b'CONDA_ENV = "sans"\nCONDA_ENV = "sans"\n', "sans"),
        (b'# CONDA_ENV = "sans"\n', ""),
        (b'MY_CONDA_ENV = "sans"\nprint(CONDA_ENV_X)\n', ""),
        (b'if CONDA_ENV == "sans": pass\n', ""),
    ],
)
def test_the_line_of_a_script_is_found(script, env):
    assert conda_env(script) == env


@pytest.mark.parametrize(
    ("script", "line", "words"),
    [
        (b'CONDA_ENV = "a"\n\nCONDA_ENV = "b"\n', 3, '"a" at line 1 and "b" at line 3'),
        (b'x = 1\nCONDA_ENV = ""\n', 2, "no name of a conda environment"),
        (b'CONDA_ENV = "--prefix=/tmp"\n', 1, "no name of a conda environment"),
        (b'CONDA_ENV = "../../tmp"\n', 1, "no name of a conda environment"),
        (b'CONDA_ENV = "\xff"\n', 1, "no name of a conda environment"),
    ],
)
def test_a_line_that_cannot_be_followed_is_named(script, line, words):
    with pytest.raises(BadScriptLine, match=words) as bad:
        conda_env(script)

    assert bad.value.line == line


def test_profiles_are_listed_for_trying(profiles):
    assert [each.name for each in profiles.each()] == [
        "interpreter",
        "interpreter.instrument.GEM",
        "interpreter.software.Mantid 6.2.0",
        "interpreter.conda.sans",
    ]
    assert isinstance(profiles.each()[0], Profile)
