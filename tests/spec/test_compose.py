"""A spec composed with comments reads as its values, whatever is in the comments."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nncli.spec import yaml12
from nncli.spec.dump import COMPOSED_WIDTH as WIDTH
from nncli.spec.dump import Entry, Section, compose
from nncli.spec.nodes import plain
from nncli.spec.schema import POINTER

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=120)
printable = words.map(lambda text: "".join(c for c in text if c.isprintable()))
scalars = st.one_of(
    words, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)
)
keys = st.sampled_from("abcdefgh")
values = st.one_of(
    scalars,
    st.lists(st.integers(), max_size=3).map(tuple),
    st.dictionaries(keys, scalars, min_size=1, max_size=3),
)


def read(text: str) -> object:
    node, problems = yaml12.read(text)
    assert node is not None
    assert not problems
    return plain(node)


def listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@settings(deadline=None)
@given(
    st.dictionaries(keys, st.tuples(values, printable), min_size=1),
    st.lists(st.tuples(values, printable), min_size=1),
    st.lists(printable),
)
def test_it_reads_as_what_was_put_in(mapping: Any, items: Any, heading: Any) -> None:
    entries = [Entry(key, value, why) for key, (value, why) in mapping.items()]
    off = Entry("off", "never", "why not", off=True)
    network = [Entry("", value, why) for value, why in items]
    sections = [Section("", entries), Section("data", [*entries, off]), Section("network", network)]
    text = compose(heading, sections)
    assert text.startswith(f"{POINTER}\n")
    plain_mapping = {key: listed(value) for key, (value, _) in mapping.items()}
    assert read(text) == {
        **plain_mapping,
        "data": plain_mapping,
        "network": [listed(value) for value, _ in items],
    }


def test_comments_stand_in_a_column_or_above() -> None:
    long = "so long a reason that it cannot stand in the line of its key and so goes above " * 2
    entries = [Entry("a", 1, "one"), Entry("bcd", 2, "two"), Entry("e", 3, long)]
    lines = compose([], [Section("data", entries)]).splitlines()
    assert lines[1:4] == ["data:", "  a: 1    # one", "  bcd: 2  # two"]
    assert all(line.startswith("  # ") for line in lines[4:-1])
    assert lines[-1] == "  e: 3"
    assert max(map(len, lines)) <= WIDTH


def test_a_long_mapping_takes_lines_of_its_own() -> None:
    pair = {"inputs": "a" * 40, "targets": "b" * 40}
    lines = compose([], [Section("data", [Entry("train", pair, "both")])]).splitlines()
    assert lines[1:] == [
        "data:",
        "  # both",
        "  train:",
        f"    inputs: {'a' * 40}",
        f"    targets: {'b' * 40}",
    ]
