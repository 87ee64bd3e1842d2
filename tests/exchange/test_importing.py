"""Weights from files: what goes where, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncli.core.errors import NncliError
from nncli.core.layouts import Layout
from nncli.exchange.importing import ModuleOrigin, WeightFile, network_from
from nncli.exchange.pytorch import as_pytorch, as_state_dict
from nncli.nn.arrays import Array
from nncli.nn.layers import Conv, Dense, Layer
from nncli.nn.network import Network, build_network
from tests.exchange.networks import ALL_CASES, LENET, trained
from tests.nn.cases import Case


def network_of(*layers: Layer, shape: tuple[int, ...] = (3,)) -> Network:
    return build_network(layers, shape, "quadratic", np.float32, np.random.default_rng(0))


def dense(*units: int, **how: Any) -> list[Layer]:
    return [Dense(units=n, **how) for n in units]


def file(arrays: Any, *, ordered: bool = True, **metadata: str) -> WeightFile:
    return WeightFile("w", arrays, metadata, ordered)


def numbered(network: Network, start: float = 1.0) -> tuple[Array, dict[str, Array]]:
    """Parameters that are all different, flat and by name."""
    flat = np.arange(start, start + network.parameters.size, dtype=np.float32)
    return flat, network.named(flat)


def refusal(*arguments: Any) -> str:
    with pytest.raises(NncliError) as caught:
        network_from(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("case", ALL_CASES[::7], ids=str)
@pytest.mark.parametrize("layout", ["nncli", "pytorch"])
def test_what_was_exported_comes_back(case: Case, layout: Layout) -> None:
    given = trained(case)
    network, bare = given.network, trained(case).network
    bare.parameters[...] = 0
    bare.restore_state(Network(bare.layers, bare.cost, bare.parameters).state)
    arrays = as_state_dict(network) if layout == "pytorch" else given.arrays()
    backwards = dict(reversed(arrays.items()))  # by name, whatever their order
    filled, origins = network_from(file(backwards), bare, layout)
    np.testing.assert_array_equal(filled.parameters, network.parameters)
    assert filled.state.keys() == network.state.keys()
    for name, array in filled.state.items():
        assert array.dtype == network.state[name].dtype
        np.testing.assert_array_equal(array, network.state[name])
    assert all(o.layer == o.module for o in origins)


class TestOwnLayout:
    def test_all_that_is_wrong_is_told(self) -> None:
        network = network_of(*dense(4, 2))
        _, arrays = numbered(network)
        arrays["dense1.weight"] = arrays["dense1.weight"].T
        arrays["dense2.bias"] = np.zeros(3)
        arrays["dense3.weight"] = np.zeros((2, 2))
        del arrays["dense1.bias"]
        assert refusal(file(arrays), network, "nncli").splitlines() == [
            "w: holds no dense1.bias (4)",
            "w: dense3.weight (2 x 2) is not in this network",
            "w: dense1.weight is 4 x 3, 3 x 4 would fit; "
            "PyTorch has it so: --from pytorch turns it",
            "w: dense2.bias is 3, 2 would fit",
        ]

    def test_other_names_may_be_pytorchs(self) -> None:
        message = refusal(file({"fc.weight": np.zeros((2, 3))}), network_of(*dense(2)), "nncli")
        assert "w: holds fc.weight; this network has dense1.weight, dense1.bias." in message
        assert "--from pytorch" in message

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (np.nan, "holds what is not a finite number"),
            (1e300, "holds numbers too large for float32"),
        ],
    )
    def test_numbers_that_cannot_be_weights(self, value: float, why: str) -> None:
        network = network_of(*dense(2))
        arrays = {"dense1.weight": np.full((3, 2), value), "dense1.bias": np.zeros(2)}
        assert refusal(file(arrays), network, "nncli") == f"w: dense1.weight {why}"

    @pytest.mark.parametrize("array", [np.full((3, 2), "a"), np.zeros((3, 2), bool)])
    def test_what_is_no_number(self, array: Array) -> None:
        arrays = {"dense1.weight": array, "dense1.bias": np.zeros(2)}
        message = refusal(file(arrays), network_of(*dense(2)), "nncli")
        assert message == "w: dense1.weight does not hold numbers"

    def test_what_nncli_wrote_besides_is_left_out(self) -> None:
        network = network_of(*dense(2))
        flat, arrays = numbered(network)
        scaling = {"scaling.offset": np.zeros(3), "scaling.divisor": np.ones(3)}
        export = file({**arrays, **scaling}, format="nncli.weights/1")
        velocity = {f"velocity.{name}": array for name, array in arrays.items()}
        checkpoint = file({**arrays, **velocity}, format="nncli.checkpoint/1")
        moments = {f"first_moment.{name}": array for name, array in arrays.items()}
        adam = {**arrays, **moments, "adam_steps": np.array(7)}
        for given_file in (export, checkpoint, file(adam, format="nncli.checkpoint/1")):
            np.testing.assert_array_equal(
                network_from(given_file, network, "nncli")[0].parameters, flat
            )
        for more in (scaling, velocity):
            assert "is not in this network" in refusal(file({**arrays, **more}), network, "nncli")

    def test_a_file_of_pytorchs_is_not_read_the_wrong_way_round(self) -> None:
        network = network_of(*dense(3))  # 3 x 3 fits either way
        _, arrays = numbered(network)
        assert "--from pytorch" in refusal(file(arrays, format="pt"), network, "nncli")
        ours = file(arrays, format="nncli.weights/1")
        assert "leave --from pytorch" in refusal(ours, network, "pytorch")


class TestPytorch:
    NETWORK = (Conv(filters=2, kernel=(2, 2)), *dense(5, 3))

    def network(self) -> Network:
        return network_of(*self.NETWORK, shape=(1, 3, 3))

    def renamed(self, *names: str) -> tuple[Array, dict[str, Array]]:
        """The network's parameters under modules of other names, and the numbers of all."""
        network = self.network()
        flat, _ = numbered(network)
        new = dict(zip(("conv1", "dense1", "dense2"), names, strict=True))
        arrays = {}
        for name, array in as_pytorch(network, flat).items():
            layer, key = name.split(".")
            arrays[f"{new[layer]}.{key}"] = array
        return flat, arrays

    @pytest.mark.parametrize("ordered", [True, False])
    @pytest.mark.parametrize(
        "names",
        [
            ("0", "4", "6"),
            ("features.0", "classifier.0", "classifier.10"),
            ("conv1", "fc1", "fc2"),
            ("z", "y", "x"),
        ],
    )
    def test_shapes_that_differ_find_their_places(self, names: list[str], ordered: bool) -> None:
        flat, arrays = self.renamed(*names)
        found, origins = network_from(file(arrays, ordered=ordered), self.network(), "pytorch")
        np.testing.assert_array_equal(found.parameters, flat)
        assert origins == (
            ModuleOrigin("conv1", names[0], False),
            ModuleOrigin("dense1", names[1], True),
            ModuleOrigin("dense2", names[2], True),
        )

    def test_the_layers_own_names_go_before_shapes(self) -> None:
        _, arrays = self.renamed("dense2", "dense1", "conv1")
        assert refusal(file(arrays), self.network(), "pytorch").splitlines()[::2] == [
            "w: conv1.weight is 3 x 5, 2 x 1 x 2 x 2 would fit",
            "w: dense2.weight is 2 x 1 x 2 x 2, 3 x 5 would fit",
        ]

    def alike(self, *names: str) -> tuple[Network, Array, dict[str, Array]]:
        """Layers of one shape as modules of these names, in this order."""
        network = network_of(*dense(*[3] * len(names)))
        flat, _ = numbered(network)
        arrays = as_pytorch(network, flat)
        renamed: dict[str, Array] = {}
        for k, name in enumerate(names, 1):
            renamed |= {f"{name}.{key}": arrays[f"dense{k}.{key}"] for key in ("weight", "bias")}
        return network, flat, renamed

    def test_layers_alike_go_by_the_order_of_a_file_that_keeps_one(self) -> None:
        network, flat, arrays = self.alike("up", "down", "in", "out")
        found, _ = network_from(file(arrays), network, "pytorch")
        np.testing.assert_array_equal(found.parameters, flat)

    def test_layers_alike_go_by_their_numbers_where_it_keeps_none(self) -> None:
        network, flat, arrays = self.alike(*(f"fc{k}" for k in range(12)))
        shuffled = dict(sorted(arrays.items()))  # fc0, fc1, fc10, fc11, fc2, ...
        found, _ = network_from(file(shuffled, ordered=False), network, "pytorch")
        np.testing.assert_array_equal(found.parameters, flat)

    def test_layers_alike_without_order_or_numbers_are_not_guessed(self) -> None:
        network, _, arrays = self.alike("up", "down")
        message = refusal(file(arrays, ordered=False), network, "pytorch")
        assert message == (
            "w: down and up are alike, and a safetensors file does not keep their order; "
            "name them dense1 and dense2, or number them"
        )

    def test_a_bare_layer_has_no_prefix(self) -> None:
        network = network_of(*dense(2))
        flat, _ = numbered(network)
        arrays = as_pytorch(network, flat)
        bare = {name.removeprefix("dense1."): array for name, array in arrays.items()}
        found, origins = network_from(file(bare), network, "pytorch")
        np.testing.assert_array_equal(found.parameters, flat)
        assert origins == (ModuleOrigin("dense1", "", True),)

    def test_what_does_not_fit_is_shown_side_by_side(self) -> None:
        arrays = {"a.weight": np.zeros((5, 3)), "b.weight": np.zeros((2, 5)), "b.bias": np.zeros(2)}
        assert refusal(file(arrays), network_of(*dense(5, 2)), "pytorch").splitlines() == [
            "w: its modules do not fit the network's layers, as PyTorch has them:",
            "  linear modules: a: 5 x 3 without biases, b: 2 x 5 with biases",
            "  linear layers:  dense1: 5 x 3 with biases, dense2: 2 x 5 with biases",
        ]

    @pytest.mark.parametrize("more", ["bn.running_mean", "fc.scale", "bias", "x.bias"])
    def test_modules_that_nncli_has_not(self, more: dict[str, Array]) -> None:
        arrays = {"fc.weight": np.zeros((2, 3)), "fc.bias": np.zeros(2), more: np.zeros(2)}
        message = refusal(file(arrays), network_of(*dense(2)), "pytorch")
        assert message == f"w: {more} (2) is no weight or bias of a linear, conv or batchnorm layer"

    def test_the_scaling_of_our_own_module_is_left_out(self) -> None:
        network = trained(LENET, scaling="standard")
        arrays = as_pytorch(network.network, network.network.parameters)
        arrays |= {"offset": np.zeros((1, 6, 6)), "divisor": np.ones((1, 6, 6))}
        ours = file(arrays, format="pt", written_by="nncli")
        found, _ = network_from(ours, network.network, "pytorch")
        np.testing.assert_array_equal(found.parameters, network.network.parameters)
        assert "offset (1 x 6 x 6)" in refusal(file(arrays), network.network, "pytorch")


