// How the numbers of flatten are made: rows of numbers.js.

MADE.flatten = {
  a: ({ref, at, step}) => sameAs(step, ref("a", at), ref("input").name),
  downstream: ({ref, at, step}) => sameAs(step, ref("downstream", at), ref("upstream").name),
};
