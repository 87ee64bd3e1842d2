"""The JSON Schema: it takes every spec, refuses what is wrong, and says what each key means."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import nncli
from nncli.spec import yaml12
from nncli.spec.nodes import plain
from nncli.spec.schema import POINTER
from tests.conftest import CONFIGS, Run
from tests.spec.test_errors import CASES
from tests.spec.test_spec import EXAMPLE, SMALL

SCHEMA = nncli.schema()
VALIDATOR = Draft202012Validator(SCHEMA)

# What no schema can say: how one value goes with another, or what a string or a number hides.
BEYOND = (
    "as in the first such list",
    "one for each",
    "cannot be parted into",
    "expected 1 filter of",
    "softmax belongs",
    "holds a NUL",
    "holds a control",
    "is a folder already",
    "nan",
    "inf",
    "is too small",
    "got 30.0",  # for JSON an integer
)


def value(text: str) -> Any:
    node, problems = yaml12.read(text)
    assert node is not None
    assert not problems
    return plain(node)


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_it_takes_every_shipped_spec(path: Any) -> None:
    VALIDATOR.validate(value(path.read_text()))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_spec_points_editors_to_it(path: Any) -> None:
    first = path.read_text().splitlines()[0]
    assert first == POINTER
    assert (path.parent / first.partition("$schema=")[2]).is_file()


def test_the_shipped_schema_is_the_present_one() -> None:
    """If not: nncli schema --output configs/nncli.schema.json --overwrite"""
    assert json.loads((CONFIGS / "nncli.schema.json").read_text()) == SCHEMA


@pytest.mark.parametrize(
    "text", [EXAMPLE, SMALL, SMALL.replace("η: 1", "eta: 1, schedule: constant")]
)
def test_it_takes_what_a_spec_may_be(text: str) -> None:
    VALIDATOR.validate(value(text))


@pytest.mark.parametrize(("case", "line"), CASES, ids=[line for _, line in CASES])
def test_it_refuses_what_nncli_refuses(case: tuple[str, str], line: str) -> None:
    beyond = any(words in line for words in BEYOND)
    assert VALIDATOR.is_valid(value(case[0])) == beyond


@pytest.mark.parametrize(
    "change",
    [
        ("η: 1", "η: 1, eta: 1"),
        ("η: 1", "epochs: 1"),
        ("type: dense", "type: dens"),
        ("data:", "name: a/b\ndata:"),
        ("[{type: dense, units: 1}]", "[]"),
        ("x.csv", "[1]"),
    ],
)
def test_it_refuses_what_is_wrong(change: tuple[str, str]) -> None:
    assert change[0] in SMALL
    assert not VALIDATOR.is_valid(value(SMALL.replace(*change)))


OWNERS = {"": SCHEMA, **SCHEMA["$defs"]}
FIELDS = [(owner, key) for owner, model in OWNERS.items() for key in model["properties"]]


@pytest.mark.parametrize(("owner", "key"), FIELDS)
def test_every_key_is_described_and_takes_its_default_and_examples(owner: str, key: str) -> None:
    field = OWNERS[owner]["properties"][key]
    assert len(field["description"]) > 2
    assert "title" not in field
    given = [*field.get("examples", ()), *([field["default"]] if "default" in field else [])]
    for example in given:
        VALIDATOR.evolve(schema={**field, "$defs": SCHEMA["$defs"]}).validate(example)


@pytest.mark.parametrize("owner", sorted(OWNERS))
def test_no_model_takes_unknown_keys(owner: str) -> None:
    assert OWNERS[owner]["additionalProperties"] is False


def test_the_command_prints_it(nncli: Run) -> None:
    done = nncli("schema")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == SCHEMA
    assert "η" in done.out


def test_the_command_writes_it(nncli: Run, tmp_path: Any) -> None:
    done = nncli("schema", "--output", "nncli.schema.json")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert json.loads((tmp_path / "nncli.schema.json").read_text()) == SCHEMA


def test_a_file_that_cannot_be_written_is_status_2(nncli: Run) -> None:
    done = nncli("schema", "--output", "no/such/folder.json")
    assert (done.status, done.out) == (2, "")
    assert done.err == "nncli: no/such/folder.json: cannot be written: no such file or directory\n"
