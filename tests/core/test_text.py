"""Numbers, names and lists in words."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncli.core.text import (
    SHORT,
    brief,
    count_of,
    first_of,
    join_words,
    printable,
    quote,
    quote_all,
    shell_word,
    sizes,
)


@pytest.mark.parametrize(
    ("number", "nouns", "text"),
    [
        (0, ("sample",), "0 samples"),
        (1, ("sample",), "1 sample"),
        (2, ("sample",), "2 samples"),
        (1797, ("sample",), "1,797 samples"),
        (1, ("entry", "entries"), "1 entry"),
        (1200, ("entry", "entries"), "1,200 entries"),
        (1, ("target a sample", "targets a sample"), "1 target a sample"),
    ],
)
def test_a_count_takes_its_noun_in_the_right_number(
    number: int, nouns: tuple[str, ...], text: str
) -> None:
    assert count_of(number, *nouns) == text


def test_what_is_not_printable_is_an_escape() -> None:
    assert printable("a\tb\x1b[31m\u202e\ud800") == "a\\tb\\x1b[31m\\u202e\\ud800"
    assert printable("é ∂ 'x' \"y\" C:\\new") == "é ∂ 'x' \"y\" C:\\new"


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("runs/iris", "runs/iris"),
        ("a b", "'a b'"),
        ("$(touch x)", "'$(touch x)'"),
        ("a'b", "'a'\"'\"'b'"),
        ("a\nb", r"'a\nb'"),
        ("--overwrite", "./--overwrite"),
    ],
)
def test_a_path_is_pasted_as_one_word_and_no_option(path: str, word: str) -> None:
    assert shell_word(path) == word


@given(st.text(), st.integers(2, 60))
def test_printable_text_is_printable_and_within_its_limit(text: str, limit: int) -> None:
    whole = printable(text)
    some = printable(text, limit)
    assert whole.isprintable()
    assert len(some) <= limit
    assert some == whole if len(whole) <= limit else some.endswith("…")
    assert whole.startswith(some.removesuffix("…"))


def test_text_of_megabytes_is_cut_before_it_is_escaped() -> None:
    assert brief("\x1b" * 10_000_000) == ("\\x1b" * 10)[: SHORT - 1] + "…"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("digit", "'digit'"),
        ("", "''"),
        ("it's", '"it\'s"'),
        ("'\"", "''\"'"),
        ("a\nb", "'a\\nb'"),
        ("x" * 40, f"'{'x' * 40}'"),
        ("x" * 41, f"'{'x' * 39}…'"),
        ("\x1b" + "x" * 99, f"'\\x1b{'x' * 35}…'"),
    ],
    ids=["word", "empty", "apostrophe", "both quotes", "newline", "40", "41", "escape"],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@given(st.text("abc' -", max_size=SHORT))
def test_a_plain_text_in_quotes_is_pythons_own(text: str) -> None:
    assert ast.literal_eval(quote(text)) == text


def test_of_many_names_ten_are_quoted_and_the_rest_counted() -> None:
    assert quote_all([]) == ""
    assert quote_all(["a", "b\n"]) == "'a', 'b\\n'"
    assert quote_all(map(str, range(1234))).endswith("'8', '9' and 1,224 more")


def test_of_a_list_the_first_are_written_and_a_sign_for_the_others() -> None:
    assert first_of((0, 1, 2), 3) == "0, 1, 2"
    assert first_of([0, 1, 2, 3], 3) == "0, 1, 2, …"
    assert first_of([], 3) == ""


def test_join_words() -> None:
    assert join_words(["tanh"]) == "tanh"
    assert join_words(["tanh", "relu"]) == "tanh or relu"
    assert join_words(("tanh", "relu", "gelu"), "and") == "tanh, relu and gelu"


def test_sizes() -> None:
    assert sizes(()) == ""
    assert sizes((3, 4)) == "3 x 4"
    assert sizes((3, 4), "×") == "3×4"
    assert sizes(range(9)) == "0 x 1 x 2 x 3 x 4 x 5 x 6 x 7 x ..."
