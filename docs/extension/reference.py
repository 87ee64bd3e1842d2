"""The reference, made from the code when the site is built: Markdown for `<!-- generated -->`."""

import json
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import nncli
from nncli.core.text import sizes
from tests.pages import ran

EXAMPLES = Path(__file__).parents[1] / "schemas.toml"
DEEPEST = 4  # levels of a JSON document that are listed


def commands() -> str:
    """Every command, its arguments and options, from the program's own parser."""
    import typer

    from nncli.cli.app import COMMANDS, app_for

    group: Any = typer.main.get_command(app_for(COMMANDS))
    return "\n\n".join(_command(name, group.commands[name]) for name in COMMANDS)


def _command(name: str, command: Any) -> str:
    shown = [p for p in command.params if not p.hidden]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join(["nncli", name, *(_written(p) for p in arguments), "[OPTIONS]"])
    lines = [f"## {name}", "", "```", usage, "```", "", _prose(command.help or ""), ""]
    rows = [(f"`{_written(p)}`", _sentence(p.help)) for p in arguments]
    lines += _table(("argument", "what it is"), rows)
    panels = dict.fromkeys(getattr(p, "rich_help_panel", None) or "Options" for p in options)
    for panel in panels:
        rows = [
            (_option(p), f"{_sentence(p.help)}{_default(p)}")
            for p in options
            if (getattr(p, "rich_help_panel", None) or "Options") == panel
        ]
        lines += _table((panel, "what it does"), rows)
    return "\n".join(lines)


