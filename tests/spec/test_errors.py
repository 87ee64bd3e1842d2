"""Each mistake gives one line that says where, what came, and what would be right."""

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from nncli.core.errors import SpecError
from nncli.core.text import join_words
from nncli.nn.activations import ACTIVATIONS, ELEMENTWISE
from nncli.spec import load_spec, parse_spec


def lines(text: Any, **options: Any) -> Any:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "f.yaml", **options)
    problems = caught.value.problems
    assert all("Input should" not in line and "pydantic" not in line for line in problems)
    assert str(caught.value) == "\n".join(problems)
    return list(problems)


def with_data(text: Any) -> tuple[str, str]:
    return (
        f"data: {{{text}}}\nnetwork: [{{type: dense, units: 1}}]\ntrain: {{eta: 1}}\n",
        "f.yaml:1:",
    )


def with_layer(text: Any, last: str = "{type: dense, units: 1}") -> tuple[str, str]:
    return (
        f"data: {{train: x}}\nnetwork:\n- {{{text}}}\n- {last}\ntrain: {{eta: 1}}\n",
        "f.yaml:3:",
    )


def with_train(text: Any) -> tuple[str, str]:
    return (
        f"data: {{train: x}}\nnetwork: [{{type: dense, units: 1}}]\ntrain: {{{text}}}\n",
        "f.yaml:3:",
    )


