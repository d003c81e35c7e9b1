"""Exponential moving average of a network's weights."""

import keras
import tensorflow as tf

from ganzoo.arguments import captured


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class EMA:
    """Average that remembers for a number of images, not of steps.

    decay = 0.5 ** (batch / half_life);  half_life = min(half_life_images, rampup * images_seen)
    average <- source + decay * (average - source)

    Trainable weights are averaged; the others (batch-norm statistics) are copied, as the official
    codes do.

    Args:
        decay: float in [0, 1), per step. Give this or `half_life_images`, not both.
        half_life_images: int > 0. Images (over all replicas) after which a weight counts half.
        rampup: float > 0 or `None`. Early in training the half-life is at most `rampup *
            images_seen`.

    Raises: ValueError: if not exactly one of `decay` and `half_life_images` is given, or out of
        range.
    Reference: Karras et al. 2018 (arXiv:1710.10196), section 6; half-life and ramp-up as in
        StyleGAN2-ADA.
    """

    def __init__(self, decay=None, half_life_images=None, rampup=None):
        if (decay is None) == (half_life_images is None):
            raise ValueError(
                "Pass exactly one of `decay` and `half_life_images`. "
                f"Received: decay={decay}, half_life_images={half_life_images}"
            )
        if decay is not None and not 0 <= decay < 1:
            raise ValueError(f"`decay` must be in [0, 1). Received: decay={decay}")
        if half_life_images is not None and half_life_images <= 0:
            raise ValueError(
                f"`half_life_images` must be > 0. Received: half_life_images={half_life_images}"
            )
        self.decay = decay
        self.half_life_images = half_life_images
        self.rampup = rampup

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def decay_at(self, images_seen, batch_size) -> tf.Tensor:
        """float32 scalar: the share of the old average that survives this step."""
        if self.decay is not None:
            return tf.constant(self.decay, "float32")
        half_life = tf.constant(self.half_life_images, "float32")
        if self.rampup is not None:
            half_life = tf.minimum(half_life, tf.cast(images_seen, "float32") * self.rampup)
        return 0.5 ** (tf.cast(batch_size, "float32") / tf.maximum(half_life, 1e-8))

    def update_all(self, pairs, images_seen, batch_size) -> None:
        """Moves every average of `pairs` [(average, source), ...] one step towards its source.

        Raises: ValueError: if the two networks of a pair have not as many weights.
        """
        decay = self.decay_at(images_seen, batch_size)
        for average, source in pairs:
            for a, s in zip(average.weights, source.weights, strict=True):
                if "seed_generator" in a.path:
                    continue
                if s.trainable:
                    a.assign(s.value + (a.value - s.value) * tf.cast(decay, a.dtype))
                else:
                    a.assign(s.value)
