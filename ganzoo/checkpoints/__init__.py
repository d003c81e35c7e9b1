"""Checkpoints of any origin as NumPy arrays, without torch or TensorFlow and without running
anything: `reader.read` for arrays, `reader.load` for all that a file holds.
"""
