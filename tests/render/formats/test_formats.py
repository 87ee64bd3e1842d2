"""Every format from the same record."""

import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.inspection.findings import why
from nncli.inspection.record import inspect
from nncli.render.document import Document
from nncli.render.formats import FORMATS, DocumentFormat, suffixes, write
from nncli.render.notation import TERMS
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import LENET
from tests.render.reading import checked_lenet, document_of

ODD = '<script>alert(1)</script> [red]x[/red] :smile: & "q" \x1b[31m |'


def odd() -> Document:
    return document_of(replace(spec_trace("two-two-two"), name=ODD))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_of_every_kind_of_layer(format: Any) -> None:
    made = write(format, document_of(checked_lenet()))
    assert isinstance(made, bytes)
    assert len(made) > 1000


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"npz"}))
def test_formats_are_the_same_each_time(format: Any) -> None:
    trace = spec_trace("two-two-two")
    # rich names an SVG's classes by what is in it.
    assert write(format, document_of(trace)) == write(format, document_of(trace))


@pytest.mark.parametrize("format", ["table", "svg", "html"])
def test_a_name_is_only_text(format: Any) -> None:
    text = write(format, odd()).decode()
    assert "\x1b" not in text
    if format == "table":
        assert ODD.replace("\x1b", "\\x1b") in text.replace("\n", " ")
        return
    assert text.lower().count("<script") == (2 if format == "html" else 0)  # record and code
    assert "<script>alert" not in text.lower()
    assert "&lt;script&gt;" in text
    assert "[red]" in text
    assert ":smile:" in text


def test_svg_is_xml_and_holds_the_numbers() -> None:
    root = ET.fromstring(write("svg", odd()).decode())
    assert root.tag.endswith("svg")
    text = "".join(root.itertext()).replace("\xa0", " ")
    assert "0.298371" in text
    assert '<script>alert(1)</script> [red]x[/red] :smile: & "q" \\x1b[31m |' in text


def test_html_holds_the_numbers() -> None:
    text = write("html", odd()).decode()
    assert text.count("<body") == text.count("</body>") == 1
    assert "0.2983711088" in text
    assert "ΔW" in text


# --- Arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_npz_holds_every_array_bit_for_bit(dtype: Any) -> None:
    trace = trace_of(LENET, dtype, momentum=0.5)
    with np.load(io.BytesIO(write("npz", document_of(trace))), allow_pickle=False) as file:
        names = {"inputs", "targets", "samples", "cost"}
        for layer in trace.layers:
            for term in TERMS:
                array, name = layer.quantity(term.key), f"{layer.name}.{term.key}"
                assert (name in file) == (array is not None)
                if array is not None:
                    names.add(name)
                    assert file[name].dtype == dtype
                    assert np.array_equal(file[name], array)
            for key, vectors in layer.optimizer.items():
                for vector, array in vectors.items():
                    names.add(f"{layer.name}.{key}.{vector}")
                    assert np.array_equal(file[f"{layer.name}.{key}.{vector}"], array)
        assert {"dense1.weight.velocity", "dense1.weight.velocity_before"} <= names
        assert set(file) == names
        assert np.array_equal(file["inputs"], trace.inputs)
        assert np.array_equal(file["cost"], [trace.cost_before, trace.cost_after])
        assert file["samples"].tolist() == list(trace.samples)


# --- JSON ----------------------------------------------------------------------------------------

TOP = [
    *("schema", "name", "eta", "momentum", "weight_decay", "optimizer", "dtype"),
    *("batch_size", "samples", "cost", "inputs", "targets", "layers", "overflow", "check"),
]
LAYER = [
    "name",
    "type",
    "activation",
    "hyperparameters",
    *(term.key for term in TERMS),
    "optimizer",
]


