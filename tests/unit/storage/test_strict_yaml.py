"""YAML as plain data: everything else is refused with one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.storage import strict_yaml
from trimtab.storage.strict_yaml import NotDataError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_dumped_loads_as_the_same(value: object) -> None:
    assert strict_yaml.load(strict_yaml.dump(value).encode()) == value


@pytest.mark.parametrize("text", ["1e5", "on", "0x10", "1:30", "2026-11-22", "null", "~", "=", ""])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert strict_yaml.load(strict_yaml.dump({"k": text})) == {"k": text}


def test_a_shared_value_is_written_twice() -> None:
    shared = [1]
    assert strict_yaml.load(strict_yaml.dump({"a": shared, "b": shared})) == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x", "alias in line 2"),
        ("a: 1\na: 2", "'a' in line 2 stands twice"),
        ("1: 2", "must be text"),
        ("[1, 2]: 3", "must be text"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a: [", "in line 1"),
        ("a: 1\n---\nb: 2", "document"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: " + "9" * 5000, "4300"),
        ("a: \x00", "special characters"),
        ("a" * 1_000_001, "1000001 bytes"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(NotDataError, match=said) as caught:
        strict_yaml.load(text)
    assert "\n" not in str(caught.value)


def test_bytes_must_be_utf8() -> None:
    with pytest.raises(NotDataError, match="utf-8"):
        strict_yaml.load(b"a: \xff")


def test_an_unquoted_date_is_text() -> None:
    assert strict_yaml.load("made: 2026-11-22") == {"made": "2026-11-22"}
