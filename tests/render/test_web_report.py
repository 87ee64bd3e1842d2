"""The pages of trainings: their numbers are those of the record, whatever the names are."""

import json
import math
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.app.report_records import Report
from nncli.render.formats import FORMATS, write
from nncli.render.pages.evaluation import evaluation_document, evaluation_record
from nncli.render.pages.report import comparison_document, report_document
from nncli.render.web.charts import Chart, Curve, chart_html, extremes, spread
from nncli.render.web.flow import level, map_html
from nncli.render.web.images import to_png
from nncli.render.web.report import LEAST, carried_epochs
from nncli.render.web.scripts import asset
from nncli.training.history import Epoch
from tests.conftest import CONFIGS, present
from tests.render.test_web_page import unpacked

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"
LARGEST = 250_000  # bytes of a report
LARGEST_SCRIPT = 8_000


class Reader(HTMLParser):
    """The rows of every table, each cell with every digit where it has them; and all tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: list[str] = []
        self.in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.in_cell = True
        elif tag == "data" and self.in_cell:
            self.tables[-1][-1][-1] = present(dict(attributes)["value"])
            self.in_cell = False  # what is written is rounded
        elif tag in ("details", "p", "caption", "tbody"):
            self.in_cell = False

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "table"):
            self.in_cell = False

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.tables[-1][-1][-1] += data.strip()

    def table(self, *heads: str) -> list[list[str]]:
        """The rows below these headings."""
        (found,) = [t[1:] for t in self.tables if t and t[0] == [*heads]]
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: digits (images), slow (the same with another η), plane (numbers as targets)."""
    folder = tmp_path_factory.mktemp("reported")
    for name, eta in (("digits", 0.5), ("slow", 0.1)):
        overrides = ["train.epochs=3", f"train.eta={eta}"]
        nncli.train(nncli.load_spec(CONFIGS / "digits-conv.yaml", overrides), out=folder / name)
    table = "".join(f"{x},{y},{x + y},{x - y}\n" for x in range(10) for y in range(10))
    (folder / "plane.csv").write_text(f"x,y,sum,difference\n{table}")
    (folder / "plane.yaml").write_text(
        "data: {train: plane.csv, target: [sum, difference], scale: standard}\n"
        "network: [{type: dense, units: 2, activation: identity}]\n"
        "train: {eta: 0.1, epochs: 20}\n"
    )
    nncli.train(folder / "plane.yaml", out=folder / "plane")
    return folder


def page_of(report: Report) -> str:
    return write("html", report_document(report)).decode()


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def number(text: str) -> float | None:
    return None if text == "–" else float(text)


@pytest.mark.parametrize("name", ["digits", "plane"])
def test_where_its_writer_keeps_the_data_is_not_said(folder: Path, name: str) -> None:
    page = page_of(nncli.report(folder / name))
    assert str(CONFIGS.parent) not in page
    assert str(folder) not in page
    assert "plane.csv" in page or "digits" in page


def test_the_tables_behind_the_curves_hold_the_metrics(folder: Path) -> None:
    reader = Reader(page_of(nncli.report(folder / "digits")))
    lines = metrics(folder / "digits")
    rows = reader.table("epoch", "train", "validation")
    costs = [[line["epoch"], line["train_cost"], line["validation_cost"]] for line in lines]
    assert [[number(cell) for cell in row] for row in rows] == costs
    layers = [layer["name"] for layer in lines[0]["layers"]]
    flows = [t for t in reader.tables if t[0][0] == "epoch" and t[0][1:2] == [layers[0]]]
    norms = [[line["epoch"], *(x["delta_norm"] for x in line["layers"])] for line in lines]
    learners = [k for k, x in enumerate(lines[0]["layers"]) if x["delta_norm"] is not None]
    expected = [[row[0], *(row[1 + k] for k in learners)] for row in norms]
    assert [[number(cell) for cell in row] for row in flows[0][1:]] == expected


