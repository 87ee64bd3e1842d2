// The activations that fewer networks have: rows of mathematics.js.

Object.assign(ACTIVATIONS, {
  leaky_relu: (z, {negative_slope}) => z > 0 ? [z, 1] : [z * negative_slope, negative_slope],
  elu: (z, {alpha}) => z > 0 ? [z, 1] : [alpha * Math.expm1(z), alpha * exp(z)],
  softplus: (z) => [max(Math.log1p(exp(min(z, 40))), z), 1 / (1 / exp(min(z, 40)) + 1)],
});

// ½ e^(−t²/2) erfcx(t/√2) by the series of nn/gelu.py, whose coefficients the page carries.
ACTIVATIONS.gelu = (z, {series}) => {
  const t = min(abs(z), 64), centre = 3.75 * Math.SQRT2, u = (t - centre) / (t + centre);
  const near = Math.round(t * 16) / 16, outer = exp(-0.25 * near * near);
  const gaussian = 0.5 * exp(-0.5 * ((t - near) * (t + near))) * outer * outer;
  const scaled = series.reduceRight((sum, c) => sum * u + c, 0) / (t * Math.SQRT2 + 1);
  const slope = gaussian * (scaled - t * sqrt(2 / Math.PI));
  return [(z >= 0 ? z : 0) - scaled * gaussian * t, z >= 0 ? 1 - slope : slope];
};
