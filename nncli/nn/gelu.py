"""GELU with the exact normal distribution: σ(z) = z Φ(z) and σ'(z) = Φ(z) + z φ(z).

NumPy has no erf. Both functions are taken from the scaled complementary error function erfcx(x) =
e^x² erfc(x), which neither underflows nor cancels: with t = |z|,

    Φ(−t) = ½ e^(−t²/2) erfcx(t/√2),   φ(t) = ½ e^(−t²/2) √(2/π).

(1 + 2x) erfcx(x) is a series of Chebyshev polynomials in (x − 3.75)/(x + 3.75) for all x from 0 to
infinity: M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x
in 0 ≤ x < ∞", Math. Comp. 36 (1981), 249-253. The coefficients here were computed anew by mpmath
(60 digits; `tests/reference/make_activations.py`).
"""

import math
from functools import cache
from typing import Any

import numpy as np

from nncli.nn.arrays import Array, Operations, bind

CENTRE = 3.75 * math.sqrt(2)  # of the variable, as a multiple of t = x √2
SERIES = (
    1.1775789345674017541,
    -0.0045900545806464773309,
    -0.084249133366517915584,
    0.059209939998191890498,
    -0.026658668435305752277,
    0.0090749976707050652939,
    -0.0024131635404176081909,
    0.00049077583652580863229,
    -0.000069169733025012063671,
    4.1390279860730101675e-6,
    7.7403830661984906686e-7,
    -2.1886401049234395661e-7,
    1.0764999465670910377e-8,
    4.5219598112182868979e-9,
    -7.7544002088313511065e-10,
    -6.3180883408866844944e-11,
    2.8687950109306698981e-11,
    1.945586854577734723e-13,
    -9.6546967484334389059e-13,
    3.2525481481487398415e-14,
    3.3478119482868053878e-14,
    -1.8645628804193131015e-15,
    -1.2507950530688647085e-15,
    7.418235256624043463e-17,
    5.0681489047961113168e-17,
)
FAR = 64.0  # from which Φ(−t) and φ(t) are 0, whatever the dtype
GRID = 16.0  # Gaussians are taken at multiples of 1/GRID, whose squares are exact
CHUNK = 8192  # numbers at a time, so that what is worked in stays in the cache


def gelu(z: Array, a: Array, sigma_prime: Array, one: Array) -> Operations:
    if not all(array.flags.c_contiguous for array in (z, a, sigma_prime)):
        yield from Gelu(z.shape, one.dtype).fill(z, a, sigma_prime)
        return
    flat = [array.reshape(-1) for array in (z, a, sigma_prime)]
    work = Gelu((min(z.size, CHUNK),), one.dtype)
    for start in range(0, z.size, CHUNK):
        yield from work.fill(*(array[start : start + CHUNK] for array in flat))


@cache
def powers(dtype: np.dtype[Any]) -> list[Array]:
    """The coefficients of the powers of the series' variable, as many as `dtype` has digits for."""
    enough = float(np.finfo(dtype).eps) / 16
    from numpy.polynomial.chebyshev import cheb2poly  # which no other activation waits for

    terms = max(k for k, c in enumerate(SERIES) if abs(c) > enough) + 1
    return [np.array(c, dtype) for c in cheb2poly(SERIES[:terms])]


class Gelu:
    """What the function of up to `shape` numbers is worked out in; of complex numbers too."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.t, self.q, self.power = (np.zeros(shape, dtype) for _ in range(3))
        self.near = np.zeros(shape, self.t.real.dtype)
        self.is_negative, self.is_positive = np.zeros(shape, bool), np.zeros(shape, bool)
        self.powers = powers(dtype)

    def fill(self, z: Array, a: Array, sigma_prime: Array) -> Operations:
        """Fills a and σ' from z."""
        part = slice(len(z)) if z.ndim == 1 else ...
        t, q, near = self.t[part], self.q[part], self.near[part]
        power, is_negative, is_positive = (
            array[part] for array in (self.power, self.is_negative, self.is_positive)
        )
        yield bind(np.less, z.real, 0, is_negative)
        yield bind(np.logical_not, is_negative, is_positive)
        yield bind(np.copyto, t, z)
        yield bind(np.negative, z, t, where=is_negative)
        yield bind(np.minimum, t, t.dtype.type(FAR), out=t)
        yield from self._erfcx(t, q, a)
        yield from self._half_gaussian(t, near, q, power)
        # a = max(z, 0) − t Φ(−t), and σ' is D = Φ(−t) − t φ(t) on the left, 1 − D on the right.
        yield bind(np.multiply, t, t.dtype.type(math.sqrt(2 / math.pi)), q)
        yield bind(np.subtract, a, q, q)
        yield bind(np.multiply, power, q, sigma_prime)
        yield bind(np.subtract, 1, sigma_prime, sigma_prime, where=is_positive)
        yield bind(np.multiply, a, power, a)
        yield bind(np.multiply, a, t, a)
        yield bind(np.negative, a, a)
        yield bind(np.add, a, z, a, where=is_positive)

    def _erfcx(self, t: Array, q: Array, out: Array) -> Operations:
        """Fills `out` with erfcx(t/√2); writes over q."""
        yield bind(np.add, t, t.dtype.type(CENTRE), q)
        yield bind(np.subtract, t, t.dtype.type(CENTRE), out)
        yield bind(np.divide, out, q, q)
        yield from horner(self.powers, q, out)
        yield bind(np.multiply, t, t.dtype.type(math.sqrt(2)), q)
        yield bind(np.add, q, 1, q)
        yield bind(np.divide, out, q, out)

    def _half_gaussian(self, t: Array, near: Array, q: Array, out: Array) -> Operations:
        """Fills `out` with ½ e^(−t²/2); writes over near and q.

        The rounding of t² would cost as many ulps as t² is large. With h the multiple of 1/16 next
        to t, e^(−t²/2) = e^(−h²/4) e^(−(t − h)(t + h)/2) e^(−h²/4), where all exponents are exact
        or small, and no factor underflows before the product does.
        """
        yield bind(np.multiply, t.real, near.dtype.type(GRID), near)
        yield bind(np.rint, near, near)
        yield bind(np.multiply, near, near.dtype.type(1 / GRID), near)
        yield bind(np.add, t, near, q)
        yield bind(np.subtract, t, near, out)
        yield bind(np.multiply, out, q, out)
        yield bind(np.multiply, out, out.dtype.type(-0.5), out)
        yield bind(np.exp, out, out)
        yield bind(np.multiply, out, out.dtype.type(0.5), out)
        yield bind(np.multiply, near, near, near)
        yield bind(np.multiply, near, near.dtype.type(-0.25), near)
        yield bind(np.exp, near, near)
        yield bind(np.multiply, out, near, out)
        yield bind(np.multiply, out, near, out)


def horner(coefficients: list[Array], x: Array, out: Array) -> Operations:
    """Fills `out` with Σ_k c_k x^k; at least two coefficients."""
    *rest, last = coefficients
    yield bind(np.multiply, x, last, out)
    for coefficient in rest[:0:-1]:
        yield bind(np.add, out, coefficient, out)
        yield bind(np.multiply, out, x, out)
    yield bind(np.add, out, rest[0], out)
