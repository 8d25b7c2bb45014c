from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import names

ANY = st.text(st.characters(), max_size=400)


@given(ANY)
def test_a_component_is_one_bounded_plain_name(text):
    component = names.encode(text)
    assert 1 <= len(component.encode()) <= names.LONGEST
    assert component.isascii()
    assert "/" not in component
    assert "\0" not in component
    assert "." not in component


@given(ANY)
def test_what_is_encoded_can_be_read_again_unless_it_holds_a_digest(text):
    component = names.encode(text)
    if names.is_digest(component):
        with pytest.raises(ValueError, match="its sidecar holds the name"):
            names.decode(component)
    else:
        assert names.decode(component) == text


@given(st.lists(ANY, min_size=2, max_size=6, unique=True))
def test_two_texts_never_share_a_component(texts):
    assert len({names.encode(text) for text in texts}) == len(texts)
    assert len({names.shorten(names.encode(text)) for text in texts}) == len(texts)


@given(ANY)
def test_a_part_of_a_waiting_name_is_at_most_sixty_bytes_and_shortening_again_changes_nothing(text):
    part = names.shorten(names.encode(text))
    assert len(part.encode()) <= names.LONGEST_PART
    assert names.shorten(part) == part
    assert "." not in part


@given(ANY)
def test_the_shard_is_the_same_for_a_component_and_its_shortened_part(text):
    component = names.encode(text)
    shard = names.shard(component)
    assert shard == names.shard(names.shorten(component))
    assert len(shard) == 2
    assert int(shard, 16) < 256


@pytest.mark.parametrize("text", [".", "..", "", "/", "a/b", "~", "=", "\udc80", "x" * 1000, "é" * 100])
def test_names_that_mean_something_to_a_file_system_become_harmless(text, tmp_path):
    component = names.encode(text)
    (tmp_path / component).write_text("there", encoding="ascii")
    assert [path.name for path in tmp_path.iterdir()] == [component]


@pytest.mark.parametrize("component", ["a.b", "a/b", "=G0", "=4", "é", "=FF"])
def test_a_component_that_was_not_made_here_is_refused(component):
    with pytest.raises(ValueError, match=r"."):
        names.decode(component)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("ENGINX", True),
        ("a-b_C9", True),
        ("", False),
        ("A B", False),
        ("../x", False),
        ("É", False),
        ("A\n", False),
        ("A" * 61, False),
    ],
)
def test_an_instrument_is_letters_digits_dash_and_underscore(text, is_one):
    assert names.is_instrument(text) is is_one
