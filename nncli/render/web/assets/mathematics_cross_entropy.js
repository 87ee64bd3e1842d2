// The cross-entropy of independent outputs, and of a softmax.

COSTS.sigmoid = {
  each: (z, a, y) => z.reduce((sum, value, j) => sum + Math.log1p(exp(-abs(value))) + ((value > 0 ? value : 0) - y[j] * value), 0),
  upstream: (z, y) => z.map((value, j) => (y[j] === 1 ? 0 : (1 - y[j]) * (1 + exp(value))) - (y[j] === 0 ? 0 : y[j] * (1 + exp(-value)))),
};
COSTS.softmax = {
  each: (z, a, y) => {
    const most = max(...z), log = Math.log(z.reduce((sum, value) => sum + exp(value - most), 0));
    return -z.reduce((sum, value, j) => sum + y[j] * (value - most - log), 0);
  },
  upstream: (z, y) => {
    const most = max(...z), sum = z.reduce((total, value) => total + exp(value - most), 0);
    return z.map((value, j) => y[j] === 0 ? 0 : -y[j] * (exp(most - value) * sum));
  },
};

// Behind a fused cost δ is `error`; ∂C/∂a, which it does not need, is told beside it.
const putFused = (network, {n, get, put}, y, weight, error) => {
  const {shape, data: z} = get("z"), units = z.length / n;
  const slopes = Array.from({length: n}, (_, x) => Array.from(costOf(network).upstream(z.subarray(x * units, (x + 1) * units), y.subarray(x * units, (x + 1) * units)))).flat();
  put("upstream", shape, (k) => weight(k) * slopes[k]);
  put("delta", shape, error);
};
