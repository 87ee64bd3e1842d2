"""What a valid spec becomes, how it is written out again, and its JSON Schema."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from nncli.core.errors import SpecError
from nncli.nn import links, optimizers
from nncli.nn import schedules as engine
from nncli.nn.activations import ELEMENTWISE
from nncli.spec import (
    ConstantSchedule,
    TrainSpec,
    dump_spec,
    load_spec,
    models,
    parse_spec,
)
from nncli.spec.schedules import SCHEDULES
from nncli.spec.schema import schema

EXAMPLE = """\
name: digits-mlp
seed: 0
dtype: float32

data:
  train: ../data/digits.csv
  target: digit
  validation: 0.2
  scale: 16
  shape: [1, 8, 8]

network:
  - {type: conv, filters: 8, kernel: 3, padding: same}
  - {type: avgpool, size: 2}
  - {type: dense, units: 30, activation: sigmoid}
  - {type: dense, units: 10}

train:
  eta: 3.0
  epochs: 30
  batch_size: 10
  cost: quadratic
"""
SMALL = "data: {train: x.csv}\nnetwork: [{type: dense, units: 1}]\ntrain: {η: 1}\n"


def test_defaults_are_filled_in_and_sizes_are_pairs() -> None:
    spec = parse_spec(EXAMPLE)
    layers: Any = spec.network
    conv, pool, hidden, output = layers
    assert (conv.kernel, conv.stride, conv.padding, conv.dilation) == (
        (3, 3),
        (1, 1),
        "same",
        (1, 1),
    )
    assert (pool.size, pool.stride) == ((2, 2), (2, 2))
    assert (hidden.activation, output.activation, output.bias) == ("sigmoid", "sigmoid", True)
    assert (spec.data.scale, spec.data.classes, spec.data.header) == (16.0, None, None)
    assert spec.train.schedule == ConstantSchedule(type="constant")
    assert (spec.train.momentum, spec.train.weight_decay, spec.train.shuffle) == (0, 0, True)


def test_what_is_written_inline_becomes_tuples() -> None:
    text = SMALL.replace("x.csv", "{inputs: [[0, 1], [1, 1]], targets: [[0], [1.5]]}")
    text = text.replace("units: 1", "units: 2, bias: [0, 1], weights: [[1, 2], [3, .5]]")
    spec = parse_spec(text)
    train: Any = spec.data.train
    assert train.inputs == ((0.0, 1.0), (1.0, 1.0))
    assert train.targets == ((0,), (1.5,))
    assert type(train.targets[0][0]) is int
    layer: Any = spec.network[0]
    assert layer.weights == ((1.0, 2.0), (3.0, 0.5))
    assert layer.bias == (0.0, 1.0)


def test_a_spec_is_frozen() -> None:
    spec = parse_spec(SMALL)
    with pytest.raises(ValidationError):
        spec.train.eta = 2.0


def test_the_name_is_the_files_stem(tmp_path: Path) -> None:
    path = tmp_path / "xor.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert load_spec(path).name == "xor"
    assert parse_spec(SMALL, "configs/iris.yaml").name == "iris"
    assert parse_spec(SMALL).name == "spec"


def test_paths_start_from_the_specs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    spec = parse_spec(SMALL, folder=tmp_path)
    assert spec.folder == tmp_path
    assert spec.resolve("x.csv") == tmp_path / "x.csv"
    assert spec.resolve("/x.csv") == Path("/x.csv")
    assert spec.resolve("~/x.csv") == Path("/home/ada/x.csv")


def test_specs_are_equal_by_meaning(tmp_path: Path) -> None:
    spec = parse_spec(SMALL, folder=tmp_path)
    reworded = SMALL.replace("η: 1", "eta: 1.0, epochs: 30").replace(
        "x.csv", str(tmp_path / "x.csv")
    )
    assert parse_spec(reworded, "other.yaml", overrides=["name=spec"]) == spec
    assert parse_spec(SMALL, folder=tmp_path / "elsewhere") != spec
    assert parse_spec(SMALL, folder=tmp_path, overrides=["seed=1"]) != spec
    assert spec != "spec"


def test_the_dump_is_complete_and_readable(tmp_path: Path) -> None:
    text = SMALL.replace("units: 1", "units: 2, weights: [[1, 2], [1e-5, .5]], bias: b.npy")
    folder = tmp_path.resolve()
    assert (
        dump_spec(parse_spec(text, folder=folder))
        == f"""\
name: spec
seed: 0
dtype: float32
data:
  train: {folder}/x.csv
  validation: null
  test: null
  target: null
  classes: null
  class_weights: null
  header: null
  separator: null
  decimal: null
  thousands: null
  comment: null
  encoding: null
  ignore: null
  columns: null
  scale: none
  target_scale: none
  shape: null
network:
  - type: dense
    units: 2
    activation: sigmoid
    bias: {folder}/b.npy
    weights:
      - [1.0, 2.0]
      - [1.0e-05, 0.5]
    init: null
    freeze: false
