"""One word for one thing: in every help text, and in what the glossary says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import nncli
from nncli.cli.app import COMMANDS, app_for
from nncli.inspection.glossary import WORDS
from nncli.nn.symbols import SYMBOLS
from nncli.spec.schema import schema

# What others say, and what is said here.
OTHERS = {
    r"loss(es)?(?! of| signal)": "cost",
    r"neurons?": "unit",
    r"kernels?": "filter",
    r"(?<!mini-)batch(es)?": "mini-batch",
    r"minibatch(es)?": "mini-batch",
    r"learn(ing)? rate(?! η)": "η",
    r"transfer function": "activation",
    r"hyper-?parameters?": "key",
    r"(?<!inputs and )(examples|observations)": "sample",
}
GROUP: Any = typer.main.get_command(app_for(COMMANDS))
LITERAL = (
    r"--[\w-]+|\[.*?\]|<.*?>|\w+\.\w+|[\w.]+=\S+"  # options, keys and files, as they are typed
)


def texts(command: str) -> Iterator[str]:
    made = GROUP.commands[command]
    yield made.help
    for parameter in made.params:
        if not parameter.hidden and parameter.name != "help":
            yield str(parameter.help or "")
            yield str(parameter.show_default)


def other_words(text: str) -> list[str]:
    plain = re.sub(LITERAL, " ", text)
    return [
        f"{found[0]}: {ours}"
        for words, ours in OTHERS.items()
        for found in re.finditer(rf"\b(?:{words})\b", plain, re.IGNORECASE)
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_says_what_the_others_say(command: str) -> None:
    for text in texts(command):
        assert other_words(text) == [], text


def test_the_schema_says_what_the_helps_say() -> None:
    def described(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("description"), str):
                yield node["description"]
            for value in node.values():
                yield from described(value)
        elif isinstance(node, list):
            for value in node:
                yield from described(value)

    found = [(text, words) for text in described(schema()) if (words := other_words(text))]
    assert found == []


@pytest.mark.slow
def test_errors_say_what_the_helps_say() -> None:
    """Filters have a key `kernel`."""
    found = []
    for path in Path(nncli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise):
                constants = [each for each in ast.walk(node) if isinstance(each, ast.Constant)]
                text = " ".join(str(each.value) for each in constants)
                words = [w for w in other_words(text) if not w.startswith("kernel")]
                found += [(path.name, node.lineno, words)] if words else []
    assert found == []


def test_the_glossary_has_the_symbols_of_the_pages() -> None:
    symbols = {word.symbol for word in WORDS}
    others = {"input", "∂C/∂input", "Δb", "b new"}  # x, ᵀ, and those of W
    assert set(SYMBOLS.values()) - others <= symbols
    assert all(
        other_words(f"{word.name}: {word.line}") in ([], ["learning rate: η"]) for word in WORDS
    )


def test_the_same_option_has_the_same_words() -> None:
    """Of options that mean one thing wherever they are."""
    for option in ("--overwrite", "--set", "--step", "--open", "--fragment"):
        said = {
            parameter.help.replace("files that are", "a file that is").replace("a run", "a file")
            for command in GROUP.commands.values()
            for parameter in command.params
            if option in parameter.opts
        }
        assert len(said) == 1, said
