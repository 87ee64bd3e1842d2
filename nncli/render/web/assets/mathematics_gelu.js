// ½ e^(−t²/2) erfcx(t/√2) by the series of nn/gelu.py, whose coefficients the page carries.
ACTIVATIONS.gelu = (z, {series}) => {
  const t = Math.min(Math.abs(z), 64), centre = 3.75 * Math.SQRT2, u = (t - centre) / (t + centre);
  const near = Math.round(t * 16) / 16, outer = Math.exp(-0.25 * near * near);
  const gaussian = 0.5 * Math.exp(-0.5 * ((t - near) * (t + near))) * outer * outer;
  const scaled = series.reduceRight((sum, c) => sum * u + c, 0) / (t * Math.SQRT2 + 1);
  const slope = gaussian * (scaled - t * Math.sqrt(2 / Math.PI));
  return [(z >= 0 ? z : 0) - scaled * gaussian * t, z >= 0 ? 1 - slope : slope];
};