NAMES = st.text(st.sampled_from("a1.\x1b[²\ud800weightbias"), max_size=12) | st.sampled_from(
    [
        "weight",
        "bias",
        ".weight",
        "..weight",
        "dense1.weight",
        "dense1.bias",
        "9" * 5000 + ".weight",
    ]
)
SHAPES = st.lists(st.integers(0, 3), max_size=5).map(tuple)


@settings(deadline=None)
@given(
    st.dictionaries(NAMES, SHAPES, max_size=6),
    st.sampled_from(["nncli", "pytorch"]),
    st.booleans(),
    st.sampled_from(["", "pt", "nncli.weights/1", "nncli.checkpoint/1"]),
)
def test_whatever_a_file_holds_is_taken_or_refused(
    shapes: Any, layout: Layout, ordered: bool, format: str
) -> None:
    arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
    network = network_of(*dense(2, 2), shape=(2,))
    try:
        filled, _ = network_from(file(arrays, ordered=ordered, format=format), network, layout)
    except NncliError as error:
        told = str(error).splitlines()
    else:
        told = []
        assert filled.parameters.shape == network.parameters.shape
    assert all(line.isprintable() for line in told)


def test_a_file_of_very_many_arrays_is_told_in_few_words() -> None:
    arrays = {f"m{k}.weight": np.zeros((1, 1)) for k in range(20_000)}
    for layout in ("nncli", "pytorch"):
        message = refusal(file(arrays, ordered=False), network_of(*dense(2)), layout)
        assert "(20,000 in all)" in message
        assert len(message) < 1000
