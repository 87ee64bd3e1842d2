"""Writes activations.json: σ(z) and σ'(z) to 25 digits, by mpmath; and prints the series of GELU.

    python tests/reference/make_activations.py

Needs mpmath, which nothing else here does. What it wrote last came from mpmath 1.3.0, with 60
digits in its work. Every z is a float32 (most of them), so that both dtypes start from one number.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mpmath as mp

RECORD = Path(__file__).parent / "activations.json"
SIZES = [
    *(1e-30, 1e-20, 1e-8, 0.001, 0.01, 0.1, 0.25, 0.5, 0.7, 0.75, 0.8, 1, 1.25, 1.5, 1.9, 2, 2.5),
    *(3, 3.3, 4, 4.8, 5, 5.3, 6, 7, 8, 9, 10, 11, 12.5, 13, 16, 17, 20, 25, 30, 35, 36, 37),
    *(37.25, 40, 50, 80, 88, 100, 300, 700),
]
CENTRE = mp.mpf("3.75")


def erfcx(x: Any) -> Any:
    if x > 50:
        return mp.hyperu(0.5, 0.5, x * x) / mp.sqrt(mp.pi)
    return mp.exp(x * x) * mp.erfc(x)


def normal(z: Any) -> Any:
    """Φ(z) and φ(z)."""
    return mp.erfc(-z / mp.sqrt(2)) / 2, mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def gelu(z: Any) -> Any:
    below, density = normal(z)
    return z * below, below + z * density


def elu(alpha: Any) -> Any:
    return lambda z: (z, mp.mpf(1)) if z > 0 else (alpha * mp.expm1(z), alpha * mp.exp(z))


def leaky_relu(slope: Any) -> Any:
    return lambda z: (z, mp.mpf(1)) if z > 0 else (slope * z, mp.mpf(slope))


FUNCTIONS = {
    "sigmoid": lambda z: (1 / (1 + mp.exp(-z)), mp.exp(-z) / (1 + mp.exp(-z)) ** 2),
    "tanh": lambda z: (mp.tanh(z), mp.sech(z) ** 2),
    "relu": lambda z: (z, mp.mpf(1)) if z > 0 else (mp.mpf(0), mp.mpf(0)),
    "identity": lambda z: (z, mp.mpf(1)),
    "leaky_relu 0.125": leaky_relu(0.125),
    "elu 1": elu(1),
    "elu 0.75": elu(mp.mpf(0.75)),
    "softplus": lambda z: (mp.log1p(mp.exp(z)), 1 / (1 + mp.exp(-z))),
    "gelu": gelu,
}


def as_float32(value: Any) -> Any:
    return struct.unpack("f", struct.pack("f", value))[0]


def gelu_series(terms: int = 35) -> Iterator[Any]:
    """Chebyshev coefficients of (1 + 2x) erfcx(x) in (x − 3.75)/(x + 3.75)."""

    def value(q: Any) -> Any:
        x = CENTRE * (1 + q) / (1 - q)
        return (1 + 2 * x) * erfcx(x)

    n = terms + 20
    angles = [mp.pi * (2 * j + 1) / (2 * n) for j in range(n)]
    values = [value(mp.cos(angle)) for angle in angles]
    for k in range(terms):
        total = sum(v * mp.cos(k * angle) for v, angle in zip(values, angles, strict=True))
        yield total * (2 if k else 1) / n


def main() -> None:
    mp.mp.dps = 60
    numbers = [sign * as_float32(size) for size in SIZES for sign in (-1, 1)]
    record = {
        name: [[z, *(mp.nstr(value, 25) for value in function(mp.mpf(z)))] for z in numbers]
        for name, function in FUNCTIONS.items()
    }
    rows = (f'"{name}": [\n{rows_of(rows)}\n]' for name, rows in record.items())
    RECORD.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    for coefficient in gelu_series():
        print(mp.nstr(coefficient, 20))


def rows_of(rows: Any) -> str:
    return ",\n".join(json.dumps(row) for row in rows)


if __name__ == "__main__":
    main()
