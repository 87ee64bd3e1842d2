"""What every other room may use: errors, text and JSON, files written whole, seeds, safetensors.

It imports nothing of the others, and besides the standard library only NumPy. Start with `errors`:
what the library raises, and what a user reads.
"""
