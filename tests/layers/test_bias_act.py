"""The leaky ReLU of the StyleGANs, against TensorFlow's."""

import numpy as np
import pytest
import tensorflow as tf

from ganzoo.layers.bias_act import bias_act, leaky_relu


@pytest.mark.parametrize("slope", [0.0, 0.2, 0.01])
def test_values_and_gradients_are_tensorflows(slope):
    x = tf.constant(np.random.RandomState(0).randn(4, 5), "float32")
    x = tf.concat([x, tf.zeros([1, 5])], 0)
    upstream = tf.constant(np.random.RandomState(1).randn(5, 5), "float32")
    found = []
    for function in (leaky_relu, tf.nn.leaky_relu):
        with tf.GradientTape() as outer:
            outer.watch([x, upstream])
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x, slope)
            first = tape.gradient(y, x, upstream)
            squared = tf.reduce_sum(first**2)
        found.append([y, first, outer.gradient(squared, upstream)])
    for ours, theirs in zip(*found):
        np.testing.assert_array_equal(ours, theirs)


def test_a_penalty_of_the_gradient_trains():
    x = tf.constant(np.random.RandomState(0).randn(6, 3), "float32")
    found = []
    for function in (leaky_relu, tf.nn.leaky_relu):
        w = tf.Variable(np.random.RandomState(1).randn(3, 2).astype("float32"))
        with tf.GradientTape() as outer:
            with tf.GradientTape() as tape:
                tape.watch(x)
                score = tf.reduce_sum(function(function(x @ w, 0.2) ** 2, 0.2))
            penalty = tf.reduce_sum(tape.gradient(score, x) ** 2)
        found.append(outer.gradient(penalty, w).numpy())
    np.testing.assert_allclose(*found, rtol=1e-5)
    assert np.abs(found[0]).max() > 0.1


def test_noise_comes_after_the_bias():
    x = tf.constant([[-1.0, 2.0]])
    y = bias_act(x, tf.constant([0.5, 0.5]), "lrelu", gain=1.0, noise=tf.constant([[1.0, -4.0]]))
    np.testing.assert_allclose(y, [[0.5, -0.3]], atol=1e-6)
