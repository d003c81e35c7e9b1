"""What the families' recipes read."""

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The working folder, with circles and squares in it."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:16, :16]
    for i in range(10):
        state = np.random.RandomState(i)
        shapes = {
            "circles": (y - 8) ** 2 + (x - 8) ** 2 < state.randint(16, 40),
            "squares": (abs(y - 8) < state.randint(3, 7)) & (abs(x - 8) < 5),
        }
        for folder, inside in shapes.items():
            image = np.full((16, 16, 3), state.randint(0, 80), "uint8")
            image[inside] = state.randint(120, 255, 3)
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{i}.png").write_bytes(tf.io.encode_png(image).numpy())
    return tmp_path
