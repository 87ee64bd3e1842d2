"""expect and break in a spec: what they take, what is refused and where, how they are dumped."""

from typing import Any

import pytest

from nncli.core.errors import SpecError
from nncli.core.expressions import names
from nncli.nn.quantities import LAYER_ARRAYS, LAYER_NUMBERS, OF_TRAINING
from nncli.spec import Spec, dump_spec, load_spec, parse_spec
from nncli.spec.conditions import PRESETS
from nncli.spec.schema import schema
from tests.conftest import CONFIGS

SPEC = """\
data: {train: x.csv, shape: [1, 4, 4], validation: 0.2}
network:
  - {type: conv, filters: 2, kernel: 3, activation: relu}
  - {type: maxpool, size: 2}
  - {type: dense, units: 4, bias: false}
  - {type: dense, units: 3, activation: softmax}
train: {eta: 1, cost: cross_entropy}
"""


def spec_of(text: str) -> Spec:
    return parse_spec(f"{SPEC}{text}", "f.yaml")


def problems(text: str, before: str = SPEC) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(f"{before}{text}", "f.yaml")
    return list(caught.value.problems)


def test_the_short_forms_and_the_long_one() -> None:
    spec = spec_of(
        "expect: cost < 1\n"
        "break:\n- cost > 2\n- {that: all.dead == 1, after: 5, for: 3, every: 2, do: page}\n"
    )
    (expect,) = spec.expect
    assert (expect.that, expect.at, expect.do) == ("cost < 1", "step", ("warn",))
    short, long = spec.breaks
    assert (short.that, short.do) == ("cost > 2", ("stop", "trace"))
    assert (long.after, long.for_, long.every, long.do) == (5, 3, 2, ("page",))
    assert spec_of("").expect == ()


def test_a_condition_on_epochs_is_looked_at_at_their_end() -> None:
    spec = spec_of("expect: [validation_accuracy > 0.9, {that: train_cost < 1, at: end}, eta < 9]")
    assert [entry.at for entry in spec.expect] == ["epoch", "end", "step"]


