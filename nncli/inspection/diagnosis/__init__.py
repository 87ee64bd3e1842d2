"""What is wrong with a network: measured, suspected, and settled by cures that were tried.

`record` is what a diagnosis works on and gives, `measures` and `baselines` take the numbers,
`start` and `course` are the table of causes, each with its evidence and its cures, and `ranking`
puts them in order by what their cures did. Nothing is trained here: `app.diagnose` does that.

It may import NumPy, core and nn. Start with `causes`.
"""