DATA = {
    "train: null": "15: data.train: expected a path or {inputs: ..., targets: ...}, got null",
    "train: ''": "15: data.train: expected a path, got an empty string",
    'train: "a\\0b"': "15: data.train: 'a\\x00b' holds a NUL character; take it out",
    "target: 1": "7: data.train: missing; write for example 'train: digits.csv'",
    "train: {inputs: [[1]]}": "15: data.train.targets: missing; write for example "
    "'targets: train-labels-idx1-ubyte.gz'",
    "train: {inputs: [1], targets: y}": "24: data.train.inputs: expected a path or a list of rows "
    "of numbers, got the list [1]",
    "train: {inputs: [[1, 2], [1]], targets: y}": "33: data.train.inputs[1]: expected 2 values, as "
    "in the first such list, got 1",
    "train: {inputs: [[1, 2], 3], targets: y}": "33: data.train.inputs[1]: expected a list, as its "
    "first neighbour is, got 3",
    "train: {inputs: [[1, .inf]], targets: y}": "29: data.train.inputs[0][1]: expected a finite "
    "number, got inf",
    "train: {inputs: [[1, true]], targets: y}": "29: data.train.inputs[0][1]: expected a finite "
    "number, got true",
    "train: {inputs: [[]], targets: y}": "25: data.train.inputs[0]: expected at least one value, "
    "got an empty list",
    "train: {inputs: [[1], [2]], targets: [a]}": "45: data.train.targets: expected 2 targets, one "
    "for each of the inputs, got 1",
    "train: {inputs: x, targets: [a, 1]}": "40: data.train.targets[1]: expected a string, as the "
    "first label is, got 1",
    "train: {inputs: x, targets: [1, a]}": "40: data.train.targets[1]: expected a finite number, "
    "got the string 'a'",
    "train: {inputs: x, targets: 5}": "36: data.train.targets: expected a path, a list of labels, "
    "or a list of rows of numbers, got 5",
    "train: x, validation: 1": "30: data.validation: expected a share between 0 and 1, a path, or "
    "{inputs: ..., targets: ...}, got 1",
    "train: x, target: [a, a]": "30: data.target[1]: the string 'a' is given twice; keep one",
    "train: x, target: 1.5": "26: data.target: expected a column's name or index, or a list of "
    "them, got 1.5",
    "train: x, classes: 1": "27: data.classes: expected at least 2 classes: their number, a list "
    "of names, or none, got 1",
    "train: x, classes: [1, 2]": "28: data.classes[0]: expected a name, got 1; put it in quotes",
    "train: x, header: yes": "26: data.header: expected true or false, got the string 'yes'",
    "train: x, scale: minmx": "25: data.scale: 'minmx' is not known; did you mean 'minmax'?",
    "train: x, separator: x": "29: data.separator: 'x' is not known; expected one of ',', ';', "
    "'|', tab or blank",
    "train: x, scale: 0": "25: data.scale: expected a positive number, minmax, standard or none, "
    "got 0",
    "train: x, shape: [8, 8]": "25: data.shape: expected [channels, rows, columns], three positive "
    "integers, got the list [8, 8]",
}
LAYERS = {
    "units: 3": "3: network[0].type: missing; expected one of dense, conv, maxpool, avgpool, "
    "global_avgpool, flatten, dropout or batchnorm",
    "type: dens, units: 3": "10: network[0].type: 'dens' is not known; did you mean 'dense'?",
    "type: fc": "10: network[0].type: 'fc' is not known; did you mean 'dense'?",
    "type: 3": "10: network[0].type: expected a word (dense, conv, maxpool, avgpool, "
    "global_avgpool, flatten, dropout, batchnorm), "
    "got 3",
    "type: dense": "3: network[0].units: missing; write for example 'units: 10'",
    "type: dense, units: '30'": "24: network[0].units: expected a positive integer, got the string "
    "'30'",
    "type: dense, units: 30.0": "24: network[0].units: expected a positive integer, got 30.0",
    "type: dense, units: true": "24: network[0].units: expected a positive integer, got true",
    "type: dense, units: 0": "24: network[0].units: expected a positive integer, got 0",
    "type: dense, units: 2000000000": "24: network[0].units: 2000000000 is too large; the most is "
    "1000000000",
    "type: dense, units: 1, neurons: 1": "27: network[0].neurons: unknown key 'neurons'; did you "
    "mean 'units'?",
    "type: dense, units: 1, activation: sigmod": "39: network[0].activation: 'sigmod' is not "
    "known; did you mean 'sigmoid'?",
    "type: dense, units: 1, activation: swish": "39: network[0].activation: 'swish' is not known; "
    f"expected one of {join_words(ACTIVATIONS)}",
    "type: dense, units: 1, activation: softmax": "39: network[0].activation: softmax belongs in "
    f"the last layer; use {join_words(ELEMENTWISE)} here",
    "type: dense, units: 1, init: xavier": "33: network[0].init: 'xavier' is not known; did you "
    "mean 'xavier_normal'?",
    "type: dense, units: 2, bias: [1]": "33: network[0].bias: expected 2 numbers, one for each "
    "unit, got 1",
    "type: conv, filters: 4, kernel: 1, groups: 3": "47: network[0].groups: 4 filters cannot be "
    "parted into 3 equal groups; expected a divisor of 4",
    "type: dense, units: 2, bias: 1": "33: network[0].bias: expected true, false, a list of "
    "numbers, or a path, got 1",
    "type: dense, units: 2, weights: [[1]]": "36: network[0].weights: expected 2 columns, one for "
    "each unit, got 1",
    "type: dense, units: 1, weights: [1]": "36: network[0].weights: expected a path, or a list of "
    "rows with a number for each unit, got the list [1]",
    "type: conv, filters: 1": "3: network[0].kernel: missing; write for example 'kernel: 3'",
    "type: conv, filters: 1, kernel: [3]": "36: network[0].kernel: expected a positive integer or "
    "[rows, columns], got the list [3]",
    "type: conv, filters: 1, kernel: 3, padding: sane": "48: network[0].padding: 'sane' is not "
    "known; did you mean 'same'?",
    "type: conv, filters: 1, kernel: 3, padding: -1": "48: network[0].padding: expected valid, "
    "same, same_upper, an integer that is not negative or [rows, columns], got -1",
    "type: conv, filters: 1, kernel: 1, weights: [[[[1, 2]]]]": "48: network[0].weights: expected "
    "1 filter of 1 x 1, got 1 filter of 1 x 2",
    "type: conv, filters: 2, kernel: 1, bias: [1]": "45: network[0].bias: expected 2 numbers, one "
    "for each filter, got 1",
    "type: maxpool, size: 0": "25: network[0].size: expected a positive integer or [rows, "
    "columns], got 0",
    "type: flatten, size: 2": "19: network[0].size: unknown key 'size'; only type is possible here",
}
TRAIN = {
    "epochs: 3": "8: train.eta: missing; write for example 'eta: 0.5'",
    "lr: 3, eta: 1": "9: train.lr: unknown key 'lr'; did you mean 'eta'?",
    "eta: 1, epoch: 3": "17: train.epoch: unknown key 'epoch'; did you mean 'epochs'?",
    "eta: 1, η: 3": "17: train.η: eta is given too; keep one of them",
    "eta: 0": "14: train.eta: expected a positive number, got 0",
    "eta: .nan": "14: train.eta: expected a positive number, got nan",
    "η: '3'": "12: train.eta: expected a positive number, got the string '3'",
    "eta: 1e999": "14: train.eta: expected a positive number, got inf",
    "eta: true": "14: train.eta: expected a positive number, got true",
    "eta: 1, epochs: 1.5": "25: train.epochs: expected a positive integer, got 1.5",
    "eta: 1, cost: cross-entropy": "23: train.cost: 'cross-entropy' is not known; did you mean "
    "'cross_entropy'?",
    "eta: 1, momentum: 1": "27: train.momentum: expected a number from 0 up to, but not including, "
    "1, got 1",
    "eta: 1, weight_decay: -1": "31: train.weight_decay: expected a number that is not negative, "
    "got -1",
    "eta: 1, shuffle: 1": "26: train.shuffle: expected true, false or blocks, got 1",
    "eta: 1, threads: 0": "26: train.threads: expected auto or a positive integer, got 0",
    "eta: 1, threads: atuo": "26: train.threads: 'atuo' is not known; did you mean 'auto'?",
    "eta: 1, threads: 1000": "26: train.threads: 1000 is too large; the most is 256",
    "eta: 1, schedule: cosine": "27: train.schedule: expected a mapping such as {type: cosine, "
    "...}, got the word 'cosine'",
    "eta: 1, schedule: cosin": "27: train.schedule: 'cosin' is not known; did you mean 'cosine'?",
    "eta: 1, schedule: {type: step}": "27: train.schedule.step_size: missing; write for example "
    "'step_size: 10'",
    "eta: 1, schedule: {type: exponential, gamma: 2}": "54: train.schedule.gamma: expected a "
    "number above 0 and at most 1, got 2",
    "eta: 1, schedule: {type: cosine, t_max: 0}": "49: train.schedule.t_max: expected a positive "
    "integer, got 0",
}
CASES = (
    [(with_data(text), line) for text, line in DATA.items()]
    + [(with_layer(text), line) for text, line in LAYERS.items()]
    + [(with_train(text), line) for text, line in TRAIN.items()]
)