train:
  eta: 1.0
  epochs: 30
  batch_size: 10
  cost: quadratic
  optimizer:
    type: sgd
  momentum: 0.0
  nesterov: false
  weight_decay: 0.0
  decoupled_weight_decay: 0.0
  decay_biases: true
  l1: 0.0
  clip: null
  shuffle: true
  threads: auto
  micro_batches: 1
  schedule:
    type: constant
  early_stop: null
  init_from: null
  weights_layout: nncli
"""
    )


@pytest.mark.parametrize("folder", ["a\nb", "a\tb", 'a"b', "a\\b", "a\x85b", "a\x1bb", "é: #"])
def test_a_spec_in_a_folder_of_any_name_is_dumped_and_reloads(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "net.yaml"
    path.parent.mkdir()
    path.write_text(SMALL, encoding="utf-8")
    spec = load_spec(path)
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_spec(spec), encoding="utf-8")
    assert load_spec(copy, ["name=net"]) == spec
    assert load_spec(copy).resolve("x.csv").name == "x.csv"
    train = load_spec(copy).data.train
    assert isinstance(train, str)
    assert Path(train) == path.parent.resolve() / "x.csv"


def test_a_path_that_is_not_utf8_cannot_be_dumped() -> None:
    spec = parse_spec(SMALL, folder=Path("/data/\udcff"))
    with pytest.raises(SpecError) as caught:
        dump_spec(spec)
    assert str(caught.value) == (
        "/data/\\udcff/x.csv: this path is not UTF-8, so no spec can hold it; rename the file or "
        "folder"
    )
    text = dump_spec(parse_spec(SMALL, folder=Path("/data/\udcc3\udca9")))
    assert '"/data/é/x.csv"' in text


def test_the_default_name_leaves_out_what_is_not_utf8() -> None:
    assert parse_spec(SMALL, "a\udcffb.yaml").name == "ab"


# A round trip through text, for any valid spec

sizes = st.integers(1, 99)
pairs = sizes | st.lists(sizes, min_size=2, max_size=2)
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
traps = st.sampled_from(
    ["yes", "1:30", "0o17", "~", "null", "- a", "a: b", "# a", "1e-3", "é", "'"]
)
strings = words | traps
# With a folder, since a share or a truth written as text is refused where a path might be meant.
paths = strings.filter(lambda text: "\0" not in text).map("./".__add__)
names = strings.filter(lambda text: not any(c < " " or "\x7f" <= c <= "\x9f" for c in text))
names = names.filter(lambda text: not set(text) & set("/\\") and text not in (".", ".."))


def optional(mapping: Any, **more: Any) -> Any:
    return st.fixed_dictionaries(mapping, optional=more)


def matrix(rows: Any, columns: Any) -> Any:
    row = st.lists(numbers, min_size=columns, max_size=columns)
    return st.lists(row, min_size=rows, max_size=rows)


@st.composite
def inline_pairs(draw: Any) -> Any:
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    labels = st.lists(strings, min_size=rows, max_size=rows)
    return {
        "inputs": draw(matrix(rows, columns) | paths),
        "targets": draw(labels | matrix(rows, 2) | paths),
    }


tables = paths | inline_pairs()
inits = st.sampled_from(["zeros", "kaiming_uniform", None])
hidden = st.sampled_from(ELEMENTWISE)


@st.composite
def dense(draw: Any) -> Any:
    units = draw(st.integers(1, 3))
    bias = st.booleans() | st.lists(numbers, min_size=units, max_size=units) | paths
    weights = st.none() | paths | matrix(2, units)
    more = optional({}, activation=hidden, bias=bias, weights=weights, init=inits)
    return {"type": "dense", "units": units, **draw(more)}


conv = optional(
    {"type": st.just("conv"), "filters": sizes, "kernel": pairs},
    stride=pairs,
    dilation=pairs,
    padding=st.sampled_from(["valid", "same"]) | pairs | st.just(0),
    activation=hidden,
    bias=st.booleans(),
    init=inits,
)
pool = optional({"type": st.sampled_from(["maxpool", "avgpool"]), "size": pairs}, stride=pairs)
dropout = optional({"type": st.just("dropout")}, rate=st.floats(0, 1, exclude_max=True))
batchnorm = optional({"type": st.just("batchnorm")}, epsilon=positive, momentum=st.floats(0, 1))
anywhere = dropout | batchnorm
networks = st.tuples(
    st.lists(conv | pool | anywhere, max_size=2),
    st.tuples(st.lists(dense() | anywhere, max_size=2), dense()).map(lambda two: [*two[0], two[1]]),
)
shares = st.floats(0, 1, exclude_min=True, exclude_max=True)
data = optional(
    {"train": tables},
    validation=shares | tables | st.none(),
    test=tables,
    target=strings | st.integers(-3, 3) | st.lists(strings, min_size=1, max_size=3, unique=True),
    classes=st.integers(2, 9)
    | st.just("none")
    | st.lists(strings, min_size=2, max_size=3, unique=True),
    header=st.booleans(),
    scale=positive | st.sampled_from(["minmax", "standard", "none"]),
    shape=st.lists(sizes, min_size=3, max_size=3),
)
gammas = st.floats(0, 1, exclude_min=True)
schedules = st.one_of(
    st.just("constant"),
    optional({"type": st.just("step"), "step_size": sizes}, gamma=gammas),
    optional({"type": st.just("exponential"), "gamma": gammas}),
    optional({"type": st.just("cosine")}, eta_min=st.floats(0, 1), t_max=sizes),
)
train = optional(
    {"eta": positive},
    epochs=sizes,
    momentum=st.floats(0, 1, exclude_max=True),
    weight_decay=st.floats(0, 9),
    shuffle=st.booleans(),
    threads=st.one_of(st.just("auto"), st.integers(1, 256)),
    schedule=schedules,
)
specs = optional(
    {"data": data, "network": networks.map(lambda parts: [*parts[0], *parts[1]]), "train": train},
    name=names,
    seed=st.integers(0, 2**64),
    dtype=st.sampled_from(["float32", "float64"]),
)


VALIDATOR = Draft202012Validator(schema())


def escaped(match: Any) -> str:
    return f"\\u{ord(match.group()):04x}"


@settings(deadline=None, max_examples=80)
@given(specs)
def test_what_was_dumped_reads_back_equal(raw: Any) -> None:
    # JSON is YAML as well, but for a few characters that have to be escaped.
    written = re.sub("[\x7f-\x9f\ufeff\ufffe\uffff]", escaped, json.dumps(raw, ensure_ascii=False))
    spec = parse_spec(written, folder=Path("a"))
    text = dump_spec(spec)
    again = parse_spec(text, folder=Path("b"))
    assert again == spec
    assert dump_spec(again) == text
    VALIDATOR.validate(yaml.safe_load(text))


def train_of(**keys: Any) -> TrainSpec:
    return TrainSpec.model_validate({"eta": 0.5, **keys})


def test_optimizers_are_those_of_the_engine_with_their_settings() -> None:
    assert list(models.OPTIMIZERS) == list(optimizers.OPTIMIZERS)
    for kind in models.OPTIMIZERS:
        train = train_of(optimizer=kind, weight_decay=0.25, decoupled_weight_decay=0.5)
        first, *_, last = optimizers.chain_of(kind, **train.optimizer_settings())
        assert (first.settings()["weight_decay"], last.settings()["weight_decay"]) == (0.25, 0.5)


def test_what_an_optimizer_has_in_train_is_its_own() -> None:
    train = train_of(momentum=0.75, nesterov=True)
    (link,) = optimizers.chain_of("sgd", **train.optimizer_settings())
    assert link == links.Momentum(0.75, nesterov=True)
    for kind, model in models.OPTIMIZERS.items():
        assert set(model.train_keys) <= set(TrainSpec.model_fields)
        dumped = train_of(optimizer=kind).model_dump()
        assert models.OPTIMIZER_KEYS.keys() & dumped.keys() == set(model.train_keys)


def test_schedules_are_those_of_the_engine() -> None:
    wanted: dict[str, tuple[dict[str, float], list[float]]] = {
        "constant": ({}, [1, 1, 1, 1, 1]),
        "step": ({"step_size": 2, "gamma": 0.5}, [1, 1, 0.5, 0.5, 0.25]),
        "exponential": ({"gamma": 0.5}, [1, 0.5, 0.25, 0.125, 0.0625]),
        "cosine": ({"eta_min": 0.5}, [0.75 + 0.25 * math.cos(math.pi * k / 5) for k in range(5)]),
        "linear": ({"start_factor": 0.5, "total_iters": 2}, [0.5, 0.75, 1, 1, 1]),
        "one_cycle": ({"pct_start": 0.6, "div_factor": 2}, [0.5, 0.75, 1, 0.500025, 5e-5]),
        "plateau": ({"patience": 3}, [1, 1, 1, 1, 1]),
    }
    assert list(SCHEDULES) == list(engine.SCHEDULES) == list(wanted)
    for kind, (keys, etas) in wanted.items():
        chosen = train_of(schedule={"type": kind, **keys}).schedule
        schedule = engine.SCHEDULES[kind](**chosen.settings(5))
        assert [schedule.eta(1, k) for k in range(1, 6)] == pytest.approx(etas, rel=1e-15)


@pytest.mark.parametrize(
    ("written", "padding"),
    [
        ("same_upper", "same_upper"),
        ("[[0, 1], [2, 3]]", ((0, 1), (2, 3))),
        ("[[0, 1], 2]", ((0, 1), (2, 2))),
        ("[1, 2]", (1, 2)),
    ],
)
def test_padding_on_each_side(written: str, padding: object) -> None:
    conv = f"{{type: conv, filters: 1, kernel: 2, padding: {written}}}"
    spec = parse_spec(SMALL.replace("network: [", f"network: [{conv}, "))
    assert spec.model_dump()["network"][0]["padding"] == padding
    assert parse_spec(dump_spec(spec)) == spec
