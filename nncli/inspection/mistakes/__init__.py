"""Known mistakes in backpropagation, each as the wrong formulas that it puts in a step.

`graph` holds values that follow from each other, `rules` the right rules of a step and `formulas`
what they are made of. Start with `table`: a mistake a row, and `replay`, which takes a step with
one of them. What is right comes from a trace, never from here.

It may import NumPy and nn.
"""
