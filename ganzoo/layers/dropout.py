"""Dropout that resumes where it stopped."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ganzoo")
class Dropout(keras.layers.Dropout):
    """Zeroes a share `rate` of the elements in training and divides the others by `1 - rate`.

    Differs from Keras' layer: its random state is saved with the model, so that a resumed training
    draws the masks of an unbroken one, and every replica has masks of its own.

    Args:
        rate: float in [0, 1).
        **kwargs: as for `keras.layers.Dropout`, without `noise_shape`.
    Input shape: float [B, ...].
    Output shape: the input's.
    Reference: Srivastava et al. 2014, JMLR 15, section 10 ("inverted" scaling).
    """

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        seed = tf.cast(self.seed_generator.next(), "int32")
        seed += tf.stack([tf.cast(replica, "int32"), 0])
        keep = tf.random.stateless_uniform(tf.shape(inputs), seed) >= self.rate
        return tf.where(keep, inputs / (1.0 - self.rate), tf.zeros_like(inputs))

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.rate > 0:
            store["seed"] = self.seed_generator.state.numpy()

    def load_own_variables(self, store):
        if "seed" in store.keys():
            self.seed_generator.state.assign(store["seed"])
