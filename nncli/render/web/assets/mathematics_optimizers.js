// The links of the optimizer beside plain SGD.

const spares = (link, parameter) => link.spares.includes(parameter) || link.spares.includes(parameter.split(".").at(-1));

Object.assign(LINKS, {
  "frozen": ({parameter, keep, ...link}, d) => keep("free_gradient", d.map((value) => (spares(link, parameter) ? 0 : value))),
  "clipping by norm"({norm, keep, gradients, links}, d) {
    const frozen = links.find((link) => link.name === "frozen");
    const free = gradients().filter(([name]) => !(frozen && spares(frozen, name)));
    const squares = free.reduce((sum, [, data]) => data.reduce((total, value) => total + value * value, sum), 0);
    const factor = min(1, norm / (sqrt(squares) + 1e-6));
    return keep("clipped_gradient", d.map((value) => factor * value));
  },
  "clipping by value": ({value: most, keep}, d) => keep("limited_gradient", d.map((value) => min(max(value, -most), most))),
  "weight decay": ({weight_decay, decoupled, w, keep, parameter, ...link}, d) => keep(decoupled ? "decayed_direction" : "decayed_gradient", spares(link, parameter) ? d : d.map((value, k) => value + weight_decay * w[k])),
  L1: ({l1, w, keep, parameter, ...link}, d) => keep("l1_gradient", spares(link, parameter) ? d : d.map((value, k) => value + l1 * Math.sign(w[k]))),
  momentum({momentum, nesterov, before, keep}, d) {
    const old = before("velocity"), velocity = keep("velocity", d.map((value, k) => momentum * old[k] + value));
    return nesterov ? keep("lookahead", d.map((value, k) => value + momentum * velocity[k])) : velocity;
  },
  Adam({beta1, beta2, epsilon, before, keep, scalars}, d) {
    const m = before("first_moment"), v = before("second_moment");
    const first = keep("first_moment", d.map((value, k) => beta1 * m[k] + (1 - beta1) * value));
    const second = keep("second_moment", d.map((value, k) => beta2 * v[k] + (1 - beta2) * value ** 2));
    const corrected = keep("first_moment_corrected", first.map((value) => value / scalars.first_correction));
    const size = keep("second_moment_corrected", second.map((value) => value / scalars.second_correction));
    const denominator = keep("adam_denominator", size.map((value) => sqrt(value) + epsilon));
    return keep("adam_direction", corrected.map((value, k) => value / denominator[k]));
  },
});

// The gradients of all parameters: [name, entries].
const gradientsOf = ({layers}, made) => layers.flatMap((layer) => ["weight", "bias"].map((key) => `${layer.name}.${key}`).filter((name) => made[`${name}_gradient`]).map((name) => [name, made[`${name}_gradient`].data]));
