"""Building a network: names, shapes, starting values, and what each mistake is told."""

from typing import Any

import numpy as np
import pytest

from nncli.core.errors import LayerError
from nncli.nn.layers import AvgPool, Conv, Dense, Flatten, GlobalAvgPool, MaxPool
from nncli.nn.network import build_network

CONV = Conv(filters=2, kernel=(3, 3))
DENSE = Dense(units=2)


def build(
    layers: Any, input_shape: Any, cost: str = "quadratic", dtype: Any = np.float64, seed: int = 0
) -> Any:
    return build_network(layers, input_shape, cost, dtype, np.random.default_rng(seed))


def conv(**how: Any) -> Any:
    return Conv(**dict[str, Any](filters=2, kernel=(3, 3)) | how)


MISTAKES = [
    (
        [Dense(units=3), CONV],
        (4,),
        "layer 1: a conv layer takes an image of channels x rows x columns, "
        "its input is a vector of 3; say the image's shape in data.shape",
        None,
    ),
    (
        [MaxPool(size=(2, 2)), DENSE],
        (4,),
        "layer 0: a maxpool layer takes an image of channels x rows x columns, "
        "its input is a vector of 4; say the image's shape in data.shape",
        None,
    ),
    (
        [CONV, DENSE],
        (1, 2, 4),
        "layer 0: a window of 3 x 3 is larger than its input of 2 x 4",
        "kernel",
    ),
    (
        [CONV, DENSE],
        (1, 1, 9),
        "layer 0: a window of 3 x 3 is larger than its input of 1 x 9; on a single row it is "
        "[1, 3]",
        "kernel",
    ),
    (
        [MaxPool(size=(2, 2)), DENSE],
        (3, 9, 1),
        "layer 0: a window of 2 x 2 is larger than its input of 9 x 1; on a single column it is "
        "[2, 1]",
        "size",
    ),
    (
        [conv(kernel=(3, 5), padding=(0, 1)), DENSE],
        (1, 8, 2),
        "layer 0: a window of 3 x 5 is larger than its input of 8 x 4 with its padding",
        "kernel",
    ),
    (
        [conv(dilation=(1, 4)), DENSE],
        (1, 8, 8),
        "layer 0: a window of 3 x 3 (reaching over 3 x 9) is larger than its input of 8 x 8",
        "kernel",
    ),
    (
        [Conv(filters=4, kernel=(2, 2), groups=2), DENSE],
        (3, 4, 4),
        "layer 0: the 3 channels of its input cannot be parted into 2 equal groups",
        "groups",
    ),
    (
        [CONV, AvgPool(size=(2, 3)), DENSE],
        (1, 4, 4),
        "layer 1: a window of 2 x 3 is larger than its input of 2 x 2",
        "size",
    ),
    (
        [Conv(filters=1, kernel=(3, 3), padding=(3, 4), padding_mode="reflect"), DENSE],
        (1, 4, 4),
        "layer 0: padding_mode reflect can pad an image of 4 x 4 by at most 3 columns on a side, "
        "not by 4",
        "padding",
    ),
    (
        [MaxPool(size=(2, 2), padding=((2, 0), (0, 0))), DENSE],
        (1, 4, 4),
        "layer 0: a window would lie on padding alone",
        "padding",
    ),
    (
        [GlobalAvgPool(), DENSE],
        (4,),
        "layer 0: a global_avgpool layer takes an image of channels x rows x columns, its input is "
        "a vector of 4; say the image's shape in data.shape",
        None,
    ),
    (
        [Dense(units=2, weights=np.zeros((2, 3)))],
        (3,),
        "layer 0: weights of 2 x 3 were given, dense1 takes 3 x 2",
        "weights",
    ),
    (
        [Dense(units=3), Dense(units=2, biases=np.zeros(3))],
        (3,),
        "layer 1: bias of 3 were given, dense2 takes 2",
        "bias",
    ),
    (
        [conv(weights=np.zeros((3, 3))), DENSE],
        (2, 4, 4),
        "layer 0: weights of 3 x 3 were given, conv1 takes 2 x 2 x 3 x 3",
        "weights",
    ),
    (
        [DENSE, Flatten()],
        (3,),
        "layer 1: a network ends in a dense layer, not in flatten1",
        "type",
    ),
    (
        [CONV],
        (1, 4, 4),
        "layer 0: a network ends in a dense layer, not in conv1",
        "type",
    ),
]
ENDINGS = [
    ("quadratic", "softmax", "an elementwise activation"),
    ("cross_entropy", "tanh", "sigmoid or softmax"),
    ("cross_entropy", "relu", "sigmoid or softmax"),
    ("cross_entropy", "identity", "sigmoid or softmax"),
]


