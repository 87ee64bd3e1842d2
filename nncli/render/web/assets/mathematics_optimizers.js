// The links of the optimizer beside plain SGD.

Object.assign(LINKS, {
  "weight decay": ({weight_decay, decoupled, w, keep}, d) => keep(decoupled ? "decayed_direction" : "decayed_gradient", d.map((value, k) => value + weight_decay * w[k])),
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
    const denominator = keep("adam_denominator", size.map((value) => Math.sqrt(value) + epsilon));
    return keep("adam_direction", corrected.map((value, k) => value / denominator[k]));
  },
});
