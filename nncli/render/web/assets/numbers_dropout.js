// How the numbers of dropout are made: rows of numbers.js.

MADE.dropout = {
  a: ({ref, at}) => ({sum: [[ref("input", at), ref("mask", at)]]}),
  downstream: ({ref, at}) => ({sum: [[ref("upstream", at), ref("mask", at)]]}),
};
