"""Every row of the table of activations, through all that reads it: training, the proof of its
gradients (at its kinks too), both exports, the spec and its schema.

A new row comes in by itself.
"""

import ast
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from onnx import load_from_string
from onnx.reference import ReferenceEvaluator

import nncli
from nncli.core.errors import SpecError
from nncli.exchange.onnx_graph import to_onnx
from nncli.exchange.pytorch import to_pytorch
from nncli.exchange.trained import Trained
from nncli.inspection.check import check
from nncli.inspection.probe import Probe
from nncli.nn.activations import ACTIVATIONS, DEFAULT, PARAMETERS, Activation
from nncli.nn.costs import COSTS, activations_of
from nncli.nn.initialisers import INITIALISERS
from nncli.nn.layers import Conv, Dense
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.recorder import record_trace
from nncli.nn.step import Step
from nncli.nn.trace import Start, Trace
from nncli.spec import dump_spec, parse_spec
from tests.conftest import mostly_slow, present
from tests.nn.test_activations import values_of

ROWS = pytest.mark.parametrize("row", ACTIVATIONS.values(), ids=list(ACTIVATIONS))
KINKED = pytest.mark.parametrize(
    "row", [row for row in ACTIVATIONS.values() if row.kinks], ids=lambda row: row.name
)
KEYED = pytest.mark.parametrize("key", PARAMETERS)
SETTINGS = [(row, values) for row in ACTIVATIONS.values() for values in values_of(row)]
ROWS_AND_VALUES = pytest.mark.parametrize(
    ("row", "values"), SETTINGS, ids=[f"{row.name}-{values}" for row, values in SETTINGS]
)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def cost_with(row: Activation) -> str:
    """A cost that goes with the row in the last layer."""
    return next(cost.name for cost in COSTS if row.name in activations_of(cost.name))


def step_of(row: Activation, values: tuple[float, ...], dtype: Any = np.float64) -> Step:
    """A step whose layers have the row's activation wherever it may be, with its mini-batch."""
    rng = np.random.default_rng(7)
    last = Dense(units=3, activation=row.name, activation_parameters=values)
    layers: list[Any] = [last]
    if row.elementwise:
        conv = Conv(filters=2, kernel=(2, 2), activation=row.name, activation_parameters=values)
        layers = [conv, replace(last, units=5), last]
    network = build_network(layers, (1, 4, 4), cost_with(row), dtype, rng)
    step = Step(network, sgd(network), 6)
    step.inputs[...] = rng.normal(0, 1, step.inputs.shape)
    step.targets[...] = np.eye(3)[rng.integers(0, 3, 6)]
    return step


def taken(step: Step, eta: float = 0.1) -> Trace:
    assert step.optimizer is not None
    start = Start.of(step.network, step.optimizer)
    cost = step.run(eta, full=True)
    return record_trace(step, eta=eta, cost=cost, start=start, samples=range(step.n))


def spec_text(row: Activation, *keys: str) -> str:
    layer = ", ".join(["type: dense", "units: 2", f"activation: {row.name}", *keys])
    return (
        "data: {train: {inputs: [[1, 2], [3, 4]], targets: [[0, 1], [1, 0]]}}\n"
        f"network: [{{{layer}}}]\ntrain: {{eta: 0.5, cost: {cost_with(row)}}}\n"
    )


@ROWS_AND_VALUES
@DTYPES
def test_a_few_steps_decrease_the_cost(row: Any, values: Any, dtype: Any) -> None:
    step = step_of(row, values, dtype)
    costs = [step.run(0.05) for _ in range(20)]
    assert np.isfinite(costs).all()
    assert costs[-1] < 0.95 * costs[0]


@ROWS_AND_VALUES
@pytest.mark.parametrize("dtype", mostly_slow([np.float32, np.float64], 2))
def test_the_proof_passes_and_finds_a_wrong_sigma_prime(row: Any, values: Any, dtype: Any) -> None:
    trace = taken(step_of(row, values, dtype))
    assert check(trace).failure is None
    last = trace.layers[-1]
    assert last.delta is not None
    wrong = replace(last, delta=last.delta * 1.01)
    assert not check(replace(trace, layers=(*trace.layers[:-1], wrong))).passed


