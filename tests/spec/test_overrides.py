"""`--set PATH=VALUE`, and where a value came from."""

import os
import subprocess
import sys
from typing import Any

import pytest

from nncli.core.errors import SpecError
from nncli.spec import StepSchedule, ValueOrigin, parse_spec

TEXT = """\
data: {train: x.csv}
network:
  - &hidden {type: dense, units: 3}
  - *hidden
train: {η: 1}
"""


def refusals(*overrides: Any) -> Any:
    with pytest.raises(SpecError) as caught:
        parse_spec(TEXT, "f.yaml", overrides=overrides)
    return list(caught.value.problems)


def test_values_are_read_as_yaml() -> None:
    sets = [
        "train.eta=1e-3", "network[0].units=100", "data.shape=[1,8,8]", "dtype=float64",
        "data.validation=0.25", "train.shuffle=false", "name = a b ",
    ]  # fmt: skip
    spec = parse_spec(TEXT, overrides=sets)
    layer: Any = spec.network[0]
    assert (spec.train.eta, layer.units, spec.data.shape) == (0.001, 100, (1, 8, 8))
    assert (spec.dtype, spec.data.validation, spec.train.shuffle) == ("float64", 0.25, False)
    assert spec.name == "a b"


def test_the_last_one_counts() -> None:
    assert parse_spec(TEXT, overrides=["train.eta=2", "train.η=3"]).train.eta == 3


def test_missing_mappings_are_made() -> None:
    sets = ["train.schedule.type=step", "train.schedule.step_size=5"]
    schedule = parse_spec(TEXT, overrides=sets).train.schedule
    assert schedule == StepSchedule.model_validate({"type": "step", "step_size": 5})


def test_a_layer_shared_by_an_alias_is_changed_alone() -> None:
    spec = parse_spec(TEXT, overrides=["network[1].units=7"])
    layers: Any = spec.network
    assert [layer.units for layer in layers] == [3, 7]


SHAPE = "expected PATH=VALUE, such as train.eta=0.5 or network[0].units=30"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("foo", SHAPE),
        ("=3", SHAPE),
        (".a=3", SHAPE),
        ("a..b=3", SHAPE),
        ("network[0]units=3", SHAPE),
        ("network[-1].units=3", "network is a list, whose entries count from 0; write "
         "network[1].units"),
        ("network[-1.units=3", SHAPE),
        ("network[9].units=100", "network has 2 entries, [0] to [1]"),
        ("network.units=3", "network is a list; write network[0].units for its first entry"),
        ("network.-1.units=3", "network is a list, whose entries count from 0; write "
         "network[1].units"),
        ("network.-2=3", "network is a list, whose entries count from 0; write network[0]"),
        ("network.-3.units=3", "network is a list, and '-3' is no entry of it; network has 2 "
         "entries, [0] to [1]"),
        ("network.*.units=3", "network is a list, and '*' is no entry of it; network has 2 "
         "entries, [0] to [1]"),
        ("lr=0.1", "lr: unknown key 'lr'; did you mean train.eta?"),
        ("learning_rate=0.1", "learning_rate: unknown key 'learning_rate'; did you mean "
         "train.eta?"),
        ("loss=quadratic", "loss: unknown key 'loss'; did you mean train.cost?"),
        ("epoch=3", "epoch: unknown key 'epoch'; did you mean train.epochs?"),
        ("units=3", "units: unknown key 'units'; did you mean network[0].units?"),
        ("neurons=3", "neurons: unknown key 'neurons'; did you mean network[0].units?"),
        ("model=3", "model: unknown key 'model'; did you mean 'network'?"),
        ("train[0]=3", "train is a mapping, not a list"),
        ("seed[0]=3", "seed is not given; set it as a whole"),
        ("train.eta.x=3", "train.eta is 1, which has no keys; set it as a whole"),
        ("train.eta=abc", "train.eta: expected a positive number, got the string 'abc'"),
        ("train.eta=", "train.eta: expected a positive number, got null"),
        ("train.epoch=3", "train.epoch: unknown key 'epoch'; did you mean 'epochs'?"),
        ("train.eta=[", "train.eta: not valid YAML: a value is missing here"),
        ("name=!x a", "name: the tag '!x' has no place in a spec; leave it out"),
        ("train={eta: 1, η: 2}", "train.η: eta is given too; keep one of them"),
        ("data.train={inputs: [[1], [x]], targets: y}", "data.train.inputs[1][0]: expected a "
         "finite number, got the string 'x'"),
        ("train.schedule.type=step", "train.schedule.step_size: missing; write for example "
         "'step_size: 10'"),
    ],
)  # fmt: skip
def test_what_an_override_cannot_do(override: str, message: Any) -> None:
    assert refusals(override) == [f"--set {override}: {message}"]


