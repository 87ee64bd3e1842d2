"""One step taken apart: proof of its gradients, other formulas for them, and what they mean.

Everything is computed from a `Trace`, the record of a step that `nncli.nn` took. `record.inspect`
makes an `Inspection` of it: `check` compares every gradient with a derivative that does not use
backpropagation (`probe`), on the scale of what rounding does to it (`rounding`); `views` computes
the gradients by four formulas, and product by product; `findings` interprets the numbers. `timing`
measures layers. `mistakes` takes the step with known mistakes, `derivation` derives it line by
line.

It may import NumPy, core and nn. Start with `record`, then `check` and `probe`.
"""
