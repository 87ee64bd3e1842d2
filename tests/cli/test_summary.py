"""nncli summary, from the shell."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CONFIGS, Run

LENET, MLP = CONFIGS / "mnist-lenet.yaml", CONFIGS / "mnist-mlp.yaml"
SHAPE = ("--set", "data.shape=[1, 28, 28]")


def record(nncli: Run, *arguments: str | Path) -> dict[str, Any]:
    done = nncli("summary", *arguments, "--format", "json")
    assert (done.status, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_a_page_for_reading(nncli: Run) -> None:
    done = nncli("summary", LENET, COLUMNS="100")
    assert (done.status, done.err) == (0, "")
    assert re.search(r"^conv1 +tanh +1×28×28 +6×28×28 +6×1×5×5 +156 +117,600 +\S+ MiB$",
                     done.out, re.M)  # fmt: skip
    assert re.search(r"^total +61,706 +416,520 +\S+ MiB$", done.out, re.M)


def test_the_numbers_of_lenet_5(nncli: Run) -> None:
    # 61,706 parameters; 416,520 multiply-adds: (28·28·6·25) + (10·10·16·150) + 400·120 + 120·84 +
    # 84·10, as torchinfo and fvcore count them without biases.
    made = record(nncli, LENET)
    assert made["schema"] == "nncli.summary/1"
    assert made["parameters"] == 61706
    by_name = {layer["name"]: layer for layer in made["layers"]}
    assert [layer["multiply_adds"] for layer in made["layers"]] == [
        117600, 0, 240000, 0, 0, 48000, 10080, 840,
    ]  # fmt: skip
    assert by_name["conv2"]["parameter_shapes"] == {"weight": [16, 6, 5, 5], "bias": [16]}
    assert by_name["avgpool2"]["output_shape"] == [16, 5, 5]
    assert made["backward_multiply_adds"] == 2 * made["multiply_adds"] - 117600
    assert made["workspace_bytes"] == sum(layer["workspace_bytes"] for layer in made["layers"])
    assert made["step_seconds"] is by_name["conv1"]["forward_seconds"] is None


def test_nothing_flows_back_below_the_first_layer_with_weights(nncli: Run, tmp_path: Path) -> None:
    """A flatten layer comes first, so that the first dense layer is the second."""
    text = (
        "data: {{train: x.csv, shape: {}}}\n"
        "network: [{{type: dense, units: 5}}]\n"
        "train: {{eta: 0.5}}\n"
    )
    found = []
    for shape in ("[1, 4, 4]", "[16, 1, 1]"):
        (tmp_path / "s.yaml").write_text(text.format(shape))
        made = record(nncli, tmp_path / "s.yaml", "--time")
        found.append(made["backward_multiply_adds"])
        assert made["layers"][0]["backward_seconds"] is not None
    assert found == [80, 80]


def test_the_data_are_not_needed_where_the_shape_is_given(nncli: Run) -> None:
    gone = ("--set", "data.train=gone.csv", "--set", "data.validation=gone.csv")
    assert record(nncli, LENET, *SHAPE, *gone) == record(nncli, LENET)
    done = nncli("summary", LENET, *gone)
    assert done.status == 2
    assert "data.train: there is no file" in done.err


def test_a_run_needs_no_data(nncli: Run, runs: Path) -> None:
    made = record(nncli, runs / "iris", "--set", "data.train=gone.csv")
    assert made["parameters"] == 4 * 8 + 8 + 8 * 3 + 3


def test_memory_grows_with_the_mini_batch(nncli: Run) -> None:
    one, ten = (
        record(nncli, MLP, *SHAPE, "--set", f"train.batch_size={n}")["workspace_bytes"]
        for n in (1, 10)
    )
    weights = 3 * 4 * (784 * 30 + 30 + 30 * 10 + 10)
    assert ten - weights == 10 * (one - weights)


def test_a_network_larger_than_memory_can_be_looked_at(nncli: Run) -> None:
    made = record(nncli, LENET, *SHAPE, "--set", "network[4].units=1000000000")
    assert made["workspace_bytes"] > 1e12


def test_times(nncli: Run) -> None:
    made = record(nncli, CONFIGS / "digits-conv.yaml", "--time")
    assert made["step_seconds"] > 0
    assert all(layer["forward_seconds"] > 0 for layer in made["layers"])
    assert all(layer["backward_seconds"] > 0 for layer in made["layers"])
    done = nncli("summary", CONFIGS / "digits-conv.yaml", "--time", COLUMNS="60")
    assert re.search(r"^layer +output +parameters +forward µs +backward µs$", done.out, re.M)
    assert re.search(r"^time +\S+ ms a step: [\d,]+ samples/s", done.out, re.M)


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_no_line_is_wider_than_the_terminal(nncli: Run, width: int) -> None:
    done = nncli("summary", CONFIGS / "digits-conv.yaml", COLUMNS=str(width))
    assert max(map(len, done.out.splitlines())) <= width
    assert "dense2" in done.out


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("network[2].kernel=29",), "network[2].kernel: a window of 29 x 29 is larger"),
        (("network[6].activation=relu",), "cross_entropy needs sigmoid or softmax"),
        (("network[0].kernl=3",), "did you mean 'kernel'?"),
    ],
)
def test_layers_that_do_not_fit(nncli: Run, overrides: tuple[str, ...], told: str) -> None:
    sets = [part for override in overrides for part in ("--set", override)]
    done = nncli("summary", LENET, *SHAPE, *sets)
    assert (done.status, done.out) == (2, "")
    assert told in done.err
