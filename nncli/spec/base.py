"""What the spec's models are made from, and unions of them that `type` tells apart."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Tag

from nncli.spec.values import unknown_word, wrong
from nncli.spec.words import describe, one_of


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def tag(kind: str) -> str:
    """The tag of a union's member, in brackets: `problems` tells it from a file's own keys."""
    return f"<{kind}>"


def tag_by_type(value: Any) -> str:
    """The tag of the model that a mapping (or a model) is meant for, by its `type`."""
    return tag(value["type"] if isinstance(value, dict) else value.type)


def known_kind(example: str, *kinds: str) -> BeforeValidator:
    """Looks at `type` before pydantic picks a model by it, to put an unknown one in our words."""

    def check(value: Any) -> Any:
        if isinstance(value, Model):
            return value
        if not isinstance(value, dict):
            raise wrong(f"expected a mapping such as {example}, got {describe(value)}")
        if "type" not in value:
            raise wrong(f"missing; expected {one_of(kinds)}", ("type",))
        if value["type"] not in kinds:
            raise unknown_word(value["type"], kinds, ("type",))
        return value

    return BeforeValidator(check)


def union_by_type(models: Mapping[str, type[Model]], example: str) -> Any:
    """A field that holds one of `models`, told apart by `type`.

    Args:
        models: by their `type`.
        example: of a mapping, for messages.
    """
    members = (Annotated[model, Tag(tag(kind))] for kind, model in models.items())
    return Annotated[reduce(or_, members), Discriminator(tag_by_type), known_kind(example, *models)]