@pytest.mark.parametrize(("layers", "input_shape", "message", "key"), MISTAKES)
def test_mistakes(layers: Any, input_shape: Any, message: Any, key: Any) -> None:
    with pytest.raises(LayerError) as caught:
        build(layers, input_shape)
    assert str(caught.value) == message
    assert caught.value.key == key
    assert message.startswith(f"layer {caught.value.index}: ")


@pytest.mark.parametrize(("cost", "activation", "wanted"), ENDINGS)
def test_cost_and_activation_that_do_not_go_together(
    cost: Any, activation: Any, wanted: Any
) -> None:
    with pytest.raises(LayerError) as caught:
        build([DENSE, Dense(units=2, activation=activation)], (3,), cost)
    assert str(caught.value) == (
        f"layer 1: the {cost} cost needs {wanted} in the last layer, not {activation}"
    )
    assert caught.value.key == "activation"


def test_softmax_below_the_last_layer_is_a_mistake() -> None:
    # It has no σ', so that nothing would flow down through it.
    with pytest.raises(LayerError) as caught:
        build([Dense(units=2, activation="softmax"), DENSE], (3,))
    assert (caught.value.index, caught.value.key) == (0, "activation")


def test_given_biases_for_a_layer_without_biases_are_a_mistake() -> None:
    with pytest.raises(LayerError) as caught:
        build([Dense(units=2, bias=False, biases=np.zeros(2))], (3,))
    assert (caught.value.index, caught.value.key) == (0, "bias")


def test_an_implied_flatten_bears_the_index_of_its_dense_layer() -> None:
    network = build([CONV, Dense(units=2)], (1, 4, 5))
    assert [(p.name, p.index) for p in network.layers] == [
        ("conv1", 0),
        ("flatten1", 1),
        ("dense1", 1),
    ]
    assert [p.output_shape for p in network.layers] == [(2, 2, 3), (12,), (2,)]


def test_a_mistake_after_an_implied_flatten_is_counted_without_it() -> None:
    with pytest.raises(LayerError, match=r"^layer 1: weights of 1 x 1 were given, dense1 takes"):
        build([CONV, Dense(units=2, weights=np.zeros((1, 1)))], (1, 4, 5))


def test_names_are_counted_per_type() -> None:
    pool = AvgPool(size=(1, 1))
    layers = [conv(), pool, conv(), MaxPool(size=(1, 1)), pool, Flatten(), DENSE, DENSE]
    assert [p.name for p in build(layers, (1, 5, 5)).layers] == [
        "conv1",
        "avgpool1",
        "conv2",
        "maxpool1",
        "avgpool2",
        "flatten1",
        "dense1",
        "dense2",
    ]


def test_parameters_lie_in_one_vector_weight_before_bias_and_dense_ones_by_units() -> None:
    network = build([CONV, Dense(units=2, bias=False)], (1, 4, 4))
    assert network.parameters.shape == (2 * 9 + 2 + 8 * 2,)
    views = network.views(network.parameters)
    assert {name: list(keys) for name, keys in views.items()} == {
        "conv1": ["weight", "bias"],
        "flatten1": [],
        "dense1": ["weight"],
    }
    network.parameters[...] = np.arange(36)
    assert views["conv1"]["weight"].ravel().tolist() == list(range(18))
    assert views["conv1"]["bias"].tolist() == [18, 19]
    assert views["dense1"]["weight"].tolist() == np.arange(20, 36).reshape(2, 8).T.tolist()


def test_drawn_biases_are_0_and_given_values_are_taken() -> None:
    given = np.arange(6.0).reshape(3, 2)
    network = build([Dense(units=3), Dense(units=2, weights=given, biases=np.ones(2))], (4,))
    views = network.views(network.parameters)
    assert not views["dense1"]["bias"].any()
    assert views["dense1"]["weight"].all()
    assert np.array_equal(views["dense2"]["weight"], given)
    assert views["dense2"]["bias"].tolist() == [1, 1]
    views["dense2"]["weight"][...] = -1
    assert given[2, 1] == 5, "the network must not write into what it was given"


def test_init_chooses_the_initialiser() -> None:
    views = build([Dense(units=2, init="zeros"), DENSE], (3,))
    assert not views.views(views.parameters)["dense1"]["weight"].any()


def test_one_seed_gives_one_network() -> None:
    first, again, other = (build([CONV, DENSE], (1, 4, 4), seed=s).parameters for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_astype_copies() -> None:
    network = build([DENSE], (3,))
    twin = network.astype(np.float64)
    twin.parameters[...] = 7
    assert not (network.parameters == 7).any()
    assert network.astype(np.float32).dtype == np.float32
