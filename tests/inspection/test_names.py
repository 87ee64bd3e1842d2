"""Which array is what: by name, shape and value."""

from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.inspection.foreign.names import Naming, name_arrays
from nncli.inspection.foreign.turns import turns
from nncli.inspection.foreign.words import meaning_of
from nncli.inspection.mistakes.rules import record_of
from tests.inspection.test_mistakes import case_of
from tests.inspection.traces import trace_of

TRACE = trace_of(case_of("dense-many_samples"), momentum=0.9)  # 3 inputs, 3 and 2 units
RECORD = record_of(TRACE)
LENET = trace_of(case_of("lenet"))
G = "weight_gradient"

NAMES = {  # a name: what it means, and which number
    "dW1": (G, 1),
    "db2": ("bias_gradient", 2),
    "dC_dW1": (G, 1),
    "dL/db1": ("bias_gradient", 1),
    "dLdW2": (G, 2),
    "gradW1": (G, 1),
    "grad_W1": (G, 1),
    "w1_grad": (G, 1),
    "weights1_gradient": (G, 1),
    "nabla_w[0]": (G, 0),
    "nabla_b[-1]": ("bias_gradient", -1),
    'grads["W1"]': (G, 1),
    "grads['b2']": ("bias_gradient", 2),
    "fc1.weight.grad": (G, 1),
    "layers.0.weight.grad": (G, 0),
    "dconv1": (G, 1),
    "∂C/∂W1": (G, 1),
    "delta2": ("delta", 2),
    "δ2": ("delta", 2),
    "dZ2": ("delta", 2),
    "error1": ("delta", 1),
    "output_delta": ("delta", -1),
    "dA1": ("upstream", 1),
    "dx": ("downstream", None),
    "A1": ("a", 1),
    "activations[1]": ("a", 1),
    "y_hat": ("a", None),
    "Z1": ("z", 1),
    "zs[-1]": ("z", -1),
    "pre_activation1": ("z", 1),
    "sigma_prime_2": ("sigma_prime", 2),
    "σ'(z2)": ("sigma_prime", 2),
    "da_dz1": ("sigma_prime", 1),
    "W1_new": ("weight_new", 1),
    "b2_updated": ("bias_new", 2),
    "ΔW1": ("weight_update", 1),
    "vW1": ("weight_velocity", 1),
    "v_dW1": ("weight_velocity", 1),
    "loss": ("cost", None),
    "J": ("cost", None),
    "X": ("inputs", None),
    "labels": ("targets", None),
    "dense1.weight_gradient": (G, None),
    "layers.dense1.delta": ("delta", None),
    "dense1.weight_gradien": (G, None),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_name_means(name: str) -> None:
    found = meaning_of(name, ("dense1", "dense2"), frozenset((G, "delta", "weight")))
    assert (found.quantities[0], found.number) == NAMES[name]


def named(trace: Any, settled: Any = None, **arrays: Any) -> Naming:
    return name_arrays(trace, arrays, settled or {})


def names_of(naming: Naming) -> dict[str, tuple[str, str]]:
    return {one.mine: (one.name, one.how) for one in (*naming.named, *naming.start)}


W1, W2 = RECORD["dense1.weight_gradient"], RECORD["dense2.weight_gradient"]
D1, D2 = RECORD["dense1.delta"], RECORD["dense2.delta"]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_layers_are_counted_from_0_from_1_and_with_the_inputs_as_layer_1(first: int) -> None:
    arrays = {f"dW{first}": W1, f"dW{first + 1}": W2, f"delta{first}": D1, f"delta{first + 1}": D2}
    found = names_of(name_arrays(TRACE, arrays, {}))
    assert found[f"dW{first}"] == ("dense1.weight_gradient", "")
    assert found[f"delta{first + 1}"] == ("dense2.delta", "")


def test_a_single_delta_is_that_of_the_layer_that_it_fits() -> None:
    assert names_of(named(TRACE, delta2=D1)) == {"delta2": ("dense1.delta", "")}
    assert names_of(named(TRACE, delta2=D2)) == {"delta2": ("dense2.delta", "")}


def test_modules_of_pytorch_are_counted_with_those_between() -> None:
    arrays = {"0.weight.grad": W1.T, "2.weight.grad": W2.T}
    assert names_of(name_arrays(TRACE, arrays, {})) == {
        "0.weight.grad": ("dense1.weight_gradient", "transposed"),
        "2.weight.grad": ("dense2.weight_gradient", "transposed"),
    }


def test_each_type_of_layer_counts_for_itself() -> None:
    record = record_of(LENET)
    arrays = {
        "conv2.weight.grad": record["conv2.weight_gradient"],
        "fc1.bias.grad": record["dense1.bias_gradient"],
        "fc2.bias.grad": record["dense2.bias_gradient"],
        "conv2d_1/kernel_grad": record["conv1.weight_gradient"].transpose(2, 3, 1, 0),
    }
    assert names_of(name_arrays(LENET, arrays, {})) == {
        "conv2.weight.grad": ("conv2.weight_gradient", ""),
        "fc1.bias.grad": ("dense1.bias_gradient", ""),
        "fc2.bias.grad": ("dense2.bias_gradient", ""),
        "conv2d_1/kernel_grad": ("conv1.weight_gradient", "channels and filters last"),
    }


def test_values_tell_an_update_from_a_gradient() -> None:
    found = named(TRACE, delta_W1=RECORD["dense1.weight_update"])
    assert names_of(found) == {"delta_W1": ("dense1.weight_update", "")}
    with pytest.raises(NncliError, match=r"dense1.weight_update or dense1.weight_gradient: say"):
        named(TRACE, delta_W1=3 * W1)
    found = named(TRACE, {"delta_W1": "dense1.weight_gradient"}, delta_W1=3 * W1)
    assert names_of(found) == {"delta_W1": ("dense1.weight_gradient", "")}


def new_of(k: int) -> Any:
    return RECORD[f"dense{k}.weight_new"]


def test_weights_are_those_of_the_start_or_updated_ones() -> None:
    start = TRACE.layers[1].weight
    assert start is not None
    new = new_of(2)
    assert names_of(named(TRACE, W2=start)) == {"W2": ("dense2.weight", "")}
    assert names_of(named(TRACE, W2=np.round(start, 4))) == {"W2": ("dense2.weight", "")}
    assert names_of(named(TRACE, W2=np.round(new_of(2), 4))) == {"W2": ("dense2.weight_new", "")}
    assert names_of(named(TRACE, W2=new)) == {"W2": ("dense2.weight_new", "")}
    assert names_of(named(TRACE, W2=2 * start - new)) == {"W2": ("dense2.weight_new", "")}
    assert names_of(named(TRACE, W2=start + 7)) == {"W2": ("dense2.weight", "")}
    assert names_of(named(TRACE, W2=start + 7, W2_new=new)) == {
        "W2": ("dense2.weight", ""),
        "W2_new": ("dense2.weight_new", ""),
    }


def test_square_matrices_are_turned_by_their_values_or_as_the_others_are() -> None:
    assert names_of(named(TRACE, dW1=W1.T)) == {"dW1": ("dense1.weight_gradient", "transposed")}
    found = named(TRACE, dW1=5 * W1.T, dW2=W2.T)
    assert names_of(found)["dW1"] == ("dense1.weight_gradient", "transposed")
    found = named(TRACE, dW1=5 * W1.T)
    assert (names_of(found)["dW1"][1], found.doubtful) == ("", ("dW1",))


@pytest.mark.parametrize(
    ("arrays", "how", "said"),
    [
        ({"dW1": W1.T, "dW2": W2}, "", "it is transposed, beside others of its kind that are not"),
        ({"dW1": W1, "dW2": W2.T}, "transposed", "it is not transposed, beside others of its kind"),
        ({"dW1": W1.T, "dW2": W2.T}, "transposed", None),
        ({"dW1": W1, "dW2": W2}, "", None),
    ],
)
def test_a_square_matrix_is_not_turned_against_others_of_its_kind(
    arrays: dict[str, Any], how: str, said: str | None
) -> None:
    found = named(TRACE, **arrays)
    assert names_of(found)["dW1"] == ("dense1.weight_gradient", how)
    (array,) = (one.array for one in found.named if one.mine == "dW1")
    is_right = bool(np.allclose(array, W1, rtol=1e-9))
    assert is_right is (said is None)
    assert [note for note in found.notes if said and said in note] == list(found.notes)


WRONG = [
    ({"dW1": np.ones((7, 7))}, "'dW1' is 7 x 7, but dense1.weight_gradient is 3 x 3"),
    ({"dW5": W1}, r"'dW5': the network has no such layer; of its shape are dense1.weight_grad"),
    ({"delta1": D1[:2]}, r"this step is on 7 samples: --samples and --batch choose others"),
    ({"foo": np.ones((9, 9))}, "nothing was given that is a quantity of a step"),
    ({"dW1": W1, "grad_W1": W1}, r"'grad_W1' and 'dW1' both seem to be dense1.weight_gradient"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG)
def test_what_cannot_be_told_is_refused(arrays: Any, message: str) -> None:
    with pytest.raises(NncliError, match=message):
        name_arrays(TRACE, arrays, {})


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(NncliError, match=r"(?s)dW1.*\n.*dW2"):
        named(TRACE, dW1=np.ones((7, 7)), dW2=np.ones((7, 7)))
    with pytest.raises(NncliError, match=r"no 'dense1.weigth_gradient'; did you mean"):
        named(TRACE, {"dW1": "dense1.weigth_gradient"}, dW1=W1)
    with pytest.raises(NncliError, match=r"there is no array 'dw1'; did you mean 'dW1'"):
        named(TRACE, {"dw1": "dense1.weight_gradient"}, dW1=W1)


def test_what_no_name_tells_is_left_out_and_said() -> None:
    found = named(TRACE, dW1=W1, epoch=np.array(3.0))
    assert names_of(found) == {"dW1": ("dense1.weight_gradient", "")}
    assert found.notes == ("left out, for the name says nothing: 'epoch'",)
    assert names_of(named(TRACE, foo=D2)) == {"foo": ("dense2.delta", "")}  # but its values do


def test_arrays_are_turned_into_the_shape_of_a_trace() -> None:
    def ways(array: Any, shape: tuple[int, ...], *, by_sample: bool) -> list[str]:
        return [how for how, turned in turns(array, shape, by_sample=by_sample)]

    image = np.zeros((1, 2, 4, 5))
    assert ways(image[0], (1, 2, 4, 5), by_sample=True) == ["one sample"]
    assert ways(np.zeros((3, 4, 5, 2)), (3, 2, 4, 5), by_sample=True) == ["channels last"]
    assert ways(np.zeros((2, 4, 5, 3)), (3, 2, 4, 5), by_sample=True) == ["samples last"]
    assert ways(np.zeros((3, 40)), (3, 2, 4, 5), by_sample=True) == ["unrolled"]
    assert ways(np.zeros((1, 3)), (3,), by_sample=False) == ["as a vector"]
    assert ways(np.zeros((3, 3)), (3, 3), by_sample=False) == ["", "transposed"]
    assert [turned.shape for _, turned in turns(np.array([2.0]), (), by_sample=False)] == [()]
    assert ways(np.zeros((2, 3)), (3, 3), by_sample=False) == []
