"""Normalisation layers with the official codes' conventions."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ganzoo")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation as PyTorch, Theano and TF 1 compute it.

    Differs from Keras' layer: the running variance is updated with the *unbiased* batch variance,
    epsilon defaults to 1e-5 and momentum to 0.9 (the share of the old statistic that is kept), and
    training uses TensorFlow's fused kernel, which has a second derivative.

    Args:
        momentum: float in [0, 1). Defaults to 0.9.
        epsilon: float > 0. Defaults to 1e-5.
        synchronized: bool. Statistics are those of all replicas' batches together, as one replica
            with the whole batch has them. Defaults to `False`: each has those of its own batch.
        **kwargs: as for `keras.layers.BatchNormalization`, without masks and renorm.
    Input shape: float [B, C] or [B, H, W, C].
    Output shape: the input's.
    Reference: Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithm 1 and 2.
    """

    def __init__(self, *, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=False):
        if not (training and self.trainable):
            return super().call(inputs, training=False)
        if self.synchronized:
            return self._synchronized(inputs)
        x = inputs if len(inputs.shape) == 4 else inputs[:, tf.newaxis, tf.newaxis, :]
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma.value if self.scale else tf.ones_like(self.moving_mean.value),
            offset=self.beta.value if self.center else tf.zeros_like(self.moving_mean.value),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance)  # the kernel returns the unbiased variance
        return tf.ensure_shape(y, x.shape) if len(inputs.shape) == 4 else y[:, 0, 0, :]

    def _synchronized(self, inputs):
        x = tf.cast(inputs, self.moving_mean.dtype)
        axes = list(range(x.shape.rank - 1))
        counts = tf.reduce_sum(tf.ones_like(x), axes)
        sums, counts = _over_replicas([tf.reduce_sum(x, axes), counts])
        mean = sums / counts
        # not the mean of x^2 less mean^2, which cancel where the mean is large
        squares = _over_replicas(tf.reduce_sum(tf.square(x - mean), axes))
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, squares / (counts - 1.0))
        y = (x - mean) * tf.math.rsqrt(squares / counts + self.epsilon)
        y = y * self.gamma.value if self.scale else y
        y = y + self.beta.value if self.center else y
        return tf.cast(y, inputs.dtype)

    def _move(self, statistic, batch):
        statistic.assign(statistic.value * self.momentum + batch * (1.0 - self.momentum))


def _over_replicas(sums):
    """The sums of a tensor, or of several, over the replicas; differentiable as often as wanted."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