@pytest.mark.parametrize(("case", "line"), CASES, ids=[line for _, line in CASES])
def test_one_mistake_is_one_line(case: Any, line: Any) -> None:
    text, start = case
    assert lines(text) == [start + line]


def test_the_network_must_end_in_a_dense_layer() -> None:
    text, _ = with_layer("type: conv, filters: 1, kernel: 3", last="{type: maxpool, size: 2}")
    assert lines(text) == [
        "f.yaml:4:3: network[1]: the network ends in a maxpool layer; add a dense layer with a "
        "unit for each output, such as {type: dense, units: 10}"
    ]


@pytest.mark.parametrize("first", ["type: dense, units: 3", "type: flatten"])
def test_images_come_before_vectors(first: str) -> None:
    text, _ = with_layer(first, last="{type: avgpool, size: 2}\n- {type: dense, units: 1}")
    kind = first.split(",")[0].removeprefix("type: ")
    assert lines(text) == [
        "f.yaml:4:3: network[1]: an avgpool layer cannot follow the "
        f"{kind} layer network[0]; put it before"
    ]


def test_softmax_needs_cross_entropy() -> None:
    text, _ = with_layer("type: flatten", last="{type: dense, units: 3, activation: softmax}")
    assert lines(text) == [
        "f.yaml:4:39: network[1].activation: softmax goes with cost cross_entropy, and cost is "
        "quadratic; set train.cost to cross_entropy, or use sigmoid here"
    ]
    parse_spec(text, overrides=["train.cost=cross_entropy"])