def test_the_record_behind_the_script_holds_the_metrics(folder: Path) -> None:
    page = page_of(nncli.report([folder / "digits", folder / "slow"]))
    (text,) = re.findall('class="record">([^<]+)<', page)
    record, arrays = unpacked(text)
    assert [run["name"] for run in record["runs"]] == ["A", "B"]
    for k, name in enumerate(("digits", "slow")):
        lines = metrics(folder / name)
        np.testing.assert_array_equal(arrays[f"{k}.epoch"], [1, 2, 3])
        costs = [line["validation_cost"] for line in lines]
        np.testing.assert_array_equal(arrays[f"{k}.cost"], costs)
        for i, layer in enumerate(lines[0]["layers"]):
            if layer["weight_norm"] is not None:
                key = f"{k}.{layer['name']}.relative_update"
                layers = [line["layers"][i] for line in lines]
                moved = [x["weight_update_norm"] / x["weight_norm"] for x in layers]
                np.testing.assert_array_equal(arrays[key], moved)


def test_the_measurement_is_that_of_evaluate(folder: Path) -> None:
    evaluated = nncli.evaluate(folder / "digits")
    record = evaluation_record(evaluated)
    pages = [page_of(nncli.report(folder / "digits"))]
    pages.append(write("html", evaluation_document(evaluated)).decode())
    for page in pages:
        reader = Reader(page)
        classes = [row["class"] for row in record["classes"]]
        confusion = reader.table("", *classes)
        counts = [[int(cell.replace("·", "0")) for cell in row[1:]] for row in confusion]
        assert counts == record["confusion"]
        rows = reader.table("class", "samples", "predicted", "right", "precision", "recall")
        for row, expected in zip(rows, record["classes"], strict=True):
            assert row[0] == expected["class"]
            assert [*map(int, row[1:4])] == [expected[k] for k in ("samples", "predicted", "right")]
            assert [number(x) for x in row[4:]] == [expected["precision"], expected["recall"]]
        assert f'<data value="{record["cost"]["value"]!r}">' in page
        assert page.count("data:image/png") == len(record["worst"])


def test_outputs_that_are_numbers(folder: Path) -> None:
    evaluated = nncli.evaluate(folder / "plane")
    reader = Reader(write("html", evaluation_document(evaluated)).decode())
    fit = present(evaluated.assessment.fit)
    rows = reader.table("output", "MSE", "RMSE", "MAE", "R²")
    assert [[float(row[k]) for k in (1, 3, 4)] for row in rows] == [
        [*row] for row in zip(fit.mse, fit.mae, fit.r2, strict=True)
    ]
    worst = reader.table("sample", "row of the file", "output", "y", "a", "C", "x0", "x1")
    assert [float(row[5]) for row in worst] == [sample.cost for sample in evaluated.worst]
    assert [[float(x) for x in row[6:]] for row in worst] == [
        sample.inputs.tolist() for sample in evaluated.worst
    ]


def test_data_that_are_gone_are_said_to_be(folder: Path, tmp_path: Path) -> None:
    spec = (folder / "plane" / "spec.yaml").read_text()
    gone = tmp_path / "gone"
    gone.mkdir()
    for file in (folder / "plane").iterdir():
        (gone / file.name).write_bytes(file.read_bytes())
    (gone / "spec.yaml").write_text(spec.replace("plane.csv", "elsewhere.csv"))
    report = nncli.report(gone)
    (each,) = report.runs
    assert each.evaluated is None
    assert "elsewhere.csv" in " ".join(each.missing)
    page = page_of(report)
    assert "could not be measured" in page
    assert "elsewhere.csv" in page
    assert len(Reader(page).table("epoch", "train", "train, after")) == 20
    (gone / "data.json").unlink()
    (gone / "checkpoint.safetensors").unlink()
    (gone / "checkpoint.safetensors.before").unlink(missing_ok=True)
    (each,) = nncli.report(gone).runs
    assert (each.data, each.identity) == (None, None)
    assert len(each.run.history) == 20


def test_hostile_names_are_text(folder: Path, tmp_path: Path) -> None:
    rows = "".join(f"{k},{'a' if k % 2 else HOSTILE}\n" for k in range(20))
    (tmp_path / "t.csv").write_text(f"x,kind\n{rows}")
    spec = {
        "name": "<img src=x onerror=alert(2)>",
        "data": {"train": "t.csv", "target": "kind"},
        "network": [{"type": "dense", "units": 2}],
        "train": {"eta": 1, "epochs": 2, "batch_size": 5},
    }
    (tmp_path / "s.yaml").write_text(json.dumps(spec))
    nncli.train(tmp_path / "s.yaml", out=tmp_path / "run")
    report = nncli.report([tmp_path / "run", folder / "plane"])
    for document in (
        report_document(report),
        report_document(nncli.report(tmp_path / "run")),
        comparison_document(present(report.comparison)),
        evaluation_document(nncli.evaluate(tmp_path / "run")),
    ):
        page = write("html", document).decode()
        assert "onerror" in page  # it is there, as text
        assert "img" not in Reader(page).tags
        assert "\u202e" not in page


