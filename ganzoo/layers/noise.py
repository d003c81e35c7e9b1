"""The noise of the StyleGANs: an image of N(0, 1) for each layer, stored or drawn."""

import tensorflow as tf

NOISE = ("const", "none", "random")


def check_noise(noise) -> str:
    """The kind of noise, if it is one of `NOISE`.

    Raises: ValueError: otherwise.
    """
    if noise not in NOISE:
        raise ValueError(f"`noise` must be one of {NOISE}. Received: noise={noise!r}")
    return noise


def draw_noise(seed, count, side) -> tf.Tensor:
    """float32 [N, side, side, 1] of N(0, 1).

    Args: seed: int32 [2], or [N, 2], one for each sample, whose noise then depends on no other.
    """
    if seed.shape.rank == 1:
        return tf.random.stateless_normal([count, side, side, 1], seed)
    one = tf.TensorSpec([side, side, 1], tf.float32)
    return tf.map_fn(
        lambda s: tf.random.stateless_normal([side, side, 1], s), seed, fn_output_signature=one
    )


def seed_pair(seed) -> tf.Tensor:
    """int32 [2] of an int, or of what has such a shape already."""
    seed = tf.convert_to_tensor(seed, "int32")
    return tf.stack([seed, 0]) if seed.shape.rank == 0 else seed


def layer_seed(seed, layer) -> tf.Tensor | None:
    """Another seed for each layer: `seed` int32 [..., 2] or `None`, `layer` an int."""
    return None if seed is None else seed + tf.constant([0, 1 + layer])


def sample_seeds(latents, seed) -> tf.Tensor:
    """int32 [N, 2] of an int and of each sample's own latents, so that batches do not matter."""
    own = tf.reduce_sum(tf.bitcast(latents, "int32"), 1)
    return tf.stack([own, tf.fill(tf.shape(own), tf.cast(seed, "int32"))], 1)