def test_cross_entropy_needs_sigmoid_or_softmax() -> None:
    text, _ = with_layer("type: flatten", last="{type: dense, units: 3, activation: relu}")
    text = text.replace("eta: 1", "eta: 1, cost: cross_entropy")
    assert lines(text) == [
        "f.yaml:5:23: train.cost: cross_entropy needs sigmoid or softmax in the last layer, not "
        "relu; change network[1].activation"
    ]


MANY = """\
sed: 3
data:
  train: {inputs: [[0, 0], [0, 1, 2]], targts: [1]}
  validation: 1.5
network:
  - {type: conv, filters: '8', kernel: 3}
  - 7
  - {type: dense, units: 1, activation: softmax}
train:
  cost: crossentropy
  momentum: 1
"""


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    assert lines(MANY, overrides=["train.epochs=x", "network[9].units=1"]) == [
        "f.yaml:1:1: sed: unknown key 'sed'; did you mean 'seed'?",
        "f.yaml:3:10: data.train.targets: missing; write for example "
        "'targets: train-labels-idx1-ubyte.gz'",
        "f.yaml:3:28: data.train.inputs[1]: expected 2 values, as in the first such list, got 3",
        "f.yaml:3:40: data.train.targts: unknown key 'targts'; did you mean 'targets'?",
        "f.yaml:4:15: data.validation: expected a share between 0 and 1, a path, or "
        "{inputs: ..., targets: ...}, got 1.5",
        "f.yaml:6:27: network[0].filters: expected a positive integer, got the string '8'",
        "f.yaml:7:5: network[1]: expected a mapping such as {type: dense, units: 10}, got 7",
        "f.yaml:10:3: train.eta: missing; write for example 'eta: 0.5'",
        "f.yaml:10:9: train.cost: 'crossentropy' is not known; did you mean 'cross_entropy'?",
        "f.yaml:11:13: train.momentum: expected a number from 0 up to, but not including, 1, got 1",
        "--set network[9].units=1: network has 3 entries, [0] to [2]",
        "--set train.epochs=x: train.epochs: expected a positive integer, got the string 'x'",
    ]


def test_empty_sections() -> None:
    assert lines("name: x\ndata:\nnetwork: []\ntrain: 3\n") == [
        "f.yaml:2:6: data: expected a mapping of keys (train, validation, test, target, classes, "
        "class_weights, header, separator, decimal, thousands, comment, encoding, ignore, "
        "columns, scale, target_scale, shape), got null",
        "f.yaml:3:10: network: expected a list of layers such as [{type: dense, units: 10}], got "
        "an empty list",
        "f.yaml:4:8: train: expected a mapping of keys (eta, epochs, batch_size, cost, optimizer, "
        "momentum, nesterov, weight_decay, decoupled_weight_decay, decay_biases, l1, clip, "
        "shuffle, threads, micro_batches, schedule, early_stop, init_from, weights_layout), "
        "got 3",
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a/b", "holds '/', so it"),
        ("a\\b", "holds '\\', so it"),
        ("[red]x[/red]", "holds '/', so it"),
        ("..", "is a folder already and"),
    ],
)
def test_a_name_cannot_lead_out_of_the_runs_folder_and_is_told_why(name: str, why: str) -> None:
    text, _ = with_train("eta: 1")
    assert lines(f"{text}name: '{name}'") == [
        f"f.yaml:4:7: name: '{name}' {why} cannot be the name of a run folder; use a short plain "
        "word"
    ]


@pytest.mark.parametrize(
    ("name", "why"), [("x" * 101, "is longer than 100 characters"), ("a\\nb", "holds a control")]
)
def test_a_name_that_is_too_long_or_not_printable_is_told_why(name: str, why: str) -> None:
    text, _ = with_train("eta: 1")
    (line,) = lines(f'{text}name: "{name}"')
    assert why in line