@pytest.mark.parametrize("format", FORMATS)
def test_every_format(folder: Path, format: str) -> None:
    report = nncli.report([folder / "digits", folder / "plane"])
    for document in (
        report_document(report),
        comparison_document(present(report.comparison)),
        evaluation_document(present(report.runs[0].evaluated)),
    ):
        assert len(write(format, document)) > 300


def test_a_long_training_is_thinned_out_and_keeps_its_peaks(folder: Path) -> None:
    report = nncli.report(folder / "digits")
    (each,) = report.runs
    one = each.run.history[-1]
    history = tuple(
        Epoch(**{**vars(one), "epoch": k + 1, "validation_cost": 1 / (k + 1) + (k == 600)})
        for k in range(1000)
    )
    long = Report((each._replace(run=each.run._replace(history=history)),), None)
    page = page_of(long)
    assert len(page.encode()) < LARGEST
    assert "of 1,000 epochs" in page
    kept = carried_epochs(history, 20)
    assert {0, 600, 999} <= set(kept)
    assert LEAST <= len(kept) <= 8_000 // 20 + 2
    costs = [epoch.validation_cost for epoch in history]
    assert 600 in extremes(costs, 80)


def test_sizes(folder: Path) -> None:
    assert len(page_of(nncli.report(folder / "digits")).encode()) < LARGEST
    assert len(asset("report.js").encode()) <= LARGEST_SCRIPT


def test_a_curve_is_where_its_numbers_are() -> None:
    chart = Chart("c", "cost", [Curve("a", "k", range(1, 6), [1.0, 2.0, None, math.nan, 3.0])])
    (points,) = re.findall('points="([^"]+)"', chart_html(chart, (1, 5)).split("log")[0])
    places = [tuple(map(float, point.split(","))) for point in points.split()]
    xs, ys = [x for x, _ in places], [y for _, y in places]
    assert len(places) == 3
    assert (xs[1] - xs[0]) / (xs[2] - xs[0]) == pytest.approx(1 / 4, abs=1e-3)
    assert (ys[0] - ys[1]) == pytest.approx(ys[1] - ys[2], abs=0.11)


@pytest.mark.parametrize("values", [[5.0], [2.0, 2.0], [0.0, 0.0], [-1.0, -1.0], [1e-300, 1e300]])
def test_charts_of_odd_numbers(values: list[float]) -> None:
    curve = Curve("a", "k", range(1, len(values) + 1), values)
    chart = Chart("c", "cost", [curve])
    drawn = chart_html(chart, (1, len(values)))
    assert not re.search(r"nan|inf", drawn)
    assert "<td class" in map_html(chart)


def test_a_chart_without_numbers_is_none() -> None:
    assert chart_html(Chart("c", "cost", [Curve("a", "k", [1, 2], [None, math.nan])]), (1, 2)) == ""


@pytest.mark.parametrize(
    ("value", "logarithmic", "expected"),
    [(1.0, False, 0), (10.0, False, 9), (5.4, False, 4), (1.0, True, 0), (3.2, True, 5)],
)
def test_levels(value: float, logarithmic: bool, expected: int) -> None:
    assert level(value, 1.0, 10.0, logarithmic=logarithmic) == expected


def test_places_are_spread_evenly() -> None:
    assert spread(3, 5) == [0, 1, 2]
    assert spread(9, 5) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_picture_reads_back(channels: int) -> None:
    image = np.random.default_rng(1).normal(size=(channels, 4, 5))
    png = to_png(image)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(
            kind + content
        )
        chunks[kind], at = content, at + 12 + size
    assert struct.unpack(">IIBB", chunks[b"IHDR"][:10]) == (5, 4, 8, 2 if channels == 3 else 0)
    depth = 3 if channels == 3 else 1
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(4, 1 + 5 * depth)
    shown = image if channels == 3 else image.mean(axis=0, keepdims=True)
    grey = (shown - shown.min()) / np.ptp(shown) * 255
    pixels = np.moveaxis(lines[:, 1:].reshape(4, 5, depth), -1, 0)
    assert np.abs(pixels - grey).max() <= 0.5 + 1e-9
