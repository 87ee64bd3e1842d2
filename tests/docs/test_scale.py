"""The model of scale.md, by hand."""

import json

import pytest

from docs.extension import scale
from docs.extension.scale import Link, pays_from, software_of, travel

LINK = Link(latency=1e-5, bandwidth=1e8)


def test_small_gradients_go_from_all_to_all_at_once() -> None:
    assert travel(1000, 4, LINK) == pytest.approx(2 * 1e-5 + 3 * 1000 / 1e8)
    assert travel(10**6, 2, LINK) == pytest.approx(1e-5 + 10**6 / 1e8)


def test_large_ones_are_added_up_in_pieces() -> None:
    # Costs in 2 rounds, 3 messages with pieces, sums in 2 rounds; 3/4 of the bytes there and back.
    assert travel(10**6, 4, LINK) == pytest.approx(7 * 1e-5 + 1.5 * 10**6 / 1e8)


def test_it_pays_from_where_both_take_as_long() -> None:
    samples = pays_from(2e-6, 3e-4, 4)
    assert samples * 2e-6 == pytest.approx(samples * 2e-6 / 4 + 3e-4)


def test_what_the_software_takes_is_what_the_network_does_not() -> None:
    def step(size: int, exchange: float) -> dict[str, float]:
        return {"gradient_bytes": size, "exchange": exchange}

    few, many = 10**4, 4 * 10**6
    found = {
        "processes": 2,
        "shared memory": LINK._asdict(),
        "steps": {
            f"{scale.NETWORKS['small']}, 32": step(few, travel(few, 2, LINK) + 2e-5),
            f"{scale.NETWORKS['small']}, 256": step(few, 1.0),
            f"{scale.NETWORKS['deep']}, 32": step(many, travel(many, 2, LINK) + 2e-5 + 4e-3),
        },
    }
    assert software_of(found) == pytest.approx((2e-5, 1e-9))


def test_the_table_has_each_network_and_link(capsys: pytest.CaptureFixture[str]) -> None:
    scale.main()
    rows = json.loads(capsys.readouterr().out)["rows"].split("\n")
    names = [row.removeprefix("| ").split(" | ")[0] for row in rows]
    assert names == list(scale.NETWORKS.values())
    assert {row.count("|") for row in rows} == {8}