@pytest.mark.parametrize(
    ("written", "read"),
    [('"0.2"', "0.2"), ("20%", "20%"), ("20 %", "20 %"), ("'0,2'", "0,2"), ("'1e-1'", "1e-1")],
)
def test_a_share_in_quotes_or_percent_is_no_path(written: str, read: str) -> None:
    text, _ = with_data(f"train: x, validation: {written}")
    assert lines(text) == [
        "f.yaml:1:30: data.validation: expected a share between 0 and 1 (written without quotes), "
        f"a path, or {{inputs: ..., targets: ...}}, got the string '{read}'"
    ]


@pytest.mark.parametrize("path", ["0.csv", "./0.2", "2024/01", "data/1", "20-ubyte", "e5"])
def test_a_path_that_begins_like_a_share_stays_a_path(path: str) -> None:
    text = with_data(f"train: x, validation: {path}")[0]
    assert parse_spec(text).data.validation == path


@pytest.mark.parametrize(
    ("word", "truth"),
    [("no", "false"), ("Off", "false"), ("yes", "true"), ("'false'", "false without quotes")],
)
def test_a_bias_of_no_is_no_path(word: str, truth: str) -> None:
    text, _ = with_layer(f"type: dense, units: 1, bias: {word}")
    bare = word.strip("'")
    assert lines(text) == [
        f"f.yaml:3:33: network[0].bias: YAML 1.2 reads '{bare}' as a word; write {truth}"
    ]


def test_classes_beyond_a_hundred_thousand_are_refused() -> None:
    text, _ = with_data("train: x, classes: 20000000")
    assert lines(text) == [
        "f.yaml:1:27: data.classes: expected at most 100000 classes, got 20000000"
    ]
    parse_spec(text.replace("20000000", "100000"))


@pytest.mark.parametrize("number", ["1e-400", "-0.001E-999", ".1e-330"])
def test_a_number_that_is_too_small_is_not_shown_as_zero(number: str) -> None:
    text, _ = with_data(f"train: x, scale: {number}")
    told = f"{number} is too small for a number; the smallest is 5e-324"
    assert lines(text) == [f"f.yaml:1:25: data.scale: {told}"]
    text, _ = with_train(f"eta: {number}")
    assert lines(text) == [f"f.yaml:3:14: train.eta: {told}"]


def test_zero_is_not_too_small() -> None:
    text, _ = with_train("eta: 1, momentum: 0.0e-400")
    assert parse_spec(text).train.momentum == 0


def test_no_more_than_a_hundred_lines() -> None:
    layer = ", ".join(f"k{i}: 1" for i in range(40))
    text, _ = with_layer("}\n- {".join([f"type: dense, units: 1, {layer}"] * 3))
    found = lines(text)
    assert len(found) == 101
    assert found[-1] == "f.yaml: and 20 more problems"


