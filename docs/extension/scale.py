"""The numbers of `scale.md`, as JSON: what was measured, and what follows for other networks.

The measured ones are those of `benchmarks/exchange.py`, in `benchmarks/results.json`.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from nncli.nn.parallel.ranks import IN_PIECES

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results.json"
PROCESSES = 4
NETWORKS = {
    "small": "[64, 30, 10]",
    "wide": "[64, 500, 10]",
    "deep": "[64, 1000, 1000, 10]",
    "conv": "a conv network",
}


class Link(NamedTuple):
    """How processes are connected: seconds of a short message, and bytes a second."""

    latency: float
    bandwidth: float


# Of the OSU benchmarks as the page names them. TCP's latency is the kernel's rather than the
# wire's, so 10 GbE has that of 1 GbE.
ETHERNET, FASTER = Link(24.6e-6, 116e6), Link(24.6e-6, 1160e6)
INFINIBAND = Link(0.9e-6, 10.3e9)


class Software(NamedTuple):
    """What an exchange takes besides the network: seconds each time, and for each byte."""

    fixed: float
    per_byte: float


def travel(size: int, processes: int, link: Link) -> float:
    """Seconds that gradients of so many bytes are on their way, from each process to all."""
    rounds = math.ceil(math.log2(processes))
    if size < IN_PIECES or processes == 2:
        return rounds * link.latency + (processes - 1) * size / link.bandwidth
    rounds = 2 * rounds + processes - 1
    return rounds * link.latency + 2 * (processes - 1) / processes * size / link.bandwidth


def pays_from(per_sample: float, exchange: float, processes: int) -> float:
    """From how many samples in a mini-batch on sharing them is quicker than not to.

    With what is not shared left out on both sides: n c = n c / processes + exchange.
    """
    return exchange / (per_sample * (1 - 1 / processes))


def software_of(found: dict[str, Any]) -> Software:
    """From what was measured with two processes, the smallest and the largest gradients."""
    link = Link(**found["shared memory"])

    def beyond(name: str) -> tuple[int, float]:
        steps = [step for key, step in found["steps"].items() if key.startswith(f"{name}, ")]
        size = steps[0]["gradient_bytes"]
        taken = min(step["exchange"] for step in steps)
        return size, taken - travel(size, found["processes"], link)

    fixed = max(0.0, beyond(NETWORKS["small"])[1])
    size, taken = beyond(NETWORKS["deep"])
    return Software(fixed, max(0.0, taken - fixed) / size)


def main() -> None:
    found = json.loads(RESULTS.read_text(encoding="utf-8"))["exchange"]
    software = software_of(found)
    links = {
        "shared memory": Link(**found["shared memory"]),
        "TCP on loopback": Link(**found["TCP on loopback"]),
        "1 GbE": ETHERNET,
        "10 GbE": FASTER,
        "InfiniBand": INFINIBAND,
    }
    measured, rows, networks = [], [], {}
    for key, name in NETWORKS.items():
        steps = [s for each, s in found["steps"].items() if each.startswith(f"{name}, ")]
        few, many = sorted(steps, key=lambda step: step["samples"])
        for step in (few, many):
            together = step["share"] + step["exchange"]
            measured.append(
                f"| {name}, {step['samples']} | {step['gradient_bytes'] / 1e3:,.0f} kB | "
                f"{micro(step['alone'])} | {micro(step['share'])} | {micro(step['exchange'])} | "
                f"{step['alone'] / together:.2g} |"
            )
        per_sample = (many["alone"] - few["alone"]) / (many["samples"] - few["samples"])
        size = few["gradient_bytes"]
        cells = []
        for link in links.values():
            own = software.fixed + software.per_byte * size
            exchange = own + travel(size, PROCESSES, link)
            least = max(4 * PROCESSES, pays_from(per_sample, exchange, PROCESSES))
            cells.append(f"{float(f'{least:.2g}'):,.0f}")
        rows.append(f"| {name} | {micro(per_sample)} | {' | '.join(cells)} |")
        networks[key] = {**few, "per_sample": per_sample}
    print(
        json.dumps(
            {
                "processes": PROCESSES,
                "networks": networks,
                "tcp": found["TCP on loopback"],
                "shared": found["shared memory"],
                "ethernet": ETHERNET._asdict(),
                "infiniband": INFINIBAND._asdict(),
                "software": software._asdict(),
                "measured": "\n".join(measured),
                "rows": "\n".join(rows),
            }
        )
    )


def micro(seconds: float) -> str:
    return f"{float(f'{seconds * 1e6:.2g}'):,g} µs"


if __name__ == "__main__":
    main()