def on_its_kink(row: Activation, offset: float, dtype: Any, values: tuple[float, ...]) -> Trace:
    """A trace in which one unit's z is `offset` ulps off a kink, and the others' are far away."""
    kink = dtype(row.kinks[0])
    for _ in range(abs(int(offset))):
        kink = np.nextafter(kink, dtype(np.sign(offset) * np.inf))
    hidden = Dense(
        units=2,
        activation=row.name,
        activation_parameters=values,
        weights=np.array([[0.0, 0.75], [0.0, -0.5]]),
        biases=np.array([kink, 0.25]),
    )
    rng = np.random.default_rng(3)
    head = Dense(units=2, activation="identity")
    network = build_network([hidden, head], (2,), "quadratic", dtype, rng)
    step = Step(network, sgd(network), 1)
    step.inputs[...], step.targets[...] = [[1.0, -2.0]], [[0.5, -1.0]]
    return taken(step)


@KINKED
@DTYPES
@pytest.mark.parametrize("offset", [-1, 0, 1], ids=["an_ulp_below", "on_it", "an_ulp_above"])
def test_the_proof_on_a_kink(row: Any, offset: int, dtype: Any) -> None:
    for values in values_of(row):
        trace = on_its_kink(row, offset, dtype, values)
        hidden = trace.layers[0]
        below, above = row.slopes(0, values)
        assert present(hidden.sigma_prime)[0, 0] == pytest.approx(
            above if offset > 0 else below, rel=1e-6
        )
        done = check(trace)
        assert done.failure is None
        kinks = {(tensor.layer, tensor.quantity): tensor.kinks for tensor in done.tensors}
        assert kinks["dense1", "delta"] == ((0, 0),)
        assert (0,) in kinks["dense1", "bias_gradient"]
        found = Probe(trace).derivatives("dense1", "z", [(0, 0), (0, 1)])
        assert found.kinks.tolist() == [True, False]
        np.testing.assert_allclose(found.values, np.asarray(hidden.delta)[0], rtol=1e-6)
        if below != above:
            other = below if offset > 0 else above
            delta = present(hidden.delta).copy()
            delta[0, 0] = hidden.upstream[0, 0] * other
            wrong = replace(trace, layers=(replace(hidden, delta=delta), *trace.layers[1:]))
            assert present(check(wrong).failure).quantity == "delta"


@KINKED
def test_a_unit_that_rounding_puts_on_the_other_side_is_held_on_its_own(row: Any) -> None:
    """z is 0 in float32 and above 0 in float64, and changes little through an input of 1e-4.

    So both ends of a difference are on the side that the step was not on.
    """
    hidden = Dense(
        units=1,
        activation=row.name,
        weights=np.array([[0.7], [0.0]]),
        biases=np.array([-np.float32(0.7) * np.float32(3)]),
    )
    head = Dense(units=1, activation="identity", weights=np.array([[1.0]]))
    rng = np.random.default_rng(0)
    network = build_network([hidden, head], (2,), "quadratic", np.float32, rng)
    step = Step(network, sgd(network), 1)
    step.inputs[...], step.targets[...] = [[3.0, 1e-4]], [[2.0]]
    trace = taken(step)
    z = present(trace.layers[0].z)[0, 0]
    assert z == 0 < 3 * float(np.float32(0.7)) - float(np.float32(0.7) * np.float32(3))
    assert check(trace).failure is None


@KINKED
def test_pieces_make_up_the_function(row: Any) -> None:
    for values in values_of(row):
        z = np.concatenate([np.linspace(-3, 3, 61), row.kinks])
        held, a, sigma_prime = np.empty_like(z), np.empty_like(z), np.empty_like(z)
        for one in (
            *row.evaluate_pieces(z, held, row.piece_at(z), values),
            *row.rule(z, a, sigma_prime, np.array(1.0), *map(np.array, values)),
        ):
            one()
        np.testing.assert_array_equal(held, a)
        for k, kink in enumerate(row.kinks):
            assert sigma_prime[z == kink] == pytest.approx(row.slopes(k, values)[0], rel=1e-14)


def exported(row: Activation, values: tuple[float, ...], dtype: Any = np.float32) -> Trained:
    step = step_of(row, values, dtype)
    inputs, targets = step.inputs.copy(), step.targets.copy()
    return Trained("row", step.network, None, None, inputs, targets)