def refusal(path: Any) -> Any:
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    return caught.value.problems


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal("no.yaml") == ("no.yaml: there is no such file; check the path",)
    assert refusal(tmp_path) == (f"{tmp_path}: this is a folder; name the spec file in it",)
    Path("latin.yaml").write_bytes("a: 1\nb: née".encode("latin-1"))
    assert refusal("latin.yaml") == (
        "latin.yaml:2:5: not UTF-8 text (byte 0xe9); save the file as UTF-8",
    )
    with Path("large.yaml").open("wb") as file:
        file.truncate(65 * 2**20)
    assert refusal("large.yaml") == (
        "large.yaml: the file is larger than 16 MiB; put data in a file apart",
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "locked.yaml"
    path.touch(mode=0)
    assert refusal(path) == (f"{path}: the file may not be read; check its permissions",)


def test_a_pipe_whose_other_end_nobody_holds_is_empty_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.yaml")
    with pytest.raises(SpecError, match=r"net\.yaml:1:1: the file is empty"):
        load_spec(tmp_path / "net.yaml")


def test_a_spec_may_come_from_a_pipe(tmp_path: Path) -> None:
    text = "data: {train: x.csv}\nnetwork: [{type: dense, units: 1}]\ntrain: {eta: 1}\n"
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(text)
    try:
        assert load_spec(f"/dev/fd/{reading}").train.eta == 1
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            "{eta: 1, nesterov: true}",
            "f.yaml:4:27: train.nesterov: nesterov needs momentum; set train.momentum too, 0.9 say",
        ),
        (
            "{eta: 1, optimizer: sdg}",
            "f.yaml:4:28: train.optimizer.type: 'sdg' is not known",
        ),
        (
            "{eta: 1, optimizer: {type: sgd, momentum: 0.9}}",
            "f.yaml:4:40: train.optimizer.momentum: unknown key",
        ),
        (
            "{eta: 1, momentum: 0, optimizer: adam}",
            "f.yaml:4:17: train.momentum: 'momentum' belongs to sgd, and the optimizer is adam",
        ),
        (
            "{eta: 1, optimizer: {type: adam, beta2: 1}}",
            "f.yaml:4:48: train.optimizer.beta2: expected a number from 0 up to, but not",
        ),
        (
            "{eta: 1, decoupled_weight_decay: -1}",
            "f.yaml:4:41: train.decoupled_weight_decay: expected a number that is not negative",
        ),
    ],
    ids=["nesterov", "unknown", "key", "momentum", "beta", "decay"],
)
def test_optimizers(train: str, message: str) -> None:
    found = lines(
        f"name: x\ndata: {{train: x.csv}}\nnetwork: [{{type: dense, units: 1}}]\ntrain: {train}\n"
    )
    assert len(found) == 1
    assert found[0].startswith(message)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("type: conv, filters: 1, kernel: 3, stride: {}", "stride"),
        ("type: conv, filters: 1, kernel: [3, {}]", "kernel[1]"),
        ("type: conv, filters: 1, kernel: 3, padding: {}", "padding"),
        ("type: conv, filters: 1, kernel: 3, dilation: [{}, 1]", "dilation[0]"),
        ("type: maxpool, size: {}", "size"),
    ],
)
@pytest.mark.parametrize("size", [10**18, 10**9 + 1])
def test_a_size_that_is_too_large_is_told_the_limit(text: str, path: str, size: int) -> None:
    (told,) = lines(with_layer(text.format(size))[0])
    assert told.endswith(f"network[0].{path}: {size} is too large; the most is 1000000000")


def test_a_shape_that_is_too_large_is_told_the_limit() -> None:
    (told,) = lines(with_data(f"train: x, shape: [1, 1, {10**18}]")[0])
    assert told.endswith(f"data.shape[2]: {10**18} is too large; the most is 1000000000")


def test_a_key_with_letters_that_only_look_like_latin_ones_is_named() -> None:
    """Else one reads that 'train' is unknown, and did you mean 'train'."""
    told = lines("dаta: {train: x}\nnetwork: [{type: dense, units: 1}]\ntrain: {eta: 1}\n")
    alike = "unknown key 'dаta' (its 'а' is U+0430, CYRILLIC SMALL LETTER A); did you mean 'data'?"
    assert f"f.yaml:1:1: dаta: {alike}" in told
    told = lines(with_train("etа: 1")[0])
    assert any("(its 'а' is U+0430" in line and "did you mean 'eta'?" in line for line in told)
    told = lines(with_layer("tуpe: dense, units: 3")[0])
    assert any(
        "network[0].type: missing" in line
        and "'tуpe' (its 'у' is U+0443, CYRILLIC SMALL LETTER U) is another key" in line
        for line in told
    )
    told = lines(with_layer("type: dense, units: 3, activation: tаnh")[0])
    assert any("'tаnh' (its 'а' is U+0430" in line and "mean 'tanh'?" in line for line in told)


def test_letters_of_their_own_are_not_explained() -> None:
    (told,) = lines(with_train("eta: 1, größe: 2")[0])
    assert "unknown key 'größe'; expected one of" in told


def test_a_spec_that_is_gzip_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(gzip.compress(b"data: {}"))
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert caught.value.problems == (
        f"{path}: the file is gzipped; unpack it first, as gunzip does",
    )