def _written(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    return name if parameter.required else f"[{name}]"


def _option(option: Any) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    words = getattr(option.type_descriptor.annotation, "__members__", {})  # of an enumeration
    takes = _cell(
        option.metavar
        or "|".join(str(word.value) for word in words.values())
        or option.name.upper()
    )
    return flags if option.is_flag else f"{flags} `{takes}`"


def _default(option: Any) -> str:
    said = option.show_default if isinstance(option.show_default, str) else option.default
    if said in (None, False, True, (), []) or callable(said):
        return ""
    return f" Default: {f'`{_cell(str(said))}`' if said is option.default else _sentence(said)}."


def spec() -> str:
    """Every key of a spec, from the schema that checks it."""
    made = nncli.schema()
    known: Mapping[str, Any] = made["$defs"]
    parts = [_keys("## The top", made["properties"], made.get("required", ()), known)]
    for name, definition in known.items():
        title = definition.get("title", name)
        heading = f"## {title}" if title != name else f"## {name.removesuffix('Spec').lower()}"
        text = _keys(heading, definition["properties"], definition.get("required", ()), known)
        about = _sentence(definition.get("description", ""))
        parts.append(text.replace("\n\n", f"\n\n{about}\n\n", 1))
    return "\n\n".join(parts)


def _keys(
    heading: str, keys: Mapping[str, Any], required: Iterable[str], known: Mapping[str, Any]
) -> str:
    rows = [
        (
            f"`{key}`",
            _holds(value, known),
            "must be given" if key in required else _json(value.get("default")),
            _sentence(value.get("description", "")),
        )
        for key, value in keys.items()
    ]
    return "\n".join([heading, "", *_table(("key", "holds", "default", "meaning"), rows)])


def _json(value: Any) -> str:
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _holds(value: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """A schema in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return str(known[name].get("title", name))
    for union in ("oneOf", "anyOf"):
        if union in value:
            kinds = (_holds(kind, known) for kind in value[union] if kind.get("type") != "null")
            return ", ".join(dict.fromkeys(kind for kind in kinds if kind))
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{word}`" for word in value["enum"])
    kind = value.get("type", "anything")
    if kind == "array":
        return f"list of {_holds(value.get('items', {}), known)}"
    words = {"object": "mapping", "string": "text", "boolean": "yes or no: `true`, `false`"}
    word = words.get(kind, str(kind))
    if kind in ("integer", "number"):
        word += _range(value)
    return word


def _range(value: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {value[key]:,}" for key, sign in signs.items() if key in value]
    return f" {', '.join(bounds)}" if bounds else ""


def quantities() -> str:
    """What a condition may name."""
    from nncli.app.show import quantities as listed

    listing = listed()
    training = [(f"`{r.name}`", _sentence(r.meaning)) for r in listing.rows if r.of == "training"]
    layer = [
        (
            f"`{r.name}`",
            "array" if r.is_array else "number",
            _sentence(r.meaning),
            _sentence(r.where),
        )
        for r in listing.rows
        if r.of == "layer"
    ]
    presets = [
        (f"`{name}`", f"{meaning}: {', '.join(f'`{line}`' for line in lines)}")
        for name, (meaning, lines) in listing.presets.items()
    ]
    parts = {
        "Of the training": _table(("quantity", "meaning"), training),
        "Of a layer": _table(("quantity", "is", "meaning", "of"), layer),
        "Functions": _table(("function", "meaning"), _pairs(listing.functions)),
        "Words for layers": _table(("word", "meaning"), _pairs(listing.words)),
        "Presets": _table(("word", "stands for"), presets),
    }
    return "\n\n".join("\n".join([f"## {title}", "", *rows]) for title, rows in parts.items())


def _pairs(meanings: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [(f"`{name}`", _sentence(meaning)) for name, meaning in meanings.items()]


def formats() -> str:
    """The keys of each JSON document, read off an example that is made here."""
    examples = tomllib.loads(EXAMPLES.read_text(encoding="utf-8"))
    from nncli.app.show import quantities as listed

    meanings = {row.name: _sentence(row.meaning) for row in listed().rows}
    parts = list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for name, example in examples.items():
            for command in example.get("before", ()):
                ran(command, Path(folder))
            printed = ran(example["command"], Path(folder))
            document = json.loads(printed.out)
            if document.get("schema") != name:
                raise ValueError(f"{example['command']}: printed {document.get('schema')}")
            rows = [
                (f"`{key}`", what, "" if "mapping" in what else meanings.get(_last(key), ""))
                for key, what in _content("", document)
            ]
            head = [f"## {name}", "", f"{example['about']} In this example of:", ""]
            table = _table(("key", "holds", "meaning"), rows)
            parts.append("\n".join([*head, "```", example["command"], "```", "", *table]))
    return "\n\n".join(parts)


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _content(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The keys of a document and what they hold; of a list of mappings its first."""
    if isinstance(value, dict) and depth < DEEPEST:
        if path:
            yield path, f"mapping of {len(value)}"
        for key, item in value.items():
            yield from _content(f"{path}.{key}" if path else key, item, depth + 1)
        return
    if isinstance(value, list) and value and isinstance(value[0], dict) and depth < DEEPEST:
        yield f"{path}[]", f"list of {len(value)} mappings"
        merged: dict[str, Any] = {}
        for item in value:  # a key that is null in one may hold something in the next
            merged |= {key: x for key, x in item.items() if x is not None or key not in merged}
        for key, item in merged.items():
            yield from _content(f"{path}[].{key}", item, depth + 1)
        return
    yield path, _kind(value)


def _kind(value: Any) -> str:
    if value is None:
        return "null here"
    if isinstance(value, bool):
        return f"yes or no, here `{json.dumps(value)}`"
    if isinstance(value, int | float):
        return f"number, here {value:.6g}"
    if isinstance(value, str):
        return f"text, here `{_cell(value)}`" if value and len(value) < 60 else "text"
    if isinstance(value, list):
        try:
            shape = np.shape(np.array(value, float))
        except (TypeError, ValueError):
            return f"list of {len(value)}"
        return f"numbers, {sizes(shape, '×')}" if all(shape) else "empty list here"
    return f"mapping of {len(value)}"


def python() -> str:
    """The public names, to be documented by autodoc from their docstrings."""
    functions = [n for n in nncli.__all__ if n[0].islower()]
    classes = [n for n in nncli.__all__ if n[0].isupper()]
    blocks = [
        "\n".join(["## Functions", "", "```{eval-rst}"])
        + "".join(f"\n\n.. autofunction:: nncli.{name}" for name in functions)
        + "\n```",
        "\n".join(["## Records and errors", "", "```{eval-rst}"])
        + "".join(f"\n\n.. autoclass:: nncli.{name}\n   :members:" for name in classes)
        + "\n\n.. autoclass:: nncli.nn.trace.LayerTrace\n   :members:\n   :undoc-members:\n```",
    ]
    return "\n\n".join(blocks)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if not lines:
        return []
    return ["", f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines, ""]


def _sentence(text: str | None) -> str:
    """Text of the program for a cell of a table: nothing in it is Markdown."""
    return "".join(f"\\{sign}" if sign in "*_[]<>#{}`$~" else sign for sign in _cell(text or ""))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    return "\n\n".join(_sentence(part) for part in text.split("\n\n"))


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "spec": spec,
    "quantities": quantities,
    "formats": formats,
    "python": python,
}