@ROWS_AND_VALUES
def test_exports_describe_each_layer_with_its_own_keys(row: Any, values: Any) -> None:
    described = json.loads(exported(row, values).metadata()["layers"])
    for layer in described:
        if "activation" in layer:
            keys = {key: layer[key] for key in PARAMETERS if key in layer}
            assert (layer["activation"], keys) == (row.name, row.named(values))
            assert "activation_parameters" not in layer


@ROWS_AND_VALUES
def test_onnx_computes_the_same(row: Any, values: Any) -> None:
    trained = exported(row, values)
    model = load_from_string(to_onnx(trained)[".onnx"])
    outputs: Any
    (outputs,) = ReferenceEvaluator(model).run(None, {"input": trained.inputs})
    step = step_of(row, values, np.float32)
    step.forward()
    np.testing.assert_allclose(outputs, step.outputs, rtol=2e-6, atol=2e-6)


@ROWS_AND_VALUES
def test_the_pytorch_source_compiles_and_says_the_row(row: Any, values: Any) -> None:
    """PyTorch itself runs these sources in tests/peers/test_torch.py."""
    content = to_pytorch(exported(row, values))[".py"]
    text = content if isinstance(content, str) else content.decode()
    compile(text, "module.py", "exec")
    network = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    wanted = row.pytorch_of("Z", values)
    found = ast.unparse(network)
    for name in ("self.conv1(x)", "self.dense1(x)")[: 2 if row.elementwise else 0]:
        assert ast.unparse(ast.parse(wanted.replace("Z", name))) in found


@ROWS
def test_the_spec_takes_it_with_its_defaults_and_dumps_them(row: Any) -> None:
    text = spec_text(row)
    layer: Any = parse_spec(text).network[0]
    assert layer.activation == row.name
    assert layer.activation_parameters == row.defaults
    Draft202012Validator(nncli.schema()).validate(yaml_of(text))
    dumped = dump_spec(parse_spec(text))
    assert parse_spec(dumped) == parse_spec(text)
    for key in PARAMETERS:
        own = {parameter.key: parameter.default for parameter in row.parameters}
        assert (f"{key}: {own.get(key)}" in dumped) == (key in own)
    assert row.initialiser in INITIALISERS


def yaml_of(text: str) -> Any:
    from nncli.spec import yaml12
    from nncli.spec.nodes import plain

    node, problems = yaml12.read(text)
    assert not problems
    assert node is not None
    return plain(node)


@KEYED
@ROWS
def test_a_key_of_another_activation_is_an_error(row: Any, key: Any) -> None:
    """Also where it is null: a key without effect has no place in a spec."""
    if key in [parameter.key for parameter in row.parameters]:
        return
    owner = next(r for r in ACTIVATIONS.values() if PARAMETERS[key] in r.parameters)
    for value in ("0.5", "null"):
        with pytest.raises(SpecError) as caught:
            parse_spec(spec_text(row, f"{key}: {value}"), "f.yaml")
        (message,) = caught.value.problems
        assert message.startswith("f.yaml:2:")
        assert f"network[0].{key}: '{key}' belongs to {owner.name}" in message
        assert f"the activation is {row.name}" in message
        for parameter in row.parameters:
            assert parameter.key in message.rpartition(";")[2]


@KEYED
def test_a_parameter_out_of_its_range_is_an_error(key: Any) -> None:
    parameter = PARAMETERS[key]
    row = next(r for r in ACTIVATIONS.values() if parameter in r.parameters)
    validator = Draft202012Validator(nncli.schema())
    right, outside = spec_text(row, f"{key}: 0.5"), [parameter.least - 1, parameter.most + 1]
    layer: Any = parse_spec(right).network[0]
    assert layer.activation_parameters == (0.5,)
    assert validator.is_valid(yaml_of(right))
    for value in [v for v in outside if np.isfinite(v)] + ["'much'", ".nan", "true"]:
        text = spec_text(row, f"{key}: {value}")
        with pytest.raises(SpecError, match=f"network.0..{key}: expected a number"):
            parse_spec(text)
        assert value == ".nan" or not validator.is_valid(yaml_of(text))


@KEYED
def test_a_parameter_has_one_meaning(key: Any) -> None:
    meanings = [p for row in ACTIVATIONS.values() for p in row.parameters if p.key == key]
    assert set(meanings) == {PARAMETERS[key]}


def test_the_default_is_a_row() -> None:
    assert ACTIVATIONS[DEFAULT].elementwise
