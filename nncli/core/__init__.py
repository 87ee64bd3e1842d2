"""What every other room may use: errors, text and JSON, files written whole, seeds, safetensors.

It may import NumPy and the standard library, nothing of the others. Start with `errors`:
what the library raises, and what a user reads.
"""
