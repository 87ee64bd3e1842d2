"""nncli check: what it prints, and its exit status."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli as package
from nncli.app.opening import open_spec_or_run
from nncli.core.errors import NncliError
from nncli.core.text import in_ascii
from tests.conftest import CONFIGS, ROOT, Run

TWO = CONFIGS / "two-two-two.yaml"
IRIS = CONFIGS / "iris.yaml"
MINE = ROOT / "data/two-two-two-mine.json"


def save(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


def gradients(**how: Any) -> dict[str, Any]:
    trace = package.trace_step(IRIS, **how)
    return {f"dW{k}": layer.weight_gradient for k, layer in enumerate(trace.layers, 1)}


def test_a_step_by_hand_with_a_mistake(nncli: Run) -> None:
    done = nncli("check", TWO, MINE)
    assert done.status == 1
    assert done.out.startswith(
        "two-two-two: dense1.delta is the first that is wrong: missing_sigma_prime_hidden\n"
    )
    for line in (
        "All are judged to 4 decimals.",
        "a1      dense1.a (one sample)      right      ",
        "delta1  dense1.delta (one sample)  wrong      ",
        "dW1     dense1.weight_gradient     from dense1.delta  ",
        "δ of dense1 is the first that is wrong; everything after it follows from it.",
        "At delta1[0, 1] yours is 0.0414, right is 0.0099542547.",
        "Right: δ = (δ_next W_nextᵀ) ⊙ σ′(z)",
    ):
        assert line in done.out
    assert done.err.startswith("nncli: dense1.delta is the first that is wrong")


def test_one_gradient_of_several_transposed_is_a_mistake(nncli: Run, tmp_path: Path) -> None:
    first, second = (layer.weight_gradient for layer in package.trace_step(TWO).layers)
    assert first is not None
    assert second is not None
    done = nncli("check", TWO, save(tmp_path, dW1=first.T, dW2=second))
    assert done.status == 1
    assert "dense1.weight_gradient is the first that is wrong: transposed" in done.out
    assert "Right: ∂C/∂w_ij = 1/n Σ_x a_i δ_j" in done.out
    assert nncli("check", TWO, save(tmp_path, dW1=first.T, dW2=second.T)).status == 0


def test_two_layouts_that_shapes_tell_apart_are_remarked_not_refused(
    nncli: Run, tmp_path: Path
) -> None:
    first, second = (layer.weight_gradient for layer in package.trace_step(IRIS).layers)
    assert first is not None
    assert second is not None
    remark = "two layouts"
    mixed = nncli("check", IRIS, save(tmp_path, dW1=first.T, dW2=second))
    assert (mixed.status, mixed.err) == (0, "")
    assert mixed.out.startswith("iris: right\n")
    says = "Matrices are in two layouts: dW1 units x inputs, dW2 inputs x units;"
    assert says in " ".join(mixed.out.split())
    for turned in (False, True):
        both = {"dW1": first.T, "dW2": second.T} if turned else {"dW1": first, "dW2": second}
        done = nncli("check", IRIS, save(tmp_path, **both))
        assert (done.status, remark in " ".join(done.out.split())) == (0, False)
    # It does not hide what is wrong.
    wrong = nncli("check", IRIS, save(tmp_path, dW1=2 * first.T, dW2=second))
    assert wrong.status == 1
    assert says in " ".join(wrong.out.split())


def test_as_json(nncli: Run) -> None:
    record = json.loads(nncli("check", TWO, MINE, "--format", "json").out)
    assert record["schema"] == "nncli.check/1"
    assert record["right"] is False
    assert record["mistakes"] == ["missing_sigma_prime_hidden"]
    assert record["first_wrong"] == "dense1.delta"
    assert record["ratio"] is None
    by_name = {one["mine"]: one for one in record["compared"]}
    assert by_name["dW1"]["follows_from"] == "dense1.delta"
    assert by_name["delta1"]["follows_from"] is None
    assert by_name["dW2"]["right"] is True
    assert by_name["dW2"]["transposed"] is False


def test_a_right_step_is_right(nncli: Run, tmp_path: Path) -> None:
    mine = save(tmp_path, **{f"fc{k[2]}.weight.grad": g.T for k, g in gradients().items()})
    done = nncli("check", IRIS, mine)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("iris: right\n")
    assert "fc2.weight.grad  dense2.weight_gradient ᵀ  right" in done.out


def test_a_terminal_of_ascii_has_every_word(nncli: Run) -> None:
    done = nncli("check", TWO, MINE)
    assert "?" not in in_ascii(done.out)


def test_the_mini_batch_is_found_where_the_samples_are_not_said(nncli: Run, tmp_path: Path) -> None:
    done = nncli("check", IRIS, save(tmp_path, **gradients(samples=None)))
    assert done.status == 0
    assert "the mini-batch that training would draw: 94, 114" in done.out


def test_inputs_say_which_samples_they_are(nncli: Run, tmp_path: Path) -> None:
    X = inputs_of(samples=(3, 40, 77))
    done = nncli("check", IRIS, save(tmp_path, X=X, **gradients(samples=(3, 40, 77))))
    assert done.status == 0
    assert "on samples 3, 40, 77\nof the" in done.out
    done = nncli("check", IRIS, save(tmp_path, X=X + 5, **gradients(samples=(3, 40, 77))))
    assert done.status == 2
    assert "'X': its row 0 is none of the 120 samples of the training data" in done.err
    chosen = ("--samples", "1,2,3")
    done = nncli("check", IRIS, save(tmp_path, X=X, **gradients(samples=(1, 2, 3))), *chosen)
    assert done.status == 2
    assert "'X' is not what this step is on (inputs of samples 1, 2, 3)" in done.err


def inputs_of(**how: Any) -> Any:
    return package.trace_step(IRIS, **how).inputs


def test_other_samples_are_told(nncli: Run, tmp_path: Path) -> None:
    mine = save(tmp_path, **gradients(samples=(10,)))
    record = json.loads(nncli("check", IRIS, mine, "--samples", "2", "--format", "json").out)
    assert record["mistakes"] == ["wrong_batch"]
    assert record["explanations"][0][0]["way"] == "they are those of sample 10"


def test_the_step_starts_from_weights_that_were_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    prepared = package.prepare(package.load_spec(IRIS, ["dtype=float64"]))
    shapes = [layer.parameter_shapes for layer in prepared.network.layers]
    W1, W2 = (rng.normal(0, 1, shape["weight"]) for shape in shapes)
    b1, b2 = (rng.normal(0, 1, shape["bias"]) for shape in shapes)
    trace = package.trace_step(prepared.spec)
    a1 = np.tanh(trace.inputs @ W1 + b1)
    powers = np.exp(a1 @ W2 + b2)
    delta2 = powers / powers.sum() - trace.targets
    delta1 = delta2 @ W2.T * (1 - a1**2)
    mine = {"W1": W1, "W2": W2, "b1": b1, "b2": b2}
    mine |= {"delta2": delta2, "delta1": delta1, "dW1": trace.inputs.T @ delta1}
    found = package.check(prepared.spec, mine)
    assert found.right
    assert found.notes == ("the step starts from W1, b1, W2, b2, as given",)
    few = {key: np.round(array, 4) for key, array in mine.items()}
    assert not package.check(prepared.spec, few | {"W1": W1 + 1}).right
    assert package.check(prepared.spec, few).right
    mine["delta1"] = delta2 @ W2.T * (1 - np.tanh(a1) ** 2)
    mine["dW1"] = trace.inputs.T @ mine["delta1"]
    assert package.check(prepared.spec, mine).mistakes == ("sigma_prime_of_a",)


def test_a_run_and_a_later_step(nncli: Run, tmp_path: Path) -> None:
    assert nncli("train", IRIS, "--epochs", "2").status == 0
    run = tmp_path / "runs/iris"
    assert nncli("check", run, save(tmp_path, **run_gradients(run, step=1)), "--batch").status == 0
    later = save(tmp_path, **run_gradients(IRIS, step=3))
    assert nncli("check", IRIS, later, "--step", "3", "--batch").status == 0
    assert nncli("check", IRIS, later, "--step", "2", "--batch").status == 1


def run_gradients(source: Path, step: int) -> dict[str, Any]:
    trace = package.trace_step(source, samples=None, step=step)
    return {"dW1": trace.layers[0].weight_gradient}


def test_a_trace_of_inspect_grad_is_right(nncli: Run, tmp_path: Path) -> None:
    step = ("--samples", "1,2", "--set", "dtype=float64")
    (tmp_path / "t.json").write_text(
        nncli("inspect-grad", IRIS, *step, "--format", "json", "--check", "off").out
    )
    done = nncli("check", IRIS, "t.json", *step)
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "dW1"), "takes YOURS=NAME"),
        (("--name", "dW1=dense1.weigh_gradient"), "did you mean 'dense1.weight_gradient'"),
        (("--batch", "--samples", "1"), "--batch and --samples each choose the mini-batch"),
        (("--samples", "1000"), "there is no sample 1000"),
    ],
)
def test_wrong_options(nncli: Run, tmp_path: Path, words: Any, message: str) -> None:
    done = nncli("check", IRIS, save(tmp_path, **gradients()), *words)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_what_cannot_be_compared(nncli: Run, tmp_path: Path) -> None:
    assert nncli("check", IRIS, "none.npz").status == 2
    done = nncli("check", IRIS, save(tmp_path, dW1=np.ones((3, 3))))
    assert (done.status, done.out) == (2, "")
    assert "'dW1' is 3 x 3, but dense1.weight_gradient is 4 x 8" in done.err
    weight = weight_of()
    done = nncli("check", IRIS, save(tmp_path, W1=weight))
    assert "'W1': is what a step starts from, and nothing that it computes" in done.err


def weight_of() -> Any:
    return package.trace_step(IRIS).layers[0].weight


def test_a_notebook_shows_the_page_as_text() -> None:
    found = package.check(TWO, MINE)
    (text,) = found._repr_mimebundle_().values()
    assert text.startswith("two-two-two: dense1.delta is the first that is wrong")
    assert max(map(len, text.splitlines())) <= 80


def test_from_python() -> None:
    with pytest.raises(NncliError, match="where numbers belong"):
        package.check(TWO, {"dW1": "text"})
    found = package.check(TWO, {"dW1": np.eye(2)}, names={"dW1": "dense2.weight_gradient"})
    assert (found.right, found.compared[0].name) == (False, "dense2.weight_gradient")
    assert isinstance(found, package.Checked)


@pytest.mark.parametrize("weights", ["best", "last"])
def test_a_run_s_weights_are_chosen_and_named(nncli: Run, tmp_path: Path, weights: str) -> None:
    change = ["--set", "train.eta=3", "--set", "data.validation=0.3", "--epochs", "6"]
    assert nncli("train", IRIS, *change, "--out", "run", "--tables", "none").status == 0
    found: dict[str, Any] = {}
    for which in ("best", "last"):
        opened = open_spec_or_run(tmp_path / "run", weights=which)
        found[which] = package.trace_step(opened, samples=[0])
    assert not np.array_equal(*(trace.layers[0].weight for trace in found.values()))
    mine = save(tmp_path, dW1=found[weights].layers[0].weight_gradient)
    words = ("check", "run", mine, "--samples", "0")
    done = nncli(*words, "--weights", weights)
    words_on_start = f"The step starts from the run's {weights} weights, after epoch"
    assert (done.status, words_on_start in done.out) == (0, True)
    other = {"best": "last", "last": "best"}[weights]
    assert nncli(*words, "--weights", other).status == 1
    done = nncli("explain", "run", "--sample", "0", "--weights", weights, "--format", "json")
    lesson = next(x for x in json.loads(done.out)["lessons"] if x["lesson"] == "DenseForward")
    assert np.array_equal(np.float32(lesson["weight"]), found[weights].layers[0].weight)
    done = nncli("explain", "run", "--weights", weights)
    assert words_on_start in done.out
    assert "these are the" in done.err