def test_words_for_layers_become_layers() -> None:
    def bound(text: str) -> str:
        (condition,) = spec_of(f"expect: ['{text}']").conditions()
        return str(condition.tree)

    assert bound("all.saturated < 1") == "(conv1.saturated < 1) and (dense1.saturated < 1)"
    assert bound("any.dead == 1") == "(conv1.dead == 1) or (dense1.dead == 1)"
    assert bound("hidden.delta_norm > 0") == "(conv1.delta_norm > 0) and (dense1.delta_norm > 0)"
    assert bound("last.delta_norm > first.z_norm or cost < 1".replace("z_norm", "delta_norm")) == (
        "(dense2.delta_norm > conv1.delta_norm) or (cost < 1)"
    )
    # One comparison, one layer.
    assert bound("all.weight_update_norm < all.weight_norm and cost < 1").count(" and ") == 3
    assert bound("all.bias_gradient_norm < 1").count("_norm") == 2  # dense1 has no bias


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "expect: dense1.delta_nrm > 1",
            "8:16: expect[0]: dense1 has no quantity 'delta_nrm'; did",
        ),
        ("expect: [ dens1.delta_norm > 1]", "8:11: expect[0]: there is no layer 'dens1'; did you"),
        ('expect: ["dense1.delta > 1"]', "8:11: expect[0]: 'dense1.delta' is an array, which does"),
        (
            "expect: {that: max(maxpool1.sigma_prime) < 1}",
            "8:29: expect[0].that: maxpool1 has no 'si",
        ),
        ("expect:\n- cost < 1\n- cost < 1 and foo > 2", "10:16: expect[1]: there is no quantity"),
        (
            "expect: cost",
            "8:9: expect[0]: 'cost' is a number, no condition; compare it, as cost < 1",
        ),
        ("expect: cost and cost < 1", "8:9: expect[0]: 'cost' is a number, no condition; compare"),
        (
            "expect: abs(cost < 1) < 2",
            "8:9: expect[0]: abs takes a number or an array; 'cost < 1' is",
        ),
        ("expect: (cost < 1) + 1 < 2", "8:10: expect[0]: 'cost < 1' is a condition, no number to"),
        (
            "expect: cost < (eta < 2)",
            "8:17: expect[0]: 'eta < 2' is a condition by itself; join it",
        ),
        (
            "expect: mx(dense1.a) < 1",
            "8:9: expect[0]: there is no function 'mx'; did you mean 'max'?",
        ),
        (
            "expect: mean(cost) < 1",
            "8:9: expect[0]: mean takes an array, as dense1.delta; 'cost' is",
        ),
        ("expect: max() < 1", "8:9: expect[0]: max takes an array, as dense1.delta, or several"),
        (
            "expect: norm(dense1.a + dense1.z) < 1",
            "8:14: expect[0]: two arrays cannot be combined by",
        ),
        (
            "expect: dense1 > 1",
            "8:9: expect[0]: 'dense1' is no quantity; write dense1.delta_norm",
        ),
        (
            "expect: delta_norm > 1",
            "8:9: expect[0]: 'delta_norm' is of a layer: write all.delta_norm",
        ),
        ("expect: dense1.cost > 1", "8:16: expect[0]: 'cost' is of the training: write cost alone"),
        (
            "expect: dense1.bias_gradient_norm > 1",
            "8:16: expect[0]: dense1 has no 'bias_gradient_n",
        ),
        (
            "expect: dense2.upstream_norm > 1",
            "8:16: expect[0]: dense2 has no 'upstream_norm'; what",
        ),
        (
            "expect: all.ded < 1",
            "8:13: expect[0]: there is no quantity 'ded' of a layer; did you",
        ),
        ("expect: all.mask < 1", "8:9: expect[0]: no layer of this network has 'mask'"),
        ("expect: all.dead < any.dead", "8:20: expect[0]: 'any' and 'all' in one comparison"),
        (
            "expect: train_accuracy > 1",
            "8:9: expect[0]: with data held back there is validation_ac",
        ),
        ("expect: cost < 1 &", "8:18: expect[0]: '&'; write and"),
        ("expect: {that: cost < 1, afer: 3}", "8:26: expect[0].afer: unknown key 'afer'; did you"),
        ("expect: {after: 3}", "missing; write for example 'that: all.delta_norm > 1e-6'"),
        ("expect: {that: cost < 1, do: wran}", "8:30: expect[0].do: 'wran' is not known; did"),
        ("expect: {that: cost < 1, do: [stop, 3]}", "expected a word (warn, stop, trace, page)"),
        ("expect: {that: cost < 1, for: 0}", "8:31: expect[0].for: expected a positive integer"),
        ("expect: {that: cost < 1, after: -1}", "expected an integer that is not negative"),
        ("expect: {that: 3}", "8:16: expect[0].that: expected a condition such as all.delta_norm"),
        ("expect: 3", "8:9: expect: expected a condition such as all.delta_norm > 1e-6, or a list"),
        ("expect: [3]", "8:10: expect[0]: expected a condition such as all.delta_norm > 1e-6, or"),
        (
            "expect: helthy",
            "8:9: expect[0]: there is no quantity 'helthy'; did you mean 'healthy'?",
        ),
        ("expect: {that: healthy, for: 3}", "8:25: expect[0].for: the preset healthy has times of"),
        (
            "break: healthy",
            "8:8: break[0]: healthy is for expect; name what the training is to stop",
        ),
        ("break: {that: cost < 1, at: end}", "8:29: break[0].at: at the end there is nothing left"),
        (
            "expect: {that: cost < 1, at: end, for: 2}",
            "8:35: expect[0].for: a condition at the end",
        ),
        (
            "expect: {that: train_cost < 1, at: step}",
            "8:16: expect[0].that: train_cost is there at",
        ),
        ("expct: [cost < 1]", "8:1: expct: unknown key 'expct'; did you mean 'expect'?"),
    ],
)
def test_what_is_refused(text: str, expected: str) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert expected in found[0]
    assert found[0].startswith("f.yaml:8:") or "\n" in text


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    found = problems("expect:\n- dens.a > 1\n- all.dead < 1\n- mx(3) > foo\nbreak: cost <\n")
    assert [line.split(": ")[0] for line in found] == [
        "f.yaml:9:3",
        "f.yaml:11:3",
        "f.yaml:11:11",
        "f.yaml:12:14",
    ]


