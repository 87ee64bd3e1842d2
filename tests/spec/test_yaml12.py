"""Scalars, places, and what a YAML file may not do."""

import math
import time
from typing import Any

import pytest
import yaml

from nncli.core.errors import SpecError
from nncli.spec import parse_spec, yaml12
from nncli.spec.nodes import plain, source
from nncli.spec.yaml12 import read, resolve

NUMBERS = {
    "0": 0, "-1": -1, "+12": 12, "017": 17, "0o17": 15, "0x1F": 31, "0xff": 255,
    "1e-3": 0.001, ".5": 0.5, "1E5": 1e5, "1.": 1.0, "-.5e+2": -50.0, "6.02e23": 6.02e23,
    ".inf": math.inf, "-.INF": -math.inf, "+.Inf": math.inf,
}  # fmt: skip
STRINGS = [
    "yes", "no", "on", "off", "Yes", "y", "n", "1:30", "190:20:30", "2024-01-31", "1_000", "0b11",
    "-0x1F", "e5", ".", "1e", "tRue", "nULL", "=", "-", "inf", "nan", "١",
]  # fmt: skip


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both readers: a plain installation may lack libyaml."""
    if not hasattr(yaml, request.param):
        pytest.skip("no libyaml here")
    monkeypatch.setattr(yaml12, "LOADER", getattr(yaml, request.param))


def complaint(text: Any) -> Any:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "f.yaml")
    return caught.value.problems[0]


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_numbers_of_the_core_schema(text: Any, number: Any) -> None:
    assert resolve(text) == number
    assert type(resolve(text)) is type(number)


@pytest.mark.parametrize("text", STRINGS)
def test_what_other_yaml_takes_for_more_is_text(text: Any) -> None:
    assert resolve(text) == text


def test_the_words_of_the_core_schema() -> None:
    assert all(resolve(word) is None for word in ("", "~", "null", "Null", "NULL"))
    assert all(resolve(word) is True for word in ("true", "True", "TRUE"))
    assert all(resolve(word) is False for word in ("false", "False", "FALSE"))
    assert math.isnan(float(str(resolve(".nan"))))


@pytest.mark.usefixtures("loader")
def test_quoted_scalars_and_block_scalars_are_text() -> None:
    root: Any
    root, problems = read("a: '1'\nb: \"true\"\nc: |\n  1e-3\nd: >-\n  1\n")
    assert plain(root) == {"a": "1", "b": "true", "c": "1e-3\n", "d": "1"}
    assert problems == []


@pytest.mark.usefixtures("loader")
def test_places_in_nested_flow_sequences() -> None:
    root, _ = read("a:\n  - [[1, 2],\n     [ 3,  x]]\n  - {k: v, ö: [é, ü]}\n")
    place = source("f", root).place
    assert place(("a", 0, 0, 1))[:2] == (2, 10)
    assert place(("a", 0, 1, 1))[:2] == (3, 12)
    assert place(("a", 1, "k"), at_key=True)[:2] == (4, 6)
    assert place(("a", 1, "ö", 1))[:2] == (4, 19)
    assert place(("a", 1, "absent", 7))[:2] == (4, 5)


@pytest.mark.usefixtures("loader")
def test_aliases_are_expanded() -> None:
    root: Any
    root, problems = read("a: &x [1, {b: 2}]\nc: [*x, *x]\n")
    assert plain(root)["c"] == [[1, {"b": 2}]] * 2
    assert problems == []


SYNTAX = {
    "a: [1\n": "1:4: not valid YAML: after this '[' a ',' or the closing ']' is missing",
    "{a: 1, b": "1:1: not valid YAML: after this '{' a ',' or the closing '}' is missing",
    "a: {b: 1, c[0].d: 2}": "1:11: not valid YAML: text that holds '[' goes in quotes within "
    "brackets: 'c[0].d'",
    "a: [max(b[0, 1]) < 1]": "1:5: not valid YAML: text that holds '[' goes in quotes within "
    "brackets",
    "a: [b [1]]": "1:4: not valid YAML: after this '[' a ',' or the closing ']' is missing",
    "a: 'x": "1:4: not valid YAML: a quotation mark is never closed",
    'a: "x\n---\n': "1:4: not valid YAML: a quotation mark is never closed",
    "a: b: c": "1:5: not valid YAML: a ':' is out of place; check the indentation, or put text "
    "that holds ': ' in quotes",
    "a:\n\t- b": "2:1: not valid YAML: a tab cannot indent; use spaces",
    "a: @x": "1:4: not valid YAML: text cannot begin with '@'; put it in quotes",
    "a:\n  b: 1\n c: 2\n": "3:2: not valid YAML: this does not fit the lines above; check "
    "indentation and quotes",
    "%YAML 3.0\n---\na: 1": "1:1: not valid YAML: lines that begin with '%' have no place in a "
    "spec",
    "": "1:1: the file is empty; a spec needs data, network and train",
    "# a remark\n": "1:1: the file is empty; a spec needs data, network and train",
    "null": "1:1: expected a mapping with data, network and train, got null",
    "- a": "1:1: expected a mapping with data, network and train, got the list ['a']",
    "just text": "1:1: expected a mapping with data, network and train, got the string 'just text'",
    "a: 1\n---\nb: 1": "2:1: a second document begins here; keep one document in a file",
    "a: 1\nb: \x1b[31m": "2:4: the control character U+001B is not allowed; remove it",
    "a: \0": "1:4: the control character U+0000 is not allowed; remove it",
    "a: *b": "1:4: a: *b refers to nothing; no &b precedes",
    "a: &a [1, *a]": "1:11: a[1]: *a refers to the value that it is a part of",
    "? [a]\n: b": "1:3: a key must be a word, not a list or a mapping",
    "a: &x b\n*x : 2": "2:1: a key must be a word, not an alias",
    "[" * 100_000: "1:65: [0][0][0]: lists and mappings are nested more than 64 deep",
}


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(("text", "line"), SYNTAX.items(), ids=lambda text: repr(text[:20]))
def test_what_cannot_be_read(text: Any, line: Any) -> None:
    assert complaint(text) == f"f.yaml:{line}"


TAG = "a tag, which begins with '!', has no place in a spec; put the text in quotes"
ANCHOR = "'&' begins a name for a value; put text that begins with '&' in quotes"
ALIAS = "'*' begins the name of a value; put text that begins with '*' in quotes"
BLOCK = "behind '|' or '>' the line ends; put text that begins so in quotes"
DASH = "a '-' is out of place; put each item of a list on a line of its own"
ESCAPE = "a wrong escape with '\\'; use single quotes for text as it stands"
OWN_WORDS = {
    "a: !<": f"1:4: not valid YAML: {TAG}",
    "a: !x!y z": f"1:4: not valid YAML: {TAG}",
    "a: !%zz x": f"1:4: not valid YAML: {TAG}",
    "a: & b": f"1:4: not valid YAML: {ANCHOR}",
    "a: *": f"1:4: not valid YAML: {ALIAS}",
    "a: |9x": f"1:4: not valid YAML: {BLOCK}",
    "a: >-x": f"1:4: not valid YAML: {BLOCK}",
    'a: "\\x4"': f"1:4: not valid YAML: {ESCAPE}",
    'a: "\\q"': f"1:4: not valid YAML: {ESCAPE}",
    "a: -": f"1:4: not valid YAML: {DASH}",
}


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(("text", "line"), OWN_WORDS.items(), ids=repr)
def test_both_parsers_are_put_in_the_same_words(text: str, line: str) -> None:
    assert complaint(text) == f"f.yaml:{line}"


GOOD = "data: {train: x.csv}\nnetwork: [{type: dense, units: 1}]\ntrain: {eta: 1}\n"
NOT_FATAL = {
    "name: !!python/name:os.system x": "4:7: name: the tag '!!python/name:os.system' has no place "
    "in a spec; leave it out",
    "name: !!str x": "4:7: name: the tag '!!str' has no place in a spec; leave it out",
    "data: 3": "4:1: data: the key 'data' is given twice, first in line 1; keep one",
    "<<: {a: 1}": "4:1: '<<': '<<' does not merge here; write the keys out",
    "seed: " + "9" * 5000: "4:7: seed: a number of 5000 digits is too long",
    '"\\e[31m": 3': "4:1: '\\x1b[31m': unknown key '\\x1b[31m'; expected one of name, seed, dtype, "
    "data, network, train, expect, break or sweep",
    "<pair>: 3": "4:1: '<pair>': unknown key '<pair>'; expected one of name, seed, dtype, data, "
    "network, train, expect, break or sweep",
    f"{'k' * 90}: 3": f"4:1: '{'k' * 39}…': unknown key '{'k' * 39}…'; expected one of name, seed, "
    "dtype, data, network, train, expect, break or sweep",
}


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(("text", "line"), NOT_FATAL.items(), ids=lambda text: repr(text[:20]))
def test_what_is_refused_but_does_not_stop_the_reading(text: Any, line: Any) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(GOOD + text, "f.yaml")
    assert caught.value.problems == (f"f.yaml:{line}",)


@pytest.mark.usefixtures("loader")
def test_an_impossible_escape_is_an_error_of_ours() -> None:
    assert complaint('a: "\\UFFFFFFFF"').startswith("f.yaml:1:")
    assert complaint('a: "\\ud800"').startswith("f.yaml:1:")


def test_aliases_of_aliases_are_bounded() -> None:
    lines = [f"- &x{i} [{', '.join([f'*x{i - 1}'] * 10) if i else 1}]" for i in range(30)]
    start = time.process_time()
    message = "more than 300,000 values (aliases expanded); put data in a file"
    assert complaint("a:\n" + "\n".join(lines)).endswith(message)
    assert time.process_time() - start < 10  # there would be 10^30


def test_depth_by_aliases_is_bounded() -> None:
    lines = ["- &x0 [1]", *(f"- &x{i} [*x{i - 1}]" for i in range(1, 100))]
    message = "lists and mappings are nested more than 64 deep"
    assert complaint("a:\n" + "\n".join(lines)).endswith(message)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_spec("\ufeff" + GOOD).train.eta == 1


def test_mappings_of_keys_without_number_are_left_at_once() -> None:
    text = "".join(f"a{i}: 1\n" for i in range(100_000))
    assert complaint(text) == "f.yaml:51:1: more than 50 keys; no part of a spec has so many"


def test_layers_without_number_are_one_mistake() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(GOOD.replace("network: [", "network: [" + "{}, " * 20_000), "f.yaml")
    assert [p for p in caught.value.problems if "layers" in p] == [
        "f.yaml:2:10: network: 20001 layers are too many; the most is 1000"
    ]
    assert len(caught.value.problems) < 5


def test_mistakes_without_number_do_not_pile_up() -> None:
    _, problems = yaml12.read("a: [" + "!x 1, " * 50_000 + "]")
    assert len(problems) == 1000
