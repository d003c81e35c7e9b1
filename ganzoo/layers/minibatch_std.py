"""Minibatch standard deviation: lets a discriminator see how varied a batch is."""

import keras
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.checks import check_count


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class MinibatchStd(keras.layers.Layer):
    """Appends the mean standard deviation within groups of a batch as further maps.

    A batch of N is N / group_size groups; the members of a group are N / group_size apart.

    Args:
        group_size: int > 0, at most N is used; `None`: the whole batch.
        channels: int > 0 that divides C. Maps to append, each from its C / channels maps.
            Defaults to 1.
    Input shape: float [N, H, W, C], N a multiple of the group size.
    Output shape: float [N, H, W, C + channels].
    Raises: ValueError: sizes that do not divide.
    Reference: Karras et al. 2018 (arXiv:1710.10196), section 3.
    """

    def __init__(self, group_size=4, channels=1, **kwargs):
        super().__init__(**kwargs)
        check_count("group_size", 1 if group_size is None else group_size)
        check_count("channels", channels)
        self.group_size, self.channels = group_size, channels

    def build(self, input_shape):
        if input_shape[-1] % self.channels:
            raise ValueError(
                f"`channels` must divide the {input_shape[-1]} maps of the input. "
                f"Received: channels={self.channels}"
            )

    def call(self, inputs):
        size, height, width = (tf.shape(inputs)[axis] for axis in range(3))
        depth = inputs.shape[-1]
        group = size if self.group_size is None else tf.minimum(self.group_size, size)
        self._check(inputs.shape[0])
        shape = (group, -1, height, width, self.channels, depth // self.channels)
        x = tf.reshape(tf.cast(inputs, "float32"), shape)
        x -= tf.reduce_mean(x, axis=0)
        deviation = tf.sqrt(tf.reduce_mean(tf.square(x), axis=0) + 1e-8)
        deviation = tf.reduce_mean(deviation, axis=(1, 2, 4))  # [N / group, channels]
        maps = tf.tile(deviation[:, None, None, :], (group, height, width, 1))
        return tf.concat([inputs, tf.cast(maps, inputs.dtype)], axis=-1)

    def _check(self, batch):
        if batch is None or self.group_size is None:
            return
        if batch > self.group_size and batch % self.group_size:
            raise ValueError(
                f"A batch must be a multiple of the group size {self.group_size} (or smaller). "
                f"Received: {batch} images"
            )

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + self.channels)