def test_a_text_over_several_lines_is_blamed_as_a_whole() -> None:
    (line,) = problems("expect:\n- cost < 1 and\n  foo > 2\n")
    assert line.startswith("f.yaml:9:3: expect[0]: there is no quantity 'foo'")
    (line,) = problems("expect: ['''x'' > 1']\n")
    assert line.startswith("f.yaml:8:10: expect[0]: ")


def test_validation_is_asked_for_where_none_is_held_back() -> None:
    (line,) = problems("expect: validation_cost < 1\n", SPEC.replace(", validation: 0.2", ""))
    assert line.endswith("no data are held back (data.validation); write train_cost_after")


def test_a_mistake_set_on_the_command_line_names_it() -> None:
    with pytest.raises(SpecError, match=r"--set expect=cots < 1: expect\[0\]: there is no"):
        parse_spec(SPEC, "f.yaml", overrides=["expect=cots < 1"])


def test_a_dumped_spec_reads_back_as_an_equal_one() -> None:
    text = (
        "expect:\n- healthy\n- {that: 'all.dead < 1', after: 3, for: 2, do: [trace, stop]}\n"
        "- validation_accuracy > 0.5\n- {that: train_cost < 1, at: end}\nbreak: cost > 9\n"
    )
    spec = spec_of(text)
    again = parse_spec(dump_spec(spec), "f.yaml")
    assert again == spec
    assert again.conditions() == spec.conditions()
    assert "expect:" not in dump_spec(spec_of(""))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_made_of_conditions_that_a_network_has(preset: str) -> None:
    conditions = spec_of(f"expect: {{that: {preset}, do: stop}}").conditions()
    assert len(conditions) == len(PRESETS[preset].conditions)
    assert {condition.entry.do for condition in conditions} == {("stop",)}
    alone = SPEC[: SPEC.index("network")] + (
        "network: [{type: dense, units: 3}]\ntrain: {eta: 1}\nexpect: healthy\n"
    )
    few = parse_spec(alone).conditions()  # what is of hidden layers is left out
    assert 0 < len(few) < len(conditions)
    assert not any("hidden" in condition.that for condition in few)


def test_every_quantity_can_be_named() -> None:
    """On a network that has all of them."""
    text = """\
data: {train: x.csv, shape: [1, 4, 4]}
network:
  - {type: conv, filters: 2, kernel: 3}
  - {type: batchnorm}
  - {type: dropout}
  - {type: dense, units: 3}
train: {eta: 1}
expect:
"""
    numbers = [f"first.{row.key} < 1" for row in LAYER_NUMBERS]
    arrays = [f"max(first.{row.key}) < 1" for row in LAYER_ARRAYS]
    training = [f"{key} < 1" for key in OF_TRAINING if not key.startswith("validation")]
    lines = [f"- {line}\n" for line in (*numbers, *arrays, *training)]
    conditions = parse_spec(text + "".join(lines)).conditions()
    assert all(name.layer != "first" for c in conditions for name in names(c.tree))


def test_the_schema_has_them() -> None:
    made: dict[str, Any] = schema()
    assert {"expect", "break"} <= made["properties"].keys()
    assert {"that", "after", "for", "every", "at", "do"} == (
        made["$defs"]["ExpectSpec"]["properties"].keys()
    )


def test_shipped_configs_have_an_origin_for_them() -> None:
    spec = load_spec(CONFIGS / "iris.yaml", ["expect=[cost < 9]"])
    assert spec.origin("expect[0].that").kind == "set"
