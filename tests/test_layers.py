"""The two lists of layer kinds, the spec's and the engine's, held to each other."""

import dataclasses
from typing import Any, cast

import pytest

from nncli.exchange import onnx_graph, pytorch
from nncli.nn.activations import PARAMETERS
from nncli.nn.layers import LAYERS as KINDS
from nncli.nn.layers import Layer
from nncli.render.pages.kinds import PAGES
from nncli.spec import LAYERS as MODELS

# What the engine has besides a spec's keys: biases given by their values, `bias` in a spec; and in
# one field the parameters of all activations, a key each in a spec.
BESIDE = {"biases", "activation_parameters"}


def test_the_same_kinds_in_the_same_order() -> None:
    assert list(MODELS) == list(KINDS)
    assert [kind.type for kind in KINDS.values()] == list(KINDS)


def test_the_schema_has_each_kind_by_its_own_name() -> None:
    for kind, model in MODELS.items():
        annotation: Any = model.model_fields["type"].annotation
        assert annotation.__args__ == (kind,)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_keys(kind: Any) -> None:
    keys = {field.name for field in dataclasses.fields(cast(Any, KINDS[kind]))} - BESIDE
    assert keys == set(MODELS[kind].model_fields) - {"type"} - PARAMETERS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_defaults(kind: Any) -> None:
    fields = {field.name: field for field in dataclasses.fields(cast(Any, KINDS[kind]))}
    for key, in_spec in MODELS[kind].model_fields.items():
        if key == "type" or key in PARAMETERS:
            continue
        field = fields[key]
        if in_spec.is_required():
            assert field.default is field.default_factory is dataclasses.MISSING, key
        else:
            assert field.default == in_spec.default, key


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_agree_on_what_may_follow_what(kind: Any) -> None:
    model, layer = MODELS[kind], KINDS[kind]
    assert model.is_output == layer.is_output
    assert model.makes_vector == (layer.takes_vectors or kind == "flatten")
    assert model.needs_image == (layer.takes_images or kind == "flatten")


def test_no_kind_is_outside_the_list() -> None:
    def kinds(of: type[Layer]) -> set[type[Layer]]:
        below = of.__subclasses__()
        return {cls for cls in below if "type" in vars(cls)}.union(*map(kinds, below))

    package = {cls for cls in kinds(Layer) if cls.__module__.startswith("nncli.")}
    assert package == set(KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exporter", [onnx_graph, pytorch], ids=["onnx", "pytorch"])
def test_every_exporter_has_each_kind(exporter: Any, kind: Any) -> None:
    assert KINDS[kind] in exporter.LAYERS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_page_or_formulas_that_say_the_same(kind: Any) -> None:
    layer = KINDS[kind]
    assert (layer in PAGES) != bool(layer.forward_formulas and layer.backward_formulas)
