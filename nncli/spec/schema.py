"""The JSON Schema of a spec, for editors."""

from typing import Any

from nncli.spec.models import Spec


def json_schema() -> dict[str, Any]:
    """A schema (draft 2020-12) of what a spec file may hold."""
    schema = Spec.model_json_schema()
    _allow_greek_eta(schema["$defs"]["TrainSpec"])
    _allow_word(schema["$defs"]["TrainSpec"]["properties"], "schedule", "constant")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "nncli network spec",
    }


def _allow_greek_eta(train: dict[str, Any]) -> None:
    train["properties"]["η"] = train["properties"]["eta"]
    train["required"].remove("eta")
    train["oneOf"] = [{"required": ["eta"]}, {"required": ["η"]}]


def _allow_word(properties: dict[str, Any], key: str, word: str) -> None:
    """A union of models cannot say by itself that one of them also has a short form."""
    field = properties[key]
    field["anyOf"] = [{"const": word}, {"oneOf": field.pop("oneOf")}]
