// The activations of a softmax, each sample's from all of its z.

function softmax(z, shape, n, put) {
  const units = z.length / n, of = (k) => z.subarray(floor(k / units) * units, (floor(k / units) + 1) * units);
  const most = (k) => max(...of(k));
  put("a", shape, (k) => exp(z[k] - most(k)) / of(k).reduce((sum, value) => sum + exp(value - most(k)), 0));
}
