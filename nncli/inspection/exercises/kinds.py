"""The kinds of exercise: a row each. What is said of one, drawn and asked is in its row."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from nncli.core.errors import NncliError
from nncli.core.text import join_words, nearest
from nncli.inspection.exercises.draws import Draw, Net

LEVELS = range(1, 6)


class Kind(NamedTuple):
    """A kind of exercise.

    Attributes:
        topic, level: which one it is.
        title: what it is about, in a few words.
        draw: chooses the network and its samples; raises Redraw where the numbers do not suit.
        given, asked: quantities of the step that are printed, and that are left blank, as
            `dense1.z`; `inputs` and `targets` are those of the samples.
        train: keys of the spec besides the cost and the size of the mini-batch.
        step: the step of the training, counted from 1.
    """

    topic: str
    level: int
    title: str
    draw: Callable[[Draw], Net]
    given: tuple[str, ...]
    asked: tuple[str, ...]
    train: Mapping[str, Any] = MappingProxyType({})
    step: int = 1

    @property
    def name(self) -> str:
        return f"{self.topic}-{self.level}"


def _of(layer: str, *quantities: str) -> tuple[str, ...]:
    return tuple(f"{layer}.{quantity}" for quantity in quantities)


FORWARD = ("z", "a")
LEARNED = ("weight", "bias")
GRADIENTS = ("weight_gradient", "bias_gradient")
NEW = ("weight_new", "bias_new")
ERROR = ("upstream", "sigma_prime", "delta")
ONE = ("inputs", *_of("dense1", *LEARNED), "targets")
TWO = ("inputs", *_of("dense1", *LEARNED), *_of("dense2", *LEARNED), "targets")
IMAGE = ("inputs", *_of("conv1", *LEARNED), *_of("dense1", *LEARNED), "targets")
HIDDEN_BACK = (*_of("dense2", "downstream"), *_of("dense1", "sigma_prime", "delta"))
BACK = (*_of("dense2", *ERROR, *GRADIENTS), *HIDDEN_BACK, *_of("dense1", *GRADIENTS))
FUSED_BACK = (*_of("dense2", "delta", *GRADIENTS), *HIDDEN_BACK, *_of("dense1", *GRADIENTS))
BOTH_FORWARD = (*_of("dense1", *FORWARD), *_of("dense2", *FORWARD))
BOTH_NEW = (*_of("dense2", *NEW), *_of("dense1", *NEW))
LINEAR = (*_of("dense1", "z", "delta"), *_of("dense1", *GRADIENTS))

KINDS = (
    Kind(
        *("dense", 1, "forward through one layer, and the cost"),
        lambda d: d.one_layer(2, 2, "sigmoid"),
        ONE,
        (*_of("dense1", *FORWARD), "cost"),
    ),
    Kind(
        *("dense", 2, "one layer there and back: δ and the gradient"),
        lambda d: d.one_layer(2, 2, "sigmoid"),
        ONE,
        _of("dense1", *FORWARD, *ERROR, *GRADIENTS),
    ),
    Kind(
        *("dense", 3, "two layers: the error of the hidden one"),
        lambda d: d.two_sigmoids(2, 2),
        TWO,
        (*BOTH_FORWARD, *BACK),
    ),
    Kind(
        *("dense", 4, "two layers and a whole step: the new weights"),
        lambda d: d.two_sigmoids(3, 2),
        TWO,
        (*BOTH_FORWARD, *BACK, *BOTH_NEW),
        {"eta": 2.0},
    ),
    Kind(
        *("dense", 5, "a mini-batch of two samples: gradients are means"),
        lambda d: d.batch(2, 3, 2, "sigmoid"),
        TWO,
        (*BOTH_FORWARD, *BACK, *BOTH_NEW),
        {"eta": 2.0},
    ),
    Kind(
        *("softmax", 1, "forward through a softmax"),
        lambda d: d.one_layer(2, 3, "softmax"),
        ("inputs", *_of("dense1", *LEARNED)),
        _of("dense1", *FORWARD),
    ),
    Kind(
        *("softmax", 2, "δ behind softmax and cross-entropy: no σ′"),
        lambda d: d.one_layer(2, 3, "softmax"),
        ONE,
        _of("dense1", *FORWARD, "delta"),
    ),
    Kind(
        *("softmax", 3, "softmax there and back: δ and the gradient"),
        lambda d: d.one_layer(3, 3, "softmax"),
        ONE,
        _of("dense1", *FORWARD, "delta", *GRADIENTS),
    ),
    Kind(
        *("softmax", 4, "a hidden layer of relu below the softmax"),
        lambda d: d.rectified(2, 2, 3, "softmax"),
        TWO,
        (*BOTH_FORWARD, *FUSED_BACK),
    ),
    Kind(
        *("softmax", 5, "a mini-batch of two samples and a whole step"),
        lambda d: d.batch(2, 2, 3, "softmax"),
        TWO,
        (*BOTH_FORWARD, *FUSED_BACK, *BOTH_NEW),
        {"eta": 1.0},
    ),
    Kind(
        *("conv", 1, "a filter slides over an image"),
        lambda d: d.image(4, 2, 9),
        ("inputs", *_of("conv1", *LEARNED)),
        _of("conv1", "z"),
    ),
    Kind(
        *("conv", 2, "padding, stride and relu"),
        lambda d: d.image(4, 3, 4, padding=1, stride=2, activation="relu"),
        ("inputs", *_of("conv1", *LEARNED)),
        _of("conv1", *FORWARD),
    ),
    Kind(
        *("conv", 3, "there and back: the gradient of a filter"),
        lambda d: d.image(3, 2, 4, activation="relu"),
        IMAGE,
        (
            *_of("conv1", *FORWARD),
            *_of("dense1", "z", "delta", "downstream"),
            *_of("conv1", "sigma_prime", "delta", *GRADIENTS),
        ),
    ),
    Kind(
        *("conv", 4, "a max pool between: the error goes to the largest"),
        lambda d: d.image(5, 2, 4, pool=True),
        IMAGE,
        (
            *_of("conv1", "z"),
            *_of("maxpool1", "a"),
            *_of("dense1", "z", "delta", "downstream"),
            *_of("maxpool1", "downstream"),
            *_of("conv1", *GRADIENTS),
        ),
    ),
    Kind(
        *("conv", 5, "two channels, back to the image, and the new filter"),
        lambda d: d.image(3, 2, 4, channels=2, activation="relu"),
        IMAGE,
        (
            *_of("conv1", *FORWARD),
            *_of("dense1", "z", "delta", "downstream"),
            *_of("conv1", "delta", "downstream", *GRADIENTS, *NEW),
        ),
        {"eta": 0.1},
    ),
    Kind(
        *("update", 1, "a step of gradient descent"),
        lambda d: d.linear(2, 1),
        ONE,
        (*LINEAR, *_of("dense1", "weight_update", "weight_new", "bias_update", "bias_new")),
        {"eta": 0.1},
    ),
    Kind(
        *("update", 2, "weight decay"),
        lambda d: d.linear(2, 1),
        ONE,
        (
            *LINEAR,
            *_of("dense1", "weight_decayed_gradient", "weight_update", "weight_new"),
            *_of("dense1", "bias_decayed_gradient", "bias_update", "bias_new"),
        ),
        {"eta": 0.5, "weight_decay": 0.1},
    ),
    Kind(
        *("update", 3, "momentum, at the second step"),
        lambda d: d.linear(2, 1),
        (*ONE, *_of("dense1", "weight_velocity_before", "bias_velocity_before")),
        (
            *LINEAR,
            *_of("dense1", "weight_velocity", "weight_update", "weight_new"),
            *_of("dense1", "bias_velocity", "bias_update", "bias_new"),
        ),
        {"eta": 0.1, "momentum": 0.5},
        2,
    ),
    Kind(
        *("update", 4, "Nesterov's momentum, at the second step"),
        lambda d: d.linear(2, 1),
        (*ONE, *_of("dense1", "weight_velocity_before", "bias_velocity_before")),
        (
            *LINEAR,
            *_of("dense1", "weight_velocity", "weight_lookahead", "weight_update", "weight_new"),
            *_of("dense1", "bias_velocity", "bias_lookahead", "bias_update", "bias_new"),
        ),
        {"eta": 0.1, "momentum": 0.5, "nesterov": True},
        2,
    ),
    Kind(
        *("update", 5, "Adam, at the second step"),
        lambda d: d.linear(2, 1),
        (*ONE, *_of("dense1", "weight_first_moment_before", "weight_second_moment_before")),
        (
            *_of("dense1", "z", "delta", "weight_gradient"),
            *_of("dense1", "weight_first_moment", "weight_second_moment"),
            *_of("dense1", "weight_first_moment_corrected", "weight_second_moment_corrected"),
            *_of("dense1", "weight_adam_denominator", "weight_adam_direction"),
            *_of("dense1", "weight_update", "weight_new"),
        ),
        {"eta": 0.1, "optimizer": {"type": "adam", "beta1": 0.5, "beta2": 0.75}},
        2,
    ),
    Kind(
        *("kronecker", 1, "the outer product: ∂C/∂W = a ⊗ δ"),
        lambda d: d.linear(3, 2),
        ("inputs", *_of("dense1", "delta")),
        _of("dense1", *GRADIENTS),
    ),
    Kind(
        *("kronecker", 2, "the Hadamard product first, then the outer one"),
        lambda d: d.one_layer(3, 2, "sigmoid"),
        ("inputs", *_of("dense1", "z", "upstream")),
        _of("dense1", "sigma_prime", "delta", *GRADIENTS),
    ),
    Kind(
        *("kronecker", 3, "three products: δ Wᵀ, ⊙ and ⊗"),
        lambda d: d.rectified(2, 3, 2, "identity"),
        ("inputs", *_of("dense1", *FORWARD), *_of("dense2", "weight", "delta")),
        (
            *_of("dense2", *GRADIENTS, "downstream"),
            *_of("dense1", "sigma_prime", "delta", *GRADIENTS),
        ),
    ),
    Kind(
        *("kronecker", 4, "three products, with sigmoids"),
        lambda d: d.two_sigmoids(2, 2),
        ("inputs", *_of("dense1", *FORWARD), *_of("dense2", "weight", "z", "upstream")),
        (
            *_of("dense2", "sigma_prime", "delta", *GRADIENTS, "downstream"),
            *_of("dense1", "sigma_prime", "delta", *GRADIENTS),
        ),
    ),
    Kind(
        *("kronecker", 5, "two samples: the mean of their outer products"),
        lambda d: d.batch(2, 2, 2, "identity"),
        ("inputs", *_of("dense1", *FORWARD), *_of("dense2", "weight", "delta")),
        (
            *_of("dense2", *GRADIENTS, "downstream"),
            *_of("dense1", "sigma_prime", "delta", *GRADIENTS),
        ),
    ),
)
TOPICS = tuple(dict.fromkeys(kind.topic for kind in KINDS))


def kind_of(topic: str, level: int) -> Kind:
    """The row of a topic and a level.

    Raises:
        NncliError: there is none.
    """
    if topic not in TOPICS:
        known = join_words(TOPICS)
        raise NncliError(f"--topic {topic}: expected {known}{nearest(topic.lower(), TOPICS)}")
    for kind in KINDS:
        if (kind.topic, kind.level) == (topic, level):
            return kind
    raise NncliError(f"--level {level}: expected {LEVELS[0]} to {LEVELS[-1]}")
