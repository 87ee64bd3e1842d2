"""The JSON Schema of a spec, for editors."""

import json
from functools import cache
from typing import Any

from nncli.spec.models import Spec

TITLE = "nncli network spec"
FILE = "nncli.schema.json"  # the name it goes by beside the specs that point to it
POINTER = f"# yaml-language-server: $schema={FILE}"
"""The first line of a spec, by which editors find the schema: a path from the spec's folder."""


def schema() -> dict[str, Any]:
    """What a spec may hold and what each key of it means, as a JSON Schema (draft 2020-12).

    What concerns several keys at once (which cost an activation needs, a dense layer ends the
    network) is left to nncli itself, which says it better.
    """
    made = Spec.model_json_schema()
    definitions = made["$defs"]
    _allow_greek_eta(definitions["TrainSpec"])
    _allow_word(definitions["TrainSpec"]["properties"], "schedule", "constant")
    for key in ("expect", "break"):
        _allow_short_conditions(made["properties"][key])
    _say_kinds(made["properties"]["network"]["items"], definitions)
    for owner in (made, *definitions.values()):
        for key, value in owner["properties"].items():
            _trim(key, value)
    for definition in definitions.values():
        _name(definition)
    made.pop("title")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        **made,
        "description": "A network, its data and its training.",
    }


@cache
def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _allow_greek_eta(train: dict[str, Any]) -> None:
    train["properties"]["η"] = dict(train["properties"]["eta"])
    train["required"].remove("eta")
    train["oneOf"] = [{"required": ["eta"]}, {"required": ["η"]}]


def _allow_word(properties: dict[str, Any], key: str, word: str) -> None:
    """A union of models cannot say by itself that one of them also has a short form."""
    field = properties[key]
    field["anyOf"] = [{"const": word}, {"oneOf": field.pop("oneOf")}]
    field["default"] = word


def _allow_short_conditions(field: dict[str, Any]) -> None:
    """A condition may be its text alone, and one alone needs no list."""
    text = {"type": "string", "minLength": 1}
    one = {"anyOf": [text, field.pop("items")]}
    del field["type"]
    field["anyOf"] = [*one["anyOf"], {"type": "array", "items": one}]


def _say_kinds(layer: dict[str, Any], definitions: dict[str, Any]) -> None:
    """All types at one place: an editor would blame an unknown one on the first model alone."""
    models = [definitions[choice["$ref"].rpartition("/")[2]] for choice in layer["oneOf"]]
    kinds = [model["properties"]["type"]["const"] for model in models]
    layer["required"] = ["type"]
    layer["properties"] = {"type": {"enum": kinds, "description": "What kind of layer it is."}}


def _trim(key: str, value: dict[str, Any]) -> None:
    """Drops what pydantic adds and an editor would show or write: `T Max`, `shape: null`."""
    value.pop("title", None)
    # The file's stem is the name that an editor cannot know.
    if value.get("default", ...) is None or key == "name" or value.get("default") == []:
        del value["default"]
    elif isinstance(value.get("default"), list) and len(set(value["default"])) == 1:
        value["default"] = value["default"][0]  # as it is written: stride: 1
    # Those of whole sections are written out for error messages; they are no values here.
    if (key in ("data", "network", "train") and "$ref" in value) or "items" in value:
        value.pop("examples", None)


def _name(definition: dict[str, Any]) -> None:
    """Editors name the choices of a union by their titles: `conv layer` rather than `ConvSpec`."""
    kind = definition["properties"].get("type", {}).get("const")
    if kind is None:
        del definition["title"]
        return
    definition["title"] = kind
