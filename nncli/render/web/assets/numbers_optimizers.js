// How an update is made by more than the learning rate: see numbers.js.

// The numbers at a place of the optimizer's vectors, whose names begin alike.
const vectorsOf = (start, at, step) => Object.keys(step.record.arrays).filter((name) => name.startsWith(start)).map((name) => ({name, at}));
