"""A small language of conditions: from its text to a tree whose parts know where they stand.

    condition:   condition or condition, condition and condition, not condition, (condition)
                 number < number <= number ...     < <= > >= == !=
    number:      1e-6, cost, dense1.delta_norm, -number, number + number, (number)   + - * /
                 max(dense1.delta), mean(abs(dense1.a)), ...

Here is its grammar alone; which names and functions there are is known elsewhere. Nothing of it
is ever run as Python.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from nncli.core.text import quote

LONGEST, DEEPEST = 500, 40  # characters, and parts within each other
SIGNS = ("<", "<=", ">", ">=", "==", "!=")
WORDS = ("and", "or", "not")
# What other languages write, and what it is called here.
FOREIGN = {
    "=": "== compares",
    "&&": "write and",
    "||": "write or",
    "&": "write and",
    "|": "write or",
    "!": "write not",
    "^": "powers are not known; multiply",
    "**": "powers are not known; multiply",
    "%": "write a share as 0.9",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "η": "write eta",
    "δ": "write delta",
    "‖": "write norm(...)",
    "[": "an entry cannot be chosen; min, max and mean look at all of them",
}


class ExpressionError(Exception):
    """What is wrong with an expression, and at which of its characters, from 0."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


@dataclass(frozen=True)
class Node:
    """A part of an expression; `at` is its first character, from 0."""

    at: int

    @property
    def parts(self) -> tuple["Node", ...]:
        return ()


@dataclass(frozen=True)
class Number(Node):
    value: float
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Name(Node):
    """A quantity, of a layer or of the training; `quantity_at` is where its own name begins."""

    layer: str | None
    quantity: str
    quantity_at: int

    def __str__(self) -> str:
        return self.quantity if self.layer is None else f"{self.layer}.{self.quantity}"


@dataclass(frozen=True)
class Call(Node):
    function: str
    arguments: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.arguments

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True)
class Negative(Node):
    operand: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.operand,)

    def __str__(self) -> str:
        return f"-{self.operand}"


@dataclass(frozen=True)
class Arithmetic(Node):
    sign: str
    left: Node
    right: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def __str__(self) -> str:
        return f"({self.left} {self.sign} {self.right})"


@dataclass(frozen=True)
class Comparison(Node):
    """Operands with a sign between each two: a < b <= c means a < b and b <= c."""

    signs: tuple[str, ...]
    operands: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.operands

    def __str__(self) -> str:
        rest = zip(self.signs, self.operands[1:], strict=True)
        return " ".join([str(self.operands[0]), *(f"{sign} {part}" for sign, part in rest)])


@dataclass(frozen=True)
class Logic(Node):
    """`word` is and, or."""

    word: str
    conditions: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.conditions

    def __str__(self) -> str:
        return f" {self.word} ".join(f"({part})" for part in self.conditions)


@dataclass(frozen=True)
class Not(Node):
    condition: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.condition,)

    def __str__(self) -> str:
        return f"not ({self.condition})"


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for part in node.parts:
        yield from walk(part)


def names(node: Node) -> list[Name]:
    """The quantities in an expression, as they are written."""
    return [part for part in walk(node) if isinstance(part, Name)]


def rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:
    """A copy in which `change` has had a look at every node, those below it first."""
    match node:
        case Call():
            node = replace(node, arguments=tuple(rebuilt(a, change) for a in node.arguments))
        case Negative():
            node = replace(node, operand=rebuilt(node.operand, change))
        case Arithmetic():
            left, right = rebuilt(node.left, change), rebuilt(node.right, change)
            node = replace(node, left=left, right=right)
        case Comparison():
            node = replace(node, operands=tuple(rebuilt(o, change) for o in node.operands))
        case Logic():
            node = replace(node, conditions=tuple(rebuilt(c, change) for c in node.conditions))
        case Not():
            node = replace(node, condition=rebuilt(node.condition, change))
    return change(node)


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises ExpressionError: it is none.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"longer than {LONGEST} characters; make several of it", LONGEST)
    parser = _Parser(_tokens(text))
    node = parser.either(0)
    token = parser.token
    if token.kind != "end":
        raise ExpressionError(_unexpected(token, "an operator or the end"), token.at)
    return node


class _Token(NamedTuple):
    kind: str  # number, word, sign, end
    text: str
    at: int


