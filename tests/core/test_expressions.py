"""The grammar of conditions, against Python's own evaluation of the same text."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from nncli.core.expressions import (
    Arithmetic,
    Call,
    Comparison,
    ExpressionError,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    names,
    parse,
)

NUMBERS = {"a": 3.0, "b": -2.0, "c": 0.5}


def value(node: Node) -> Any:
    """A slow evaluation, of numbers alone."""
    match node:
        case Number():
            return node.value
        case Name():
            return NUMBERS[node.quantity]
        case Negative():
            return -value(node.operand)
        case Arithmetic():
            left, right = value(node.left), value(node.right)
            return {"+": left + right, "-": left - right, "*": left * right}[node.sign]
        case Call():
            called: dict[str, Callable[..., float]] = {"max": max, "abs": abs}
            return called[node.function](*map(value, node.arguments))
        case Comparison():
            x = [value(part) for part in node.operands]
            signs: dict[str, Callable[[Any, Any], bool]] = {
                "<": lambda p, q: p < q,
                "<=": lambda p, q: p <= q,
                ">": lambda p, q: p > q,
                ">=": lambda p, q: p >= q,
                "==": lambda p, q: p == q,
                "!=": lambda p, q: p != q,
            }
            return all(signs[s](x[k], x[k + 1]) for k, s in enumerate(node.signs))
        case Logic():
            parts = [value(part) for part in node.conditions]
            return all(parts) if node.word == "and" else any(parts)
        case Not():
            return not value(node.condition)
    raise AssertionError(node)


def number(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([*NUMBERS, "1", "2.5", "1e-3", ".5", "4."])
    a, b = number(rng, depth - 1), number(rng, depth - 1)
    return rng.choice([f"{a} + {b}", f"{a}-{b}", f"{a}*{b}", f"-{a}", f"({a})", f"max({a}, {b})"])


def condition(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.3:
        signs = ("<", "<=", ">", ">=", "==", "!=")
        parts = [number(rng, 2) for _ in range(rng.choice([2, 2, 3]))]
        return "".join([parts[0], *(f" {rng.choice(signs)} {part}" for part in parts[1:])])
    a, b = condition(rng, depth - 1), condition(rng, depth - 1)
    return rng.choice([f"{a} and {b}", f"{a} or {b}", f"not {a}", f"({a})"])


def test_it_means_what_python_makes_of_it() -> None:
    rng = random.Random(0)
    truths = set()
    for _ in range(400):
        text = condition(rng, 3)
        if len(text) > 500:
            continue
        expected = eval(text, {"max": max, "abs": abs}, dict(NUMBERS))
        assert value(parse(text)) == expected, text
        assert value(parse(str(parse(text)))) == expected, text
        truths.add(expected)
    assert truths == {True, False}


def test_names_know_where_they_stand() -> None:
    text = "dense1.delta_norm < 2 and max(abs(conv1.delta)) > cost"
    found = names(parse(text))
    assert [str(name) for name in found] == ["dense1.delta_norm", "conv1.delta", "cost"]
    assert all(text[name.at :].startswith(str(name)) for name in found)
    assert [text[name.quantity_at :].split()[0] for name in found] == [
        "delta_norm",
        "delta))",
        "cost",
    ]


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("", 0, "expected a number or a quantity, it ends there"),
        ("cost <", 6, "expected a number or a quantity, it ends there"),
        ("cost < 1 and", 12, "expected a number or a quantity, it ends there"),
        ("cost 1", 5, "expected an operator or the end, got '1'"),
        ("(cost < 1", 9, "expected the ) of the ( at character 1, it ends there"),
        ("max(cost, 1 < 2", 15, "expected the ) of the ( at character 4, it ends there"),
        ("cost < 1)", 8, "expected an operator or the end, got ')'"),
        ("cost = 1", 5, "'='; == compares"),
        ("cost < 1 && eta > 0", 9, "'&&'; write and"),
        ("cost ≤ 1", 5, "'≤'; write <="),
        ("η > 0", 0, "'η'; write eta"),
        ("cost < 90%", 9, "'%'; write a share as 0.9"),
        ("cost < 2**3", 8, "'**'; powers are not known; multiply"),
        ("dense1.delta[0] > 1", 12, "'['; an entry cannot be chosen"),
        ("cost < 1; import os", 8, "';' has no meaning here"),
        ("c\u043est < 1", 1, "'\u043e' (U+043E, CYRILLIC SMALL LETTER O) has no meaning here"),
        ("__import__('os')", 11, '"\'" has no meaning here'),
        ("cost < 1e999", 7, "'1e999' is too large for a number"),
        ("cost < 1x", 8, "expected an operator, got 'x'"),
        ("dense1. > 1", 8, "expected a quantity of 'dense1', got '>'"),
        ("dense1.delta.shape", 12, "expected an operator or the end, got '.'"),
        ("cost < and", 7, "expected a number or a quantity, got 'and'"),
        ("cost < " + "1+" * 300 + "1", 500, "longer than 500 characters"),
        ("(" * 60 + "cost" + ")" * 60, 41, "too many parts within each other"),
        ("not " * 60 + "cost < 1", 164, "too many parts within each other"),
        ("cost < " + "-" * 60 + "1", 48, "too many parts within each other"),
    ],
)
def test_what_is_no_expression(text: str, at: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.message.startswith(message)
    assert caught.value.at == at