def test_foreign_text_is_escaped_and_shortened() -> None:
    long = f"train.eta={'x' * 100}"
    assert refusals(long) == [
        f"--set {long[:79]}…: train.eta: expected a positive number, got the string '{'x' * 39}…'"
    ]
    assert refusals("a\x1b=1")[0].startswith("--set a\\x1b=1: 'a\\x1b': unknown key 'a\\x1b'")


@pytest.mark.parametrize("override", ["\udcff=1", "name=\udcff", "train.\ud800=1"])
def test_what_is_not_utf8_on_the_command_line_is_told(override: str) -> None:
    shown = override.encode("ascii", "backslashreplace").decode()
    assert refusals(override) == [f"--set {shown}: expected UTF-8 text"]


def test_utf8_that_the_locale_could_not_read_is_read_all_the_same() -> None:
    def by_the_c_locale(text: str) -> str:
        return text.encode().decode("ascii", "surrogateescape")

    spec = parse_spec(TEXT, overrides=[*map(by_the_c_locale, ["train.η=0.25", "name=é"])])
    assert (spec.train.eta, spec.name) == (0.25, "é")
    assert refusals(by_the_c_locale("é=1"))[0].startswith("--set é=1: é: unknown key 'é'")


def test_overrides_in_the_c_locale() -> None:
    """As Python itself decodes them, in a process of its own."""
    program = (
        "import sys; from nncli.spec import parse_spec\n"
        "text = 'data: {train: x}\\nnetwork: [{type: dense, units: 1}]\\ntrain: {eta: 1}'\n"
        "print(parse_spec(text, overrides=sys.argv[1:]).train.eta)"
    )
    # The folder must be found by itself: its own files need no other locale.
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program, "train.η=0.3".encode()],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    assert done.stdout.strip() == b"0.3"


def test_a_share_with_a_second_equals_sign_is_no_path() -> None:
    (line,) = refusals("data.validation=0.5=3")
    assert line.startswith(
        "--set data.validation=0.5=3: data.validation: expected a share between 0 and 1"
    )


def test_origins() -> None:
    spec = parse_spec(TEXT, "f.yaml", overrides=["train.epochs=3", "train.schedule.type=constant"])
    assert spec.origin("train.eta") == ValueOrigin("file", "f.yaml:5:12")
    assert spec.origin(("network", 1, "units")) == ValueOrigin("file", "f.yaml:3:34")
    assert spec.origin("train.epochs") == ValueOrigin("set", "--set train.epochs=3")
    assert spec.origin("train.schedule").kind == "set"
    assert spec.origin("train.cost") == ValueOrigin("default", "")
    assert spec.origin("name").kind == "default"


def test_later_errors_find_their_place() -> None:
    spec = parse_spec(TEXT, "f.yaml", overrides=["network[1].units=9"])
    errors = [
        spec.error_at(("network", 0, "units"), "too many"),
        spec.error_at(("network", 0, "bias"), "too many"),
        spec.error_at(("network", 1, "units"), "too many"),
        spec.error_at(("data", "shape"), "needed"),
        spec.error_at((), "odd"),
    ]
    assert [str(error) for error in errors] == [
        "f.yaml:3:34: network[0].units: too many",
        "f.yaml:3:5: network[0].bias: too many",
        "--set network[1].units=9: network[1].units: too many",
        "f.yaml:1:7: data.shape: needed",
        "f.yaml:1:1: odd",
    ]