_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<sign><=|>=|==|!=|\*\*|&&|\|\||.)",
    re.ASCII | re.DOTALL,
)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    for match in _TOKEN.finditer(text):
        kind, written, at = match.lastgroup or "", match.group(), match.start()
        if kind == "space":
            continue
        if kind == "sign" and written not in (*SIGNS, *"+-*/().,"):
            hint = FOREIGN.get(written)
            why = f"; {hint}" if hint else f"{_character(written)} has no meaning here"
            raise ExpressionError(f"{quote(written)}{why}", at)
        tokens.append(_Token(kind, written, at))
    return [*tokens, _Token("end", "", len(text.rstrip()))]


def _character(sign: str) -> str:
    """What a sign is that may look like another, as a Cyrillic o does."""
    return "" if sign.isascii() else f" (U+{ord(sign):04X}, {unicodedata.name(sign, 'unnamed')})"


def _unexpected(token: _Token, wanted: str) -> str:
    came = "it ends there" if token.kind == "end" else f"got {quote(token.text)}"
    return f"expected {wanted}, {came}"


class _Parser:
    """By recursive descent; each method reads one kind of part, at `depth` parts within others."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens, self.k = tokens, 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.k]

    def take(self, *texts: str) -> _Token | None:
        """The token here, if it is one of these; then it is passed."""
        token = self.token
        if token.kind in ("word", "sign") and token.text in texts:
            self.k += 1
            return token
        return None

    def check_depth(self, depth: int) -> None:
        if depth > DEEPEST:
            raise ExpressionError("too many parts within each other", self.token.at)

    def close(self, opened: _Token) -> None:
        if self.take(")") is None:
            message = _unexpected(self.token, f"the ) of the ( at character {opened.at + 1}")
            raise ExpressionError(message, self.token.at)

    def either(self, depth: int) -> Node:
        return self.joined("or", self.both, depth)

    def both(self, depth: int) -> Node:
        return self.joined("and", self.negated, depth)

    def joined(self, word: str, part: Callable[[int], Node], depth: int) -> Node:
        self.check_depth(depth)
        conditions = [part(depth)]
        while self.take(word):
            conditions.append(part(depth))
        return (
            conditions[0]
            if len(conditions) == 1
            else Logic(conditions[0].at, word, tuple(conditions))
        )

    def negated(self, depth: int) -> Node:
        self.check_depth(depth)
        token = self.take("not")
        return self.compared(depth) if token is None else Not(token.at, self.negated(depth + 1))

    def compared(self, depth: int) -> Node:
        operands, signs = [self.sum(depth)], []
        while sign := self.take(*SIGNS):
            signs.append(sign.text)
            operands.append(self.sum(depth))
        if not signs:
            return operands[0]
        return Comparison(operands[0].at, tuple(signs), tuple(operands))

    def sum(self, depth: int) -> Node:
        return self.combined("+-", self.product, depth)

    def product(self, depth: int) -> Node:
        return self.combined("*/", self.signed, depth)

    def combined(self, signs: str, part: Callable[[int], Node], depth: int) -> Node:
        left = part(depth)
        while sign := self.take(*signs):
            left = Arithmetic(left.at, sign.text, left, part(depth))
        return left

    def signed(self, depth: int) -> Node:
        self.check_depth(depth)
        token = self.take("-")
        return self.atom(depth) if token is None else Negative(token.at, self.signed(depth + 1))

    def atom(self, depth: int) -> Node:
        token = self.token
        if token.kind == "number":
            return self.number(token)
        if token.kind == "word" and token.text not in WORDS:
            return self.name(token, depth)
        if self.take("("):
            inner = self.either(depth + 1)
            self.close(token)
            return inner
        raise ExpressionError(_unexpected(token, "a number or a quantity"), token.at)

    def number(self, token: _Token) -> Number:
        self.k += 1
        value = float(token.text)
        if not math.isfinite(value):
            raise ExpressionError(f"{quote(token.text)} is too large for a number", token.at)
        following = self.token
        if following.kind in ("word", "number") and following.at == token.at + len(token.text):
            raise ExpressionError(_unexpected(following, "an operator"), following.at)
        return Number(token.at, value, token.text)

    def name(self, token: _Token, depth: int) -> Node:
        self.k += 1
        opened = self.token
        if self.take("("):
            arguments = [] if self.token.text == ")" else [self.either(depth + 1)]
            while self.take(","):
                arguments.append(self.either(depth + 1))
            self.close(opened)
            return Call(token.at, token.text, tuple(arguments))
        if not self.take("."):
            return Name(token.at, None, token.text, token.at)
        quantity = self.token
        if quantity.kind != "word":
            message = _unexpected(quantity, f"a quantity of {quote(token.text)}")
            raise ExpressionError(message, quantity.at)
        self.k += 1
        return Name(token.at, token.text, quantity.text, quantity.at)