def as_json(document: Document) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(write("json", document), parse_constant=pytest.fail)
    return record


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_json_holds_every_array_to_the_last_digit(dtype: Any) -> None:
    trace = trace_of(LENET, dtype, momentum=0.5, weight_decay=0.1)
    record = as_json(document_of(inspect(trace)))
    assert list(record) == TOP
    assert record["schema"] == "nncli.trace/1"
    assert record["samples"] == list(trace.samples)
    assert record["batch_size"] == len(trace.samples)
    assert (record["eta"], record["momentum"], record["weight_decay"]) == (0.5, 0.5, 0.1)
    assert record["dtype"] == np.dtype(dtype).name
    before, after = trace.cost_before, trace.cost_after
    assert record["cost"] == {"name": "cross_entropy", "before": before, "after": after}
    assert np.array_equal(np.array(record["inputs"], dtype), trace.inputs)
    assert np.array_equal(np.array(record["targets"], dtype), trace.targets)
    for made, layer in zip(record["layers"], trace.layers, strict=True):
        assert list(made) == LAYER
        assert (made["name"], made["type"]) == (layer.name, layer.type)
        assert made["activation"] == layer.activation
        for term in TERMS:
            array = layer.quantity(term.key)
            if array is None:
                assert made[term.key] is None
            else:
                assert np.array_equal(np.array(made[term.key], dtype), array)
        assert made["optimizer"].keys() == layer.optimizer.keys()
        for key, vectors in layer.optimizer.items():
            assert {"velocity", "velocity_before", "decayed_gradient"} == vectors.keys()
            for name, array in vectors.items():
                assert np.array_equal(np.array(made["optimizer"][key][name], dtype), array)


def test_json_of_a_check() -> None:
    check, made = checked_lenet().check, as_json(document_of(checked_lenet()))["check"]
    assert check is not None
    assert (made["method"], made["passed"]) == ("complex step", True)
    assert made["max_relative_error"] == check.max_relative_error
    for tensor, line in zip(check.tensors, made["gradients"], strict=True):
        assert (line["layer"], line["quantity"]) == (tensor.layer, tensor.quantity)
        assert line["entries"] == tensor.size
        assert line["max_relative_error"] == tensor.max_relative_error


def test_json_without_a_check_and_with_a_reason() -> None:
    trace = spec_trace("digits-mlp", samples=(3, 5))
    reason = why(trace, trace.layers[1], (3, 7))
    record = as_json(document_of(trace, why=reason))
    assert record["check"] is None
    assert list(record) == [*TOP, "why"]
    assert record["why"]["layer"] == "dense2"
    assert record["why"]["weight"] == [3, 7]
    assert record["why"]["total"] == reason.total
    assert [c["sample"] for c in record["why"]["contributions"]] == [
        c.sample for c in reason.contributions
    ]


def test_json_has_no_number_for_what_is_infinite() -> None:
    trace = spec_trace("two-two-two")
    layer = replace(trace.layers[1], upstream=np.array([[np.inf, np.nan]]))
    record = as_json(document_of(replace(trace, layers=(trace.layers[0], layer))))
    assert record["layers"][1]["upstream"] == [[None, None]]


def test_what_a_layers_arrays_do_not_tell_is_in_its_hyperparameters() -> None:
    layers = as_json(document_of(trace_of(LENET)))["layers"]
    assert layers[0]["hyperparameters"] == {
        "kernel": [3, 3],
        "stride": [1, 1],
        "padding": "same",
        "dilation": [1, 1],
        "groups": 1,
        "padding_mode": "zeros",
    }
    assert layers[1]["hyperparameters"] == {
        "size": [2, 2],
        "stride": [2, 2],
        "padding": "valid",
        "ceil_mode": False,
        "count_include_pad": True,
    }
    assert layers[-1]["hyperparameters"] == {}


# --- Which formats there are ----------------------------------------------------------------------


def test_each_format_has_its_suffix() -> None:
    assert {"table", "json", "markdown", "latex", "npz", "svg", "html"} <= set(FORMATS)
    # Both are LaTeX's .tex.
    assert set(FORMATS) - {"beamer", "fragment"} == set(suffixes().values())


def test_a_new_format_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is told of it."""
    row = DocumentFormat(".title", lambda document: document.title.encode())
    monkeypatch.setitem(FORMATS, "titles", row)
    assert suffixes()[".title"] == "titles"
    assert write("titles", odd()) == ODD.encode()


@pytest.mark.parametrize("format", ["html", "svg", "latex", "markdown"])
def test_no_file_calls_the_network(format: str) -> None:
    content = write(format, odd())
    text = re.sub(r'"(http://www.w3.org/2000/svg)"', "", content.decode("utf-8", "ignore"))
    text = re.sub(r'(?<=class="record">)[^<]*', "", text)  # compressed
    assert not re.search(r"https?:|//[a-z]|@import|@font-face|src\s*[:=]|url\((?!#)", text)
