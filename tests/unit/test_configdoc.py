"""The sample file and the reference page say what the model says."""

from __future__ import annotations

import os
import re
import runpy
import tomllib

import pytest

from supervisor import configdoc
from supervisor.config import parse
from supervisor.configdoc import PAGE, SAMPLE, page, sample, write
from supervisor.configwords import fields_of, is_section, section_in
from supervisor.settings import Settings
from supervisor.tomltext import toml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.parametrize(("name", "text"), [(SAMPLE, sample()), (PAGE, page())])
def test_the_generated_files_are_up_to_date(name, text):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        assert file.read() == text, "the model has changed: run python -m supervisor.configdoc"


def test_the_sample_as_it_stands_changes_nothing():
    assert parse(sample(), "sample") == Settings()


def test_every_default_in_the_sample_is_the_default():
    """Takes away the # before every key, but leaves the example tables out."""
    lines = [line for line in sample().split("\n") if not line.startswith("# ")]
    text = "\n".join(lines)
    text = re.sub(r"(?m)^#\[.*\n(?:#.*\n)*", "", text)
    text = re.sub(r"(?m)^#", "", text)

    assert text.count(" = ") > 50
    assert parse(text, "sample") == Settings()


def test_every_example_table_in_the_sample_can_be_used():
    text = re.sub(r"(?m)^#(?=[\[a-z])", "", sample())

    settings = parse(text, "sample")

    assert settings.limits_for("ENGINX").wall == 8 * 3600
    assert settings.limits_for("ENGINX", "1510188").wall == 12 * 3600
    assert settings.interpreter_for("GEM").argv == ("/opt/mantid/bin/python",)
    assert not settings.instrument_for("LET").enabled


def test_every_key_is_explained_in_both():
    for name, section_field in fields_of(Settings).items():
        section = section_in(section_field.annotation)
        assert section.__doc__
        for key, field in fields_of(section).items():
            if is_section(field.annotation):
                assert f"[{name}.{key}]" in sample()
                assert f"[{name}.{key}]" in page()
                continue
            assert field.description, f"{name}.{key} has no description"
            assert len(field.description) > 10
            assert f"{name}.{key}" in page() or f"{name}.NAME.{key}" in page()
            assert f"#{key} = " in sample() or f"#[{name}.{key}." in sample()


def test_a_run_of_the_module_writes_both(tmp_path):
    written = write(str(tmp_path))

    assert [os.path.relpath(path, tmp_path) for path in written] == [SAMPLE, PAGE]
    with open(written[0], encoding="utf-8") as file:
        assert file.read() == sample()


def test_importing_the_module_writes_nothing(monkeypatch):
    monkeypatch.setattr(os, "makedirs", lambda *_args, **_kw: pytest.fail("wrote on import"))

    assert runpy.run_path(configdoc.__file__, run_name="imported")["SAMPLE"] == SAMPLE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        ("a", '"a"'),
        ("\\\\isis\\inst$\\", "'\\\\isis\\inst$\\'"),
        ("it's \\ here", '"it\'s \\\\ here"'),
        (("a", 1), '["a", 1]'),
        ({"from": "/a"}, '{ from = "/a" }'),
        ({}, "{}"),
        (0.2, "0.2"),
    ],
)
def test_values_are_written_as_toml(value, text):
    assert toml(value) == text
    read = tomllib.loads(f"x = {text}")["x"]
    assert read == (list(value) if isinstance(value, tuple) else value)
