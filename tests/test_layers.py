"""The lists that have an entry for a kind of layer, held to the registry of the engine."""

import dataclasses
from contextlib import suppress
from typing import Any, cast

import pytest

from nncli.exchange import onnx_graph, pytorch_layers
from nncli.exchange.importing import MODULES
from nncli.exchange.trained import STATE_IN_PYTORCH
from nncli.nn.activations import PARAMETERS
from nncli.nn.layers import LAYERS as KINDS
from nncli.nn.layers import Layer, ShapeMismatch
from nncli.render.pages.kinds import PAGES
from nncli.spec import LAYERS as MODELS
from nncli.spec.words import suggestion

from .nn.cases import LAYER_CASES, build_case

# What the engine has besides a spec's keys: biases given by their values, `bias` in a spec; and in
# one field the parameters of all activations, a key each in a spec.
BESIDE = {"biases", "activation_parameters"}
# Keys of a spec's layers that are the optimizer's.
OF_OPTIMIZERS = {"freeze"}


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
    assert keys == set(MODELS[kind].model_fields) - {"type"} - PARAMETERS.keys() - OF_OPTIMIZERS


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_defaults(kind: Any) -> None:
    fields = {field.name: field for field in dataclasses.fields(cast(Any, KINDS[kind]))}
    for key, in_spec in MODELS[kind].model_fields.items():
        if key == "type" or key in PARAMETERS or key in OF_OPTIMIZERS:
            continue
        field = fields[key]
        if in_spec.is_required():
            assert field.default is field.default_factory is dataclasses.MISSING, key
        else:
            assert field.default == in_spec.default, key


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_says_of_shapes_is_what_it_does(kind: Any) -> None:
    layers = [layer for case in LAYER_CASES[KINDS[kind]] for layer in case.layers]
    layer = next(layer for layer in layers if layer.type == kind)
    outputs = {}
    for shape in ((4,), (3, 8, 8)):
        with suppress(ShapeMismatch):
            outputs[shape] = layer.output_shape(shape)
    assert layer.makes_vectors == all(len(shape) == 1 for shape in outputs.values())
    assert layer.has_windows == ((4,) not in outputs)
    assert layer.takes_images or not layer.has_windows
    assert layer.makes_vectors or not layer.is_output


@pytest.mark.parametrize("kind", KINDS)
def test_what_tells_a_kind_from_another_are_keys_of_it(kind: Any) -> None:
    assert set(KINDS[kind].distinctive or ()) <= set(MODELS[kind].model_fields)


@pytest.mark.parametrize("kind", KINDS)
def test_a_synonym_leads_to_the_kind(kind: Any) -> None:
    for synonym in KINDS[kind].synonyms:
        assert suggestion(synonym, KINDS) == f"did you mean '{kind}'?"


def test_no_kind_is_outside_the_list() -> None:
    def kinds(of: type[Layer]) -> set[type[Layer]]:
        below = of.__subclasses__()
        return {cls for cls in below if "type" in vars(cls)}.union(*map(kinds, below))

    package = {cls for cls in kinds(Layer) if cls.__module__.startswith("nncli.")}
    assert package == set(KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exporter", [onnx_graph, pytorch_layers], ids=["onnx", "pytorch"])
def test_every_exporter_has_each_kind(exporter: Any, kind: Any) -> None:
    assert KINDS[kind] in exporter.LAYERS


@pytest.mark.parametrize("table", [onnx_graph.LAYERS, pytorch_layers.LAYERS, PAGES, LAYER_CASES])
def test_no_table_has_a_kind_that_is_not_in_the_list(table: Any) -> None:
    assert set(table) <= set(KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_every_kind_are_known_in_a_module_of_pytorch(kind: Any) -> None:
    for case in LAYER_CASES[KINDS[kind]]:
        for placed in build_case(case).layers:
            if placed.parameter_shapes:
                assert len(placed.parameter_shapes["weight"]) in MODULES
            assert placed.state_shapes.keys() <= STATE_IN_PYTORCH.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_page_or_formulas_that_say_the_same(kind: Any) -> None:
    layer = KINDS[kind]
    assert (layer in PAGES) != bool(layer.forward_formulas and layer.backward_formulas)
