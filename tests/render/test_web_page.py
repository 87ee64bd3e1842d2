"""The frame of a page for a browser, what it carries, and that no name in it can act."""

import base64
import hashlib
import json
import math
import re
import zlib
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from nncli.nn.arrays import Array
from nncli.render.document import Block, Equation, Grid, Heading, Lines, MatrixTerm, Paragraph
from nncli.render.text import NumberFormat
from nncli.render.web.blocks import to_html
from nncli.render.web.page import escape, write_page
from nncli.render.web.record import base85, pack, plain
from nncli.render.web.scripts import declared

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\x1b[31m\u202eRTL"


class Elements(HTMLParser):
    """The tags of a document with their attributes, and the text of its scripts and styles."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside = ""
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside in self.raw:
            self.raw[self.inside].append(data)
            self.inside = ""


def unpacked(text: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """As a browser reads it, in plain loops."""
    packed = base64.b85decode(text[:-1].replace(",", "<"))
    data = zlib.decompress(packed[: len(packed) - int(text[-1])])
    start = 4 + int.from_bytes(data[:4], "little")
    record, found = json.loads(data[4:start]), {}
    for name, kind, shape in record.pop("arrays"):
        size, count = np.dtype(kind).itemsize, int(np.prod(shape))
        together = bytearray(size * count)
        for k in range(size):
            for i in range(count):
                together[i * size + k] = data[start + k * count + i]
        start += size * count
        flat = np.frombuffer(bytes(together), np.dtype(kind).newbyteorder("<"))
        found[name] = flat.reshape(shape)
    assert start == len(data)
    return record, found


def test_arrays_are_read_as_they_were() -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, Array] = {
        "w": rng.normal(size=(3, 4)).astype(np.float32),
        "transposed": rng.normal(size=(5, 2)).T,
        "special": np.array([np.inf, -np.inf, np.nan, -0.0, 5e-324]),
        "indices": np.arange(6).reshape(2, 3),
        "one": np.array(2.5),
    }
    record, read = unpacked(pack({"name": HOSTILE, "x": [1, math.inf]}, arrays))
    assert record == {"name": HOSTILE, "x": [1, None]}
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == (np.int32 if name == "indices" else array.dtype)


def test_the_policy_names_what_the_page_holds() -> None:
    page = write_page("t", "<p>x</p>", scripts=["record"], start="readRecord", record={"a": 1})
    elements = Elements(page.decode())
    policy = next(a["content"] for _, a in elements.tags if "content" in a and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    digests = re.findall("'sha256-([^']+)'", policy)
    code = next(text for text in elements.raw["script"] if "readRecord" in text)
    (style,) = elements.raw["style"]
    wanted = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (style, code)]
    assert digests == wanted
    assert "http:" not in page.decode().replace("http://www.w3.org/2000/svg", "")


def test_without_scripts_none_is_allowed() -> None:
    assert b"script-src 'none'" in write_page("t", "")


def test_hostile_names_are_inert() -> None:
    format = NumberFormat(2)
    array = np.ones((2, 2))
    blocks: list[Block] = [
        Heading(HOSTILE, 0),
        Paragraph(HOSTILE),
        Lines((HOSTILE, HOSTILE)),
        Grid((HOSTILE, "b"), ((HOSTILE, HOSTILE),)),
        Equation((MatrixTerm(HOSTILE, array, [0, None], [0, 1], format),), "", HOSTILE),
    ]
    page = write_page(HOSTILE, to_html(blocks), record={"name": HOSTILE}).decode()
    tags = {tag for tag, _ in Elements(page).tags}
    assert "img" not in tags
    assert "\x1b" not in page.replace(json.dumps("\x1b"), "")
    body = page.partition('class="record"')[0]
    assert "\u202e" not in body
    attributes = {name for _, found in Elements(page).tags for name in found}
    assert not {name for name in attributes if name.startswith("on")}


def test_plain_data_hold_no_infinity() -> None:
    assert plain({"a": [np.float32(1), np.inf, np.array([1, 2])], "b": None}) == {
        "a": [1.0, None, [1, 2]],
        "b": None,
    }


def test_escape_in_attributes() -> None:
    assert escape('"><x>') == "&quot;&gt;&lt;x&gt;"


@pytest.mark.parametrize("words", [0, 1])
def test_a_table_heads_its_rows_and_columns(words: int) -> None:
    text = to_html([Grid(("layer", "n"), (("dense1", "3"),), words)])
    assert text.count("scope=col") == 2
    assert text.count("scope=row") == words


@pytest.mark.parametrize("size", [0, 4, 400])
def test_digits_are_pythons_but_for_one(size: int) -> None:
    content = np.random.default_rng(size).bytes(size)
    assert base85(content) == base64.b85encode(content).decode().replace("<", ",")


def test_declarations_of_scripts_that_follow_each_other_are_one() -> None:
    """But not those behind another statement, or in another block."""
    lines = """
        const a = 0.5, f = (x) => x;
        const [b] = a;
        let c = () => {
        const d = {k: 10.5};
        for (let i = 0; i < 2; i++) d.k += i;
        const e = "let ; {";
        };
        let g; f(g);
        let h = `${(() => { let i = 1; return i; })()};`;
        if (h) f(() => {
        let j;
        });
        let k;
    """
    made = declared(line.strip() for line in lines.strip().splitlines())
    assert made == [
        "let a=.5,f=x=>x,",
        "[b]=a,",
        "c=()=>{",
        "let d={k:10.5};",
        "for(let i=0;i<2;i++)d.k+=i;",
        'let e="let ; {";',
        "},",
        "g;f(g);",
        "let h=`${(()=>{let i=1;return i})()};`;",
        "if(h)f(()=>{",
        "let j;",
        "});",
        "let k;",
    ]
