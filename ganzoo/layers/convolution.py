"""A convolution that is as quick for one image; convolutions that halve or double the side, as in
PyTorch, and DCGAN's stacks.
"""

import keras
import tensorflow as tf

from ganzoo import onednn

NORMAL = keras.initializers.RandomNormal(0.0, 0.02)
FEW = 8  # output maps up to which `Conv2DTranspose` computes all four phases at once
MAPS = 128  # output maps up to which `interleaved` is quicker, where `are_phases_quicker`


def conv2d(x, kernel, step=1, padding="SAME") -> tf.Tensor:
    """`tf.nn.conv2d`; a single image is computed as a volume of depth one, to the same numbers.

    For a batch of one TensorFlow 2.21 hands oneDNN the kernel in TensorFlow's own layout, for which
    there is no quick code without AVX-512: 128 maps of 256 x 256 pixels take 602 ms, here 108.

    Args:
        x: float [N, H, W, C].
        kernel: float [h, w, C, F].
        step: int > 0. Stride. Defaults to 1.
        padding: `"SAME"`, `"VALID"` or borders, as for `tf.nn.conv2d`. Defaults to `"SAME"`.

    Returns: float [N, H', W', F], differentiable any number of times.
    """
    if x.shape[0] != 1 or kernel.shape[:2] == (1, 1) or _has_accelerator():
        return tf.nn.conv2d(x, kernel, step, padding)
    if not isinstance(padding, str):
        x, padding = tf.pad(x, padding), "VALID"
    return _volume(x, kernel, step, padding)


def _has_accelerator():
    return any(device.device_type != "CPU" for device in tf.config.list_physical_devices())


def _volume(x, kernel, step, padding):
    """The gradient is the plane's, whose kernels are the quicker ones."""
    strides = [1, step, step, 1]

    @tf.custom_gradient
    def apply(x, kernel):
        y = tf.nn.conv3d(x[:, tf.newaxis], kernel[tf.newaxis], [1, *strides], padding)

        def gradient(dy):
            dx = tf.nn.conv2d_transpose(dy, kernel, tf.shape(x), step, padding)
            dkernel = tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=kernel.shape, out_backprop=dy, strides=strides,
                padding=padding,
            )
            return dx, dkernel

        return tf.squeeze(y, [1]), gradient  # a form that is joined with a bias behind it

    return apply(x, kernel)


def down_conv(
    x, filters, kernel_size, *, name, initializer=NORMAL, use_bias=False, constraint=None
) -> keras.KerasTensor:
    """Halves the side: convolution of stride 2, padded by `(kernel_size - 1) // 2` on both sides.

    For an even kernel of 4 this is `padding="same"`; for odd kernels it is not (`same` pads the end
    more).
    """
    layer = keras.layers.Conv2D(
        filters, kernel_size, strides=2, padding="same" if kernel_size == 4 else "valid",
        use_bias=use_bias, kernel_initializer=_clone(initializer), kernel_constraint=constraint,
        bias_constraint=constraint, name=name,
    )
    if kernel_size == 4:
        return layer(x)
    return layer(keras.layers.ZeroPadding2D(_padding(kernel_size), name=f"{name}_pad")(x))


def are_phases_quicker() -> bool:
    """Whether a transposed convolution to few maps is quicker as the convolutions of its phases.

    With AVX2 alone oneDNN computes transposed convolutions to up to 128 maps at half its rate: 4.8
    GMAC to 64, 32 and 128 maps take 119, 102 and 89 ms, as phases 77, 89 and 60.
    """
    return onednn.is_narrow() and not _has_accelerator()


@tf.custom_gradient
def interleaved(x, kernel) -> tf.Tensor:
    """Transposed convolution of stride 2, "VALID", with one row and one column of zeros behind.

    Even and odd pixels of either axis are convolutions with every other tap.

    Args:
        x: float [N, H, W, C].
        kernel: float [3, 3, C, F].

    Returns: float [N, 2 H + 2, 2 W + 2, F].
    """
    height, width, filters = x.shape[1], x.shape[2], kernel.shape[3]
    taps, padded = kernel[::-1, ::-1], tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    rows = [
        [conv2d(padded[:, i:, j:], taps[i::2, j::2][: 2 - i, : 2 - j], 1, "VALID") for j in (0, 1)]
        for i in (0, 1)
    ]
    y = tf.stack([tf.stack(row, 3) for row in rows], 2)

    def gradient(dy):
        dy, turned = dy[:, :-1, :-1], tf.transpose(kernel, [0, 1, 3, 2])
        dkernel = tf.raw_ops.Conv2DBackpropFilter(
            input=dy, filter_sizes=turned.shape, out_backprop=x, strides=[1, 2, 2, 1],
            padding="VALID",
        )
        return tf.nn.conv2d(dy, turned, 2, "VALID"), tf.transpose(dkernel, [0, 1, 3, 2])

    return tf.reshape(y, [-1, 2 * height + 2, 2 * width + 2, filters]), gradient


@tf.custom_gradient
def _phases(x, kernel):
    """Transposed convolution of stride 2, `kernel` [4, 4, out, in], padding "same".

    Window w of a 2 x 2 convolution sees pixels w - 1 and w; its four phases are the output pixels
    2 w - 1 and 2 w of both axes. The gradient is the strided convolution's, which is quicker than
    that of the phases.
    """
    filters, depth = kernel.shape[2:]
    taps = tf.reshape(kernel, [2, 2, 2, 2, filters, depth])
    taps = tf.transpose(taps[::-1, :, ::-1], [0, 2, 5, 1, 3, 4])
    taps = tf.reshape(taps, [2, 2, depth, 4 * filters])
    y = tf.nn.conv2d(x, taps, 1, [[0, 0], [1, 1], [1, 1], [0, 0]])

    def gradient(dy):
        dkernel = tf.raw_ops.Conv2DBackpropFilter(
            input=dy, filter_sizes=kernel.shape, out_backprop=x, strides=[1, 2, 2, 1],
            padding="SAME",
        )
        return tf.nn.conv2d(dy, kernel, 2, "SAME"), dkernel

    return tf.nn.depth_to_space(y, 2)[:, 1:-1, 1:-1], gradient


@keras.saving.register_keras_serializable(package="ganzoo")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """Keras' layer with two shapes computed otherwise: the same numbers, several times as fast.

    - A 1 x 1 input (the first layer of a generator) is one matrix product.
    - Stride 2, kernel 4, `padding="same"` and at most eight filters (the last layer): one 2 x 2
      convolution gives the four phases, which are interleaved. CPU kernels for transposed
      convolutions waste most of their width on three maps.

    Args: as for `keras.layers.Conv2DTranspose`, channels last.
    """

    def call(self, inputs):
        if self._is_product(inputs):
            return self._finish(self._product(inputs))
        if self._has_phases():
            return self._finish(_phases(inputs, self.kernel.value))
        return super().call(inputs)

    def _is_product(self, inputs):
        return (
            inputs.shape[1:3] == (1, 1)
            and self.padding == "valid"
            and self.output_padding is None
            and self.dilation_rate == (1, 1)
            and all(size >= stride for size, stride in zip(self.kernel_size, self.strides))
        )

    def _product(self, inputs):
        height, width, filters, depth = self.kernel.shape
        kernel = tf.reshape(self.kernel.value, [-1, depth])
        y = tf.matmul(inputs[:, 0, 0], kernel, transpose_b=True)
        return tf.reshape(y, [-1, height, width, filters])

    def _has_phases(self):
        settings = (self.kernel_size, self.strides, self.padding, self.output_padding)
        return settings == ((4, 4), (2, 2), "same", None) and self.filters <= FEW

    def _finish(self, y):
        y = y if self.bias is None else y + self.bias
        return y if self.activation is None else self.activation(y)


def up_conv(
    x, filters, kernel_size, *, name, initializer=NORMAL, use_bias=False
) -> keras.KerasTensor:
    """Doubles the side: the transpose of `down_conv`."""
    layer = Conv2DTranspose(
        filters, kernel_size, strides=2, padding="same" if kernel_size == 4 else "valid",
        use_bias=use_bias, kernel_initializer=_clone(initializer), name=name,
    )
    if kernel_size == 4:
        return layer(x)
    start = _padding(kernel_size)
    crop = (start, kernel_size - 2 - start)  # 2 * n + kernel_size - 2 pixels come out
    return keras.layers.Cropping2D((crop, crop), name=f"{name}_crop")(layer(x))


def blocks_of(image_size: int) -> tuple[int, int]:
    """(stride-2 layers, side of the smallest map): the size is halved while it is even and > 7.

    Raises: ValueError: if the smallest map would not have a side of 4 to 7 pixels.
    """
    blocks, base = 0, image_size
    while base % 2 == 0 and base > 7:
        blocks, base = blocks + 1, base // 2
    if not 4 <= base <= 7 or blocks < 1:
        raise ValueError(
            "`image_size` must be 4, 5, 6 or 7 times a power of two (28, 32, 48, 64, 128, ...). "
            f"Received: image_size={image_size}"
        )
    return blocks, base


def up_stack(
    latents, image_size, width, *, channels, kernel_size, norm, use_bias=False
) -> keras.KerasTensor:
    """DCGAN's generator without its tanh.

    Args:
        latents: float [B, latent_dim].
        image_size: int, 4 to 7 times a power of two.
        width: int > 0. Maps before the last layer; doubled for each halving of the side.
        channels: int > 0.
        kernel_size: 4 or 5.
        norm: name -> normalisation layer.
        use_bias: bool. Of the last layer, which no normalisation follows. Defaults to `False`.

    Returns: float [B, image_size, image_size, channels].
    Reference: Radford et al. 2016 (arXiv:1511.06434), figure 1.
    """
    blocks, base = blocks_of(image_size)
    x = keras.layers.Reshape((1, 1, latents.shape[-1]), name="seed")(latents)
    for i in range(blocks + 1):
        last = i == blocks
        filters = channels if last else width * 2 ** (blocks - 1 - i)
        if i == 0:
            x = Conv2DTranspose(
                filters, base, use_bias=False, kernel_initializer=_clone(NORMAL), name="up0"
            )(x)
        else:
            x = up_conv(x, filters, kernel_size, name=f"up{i}", use_bias=use_bias and last)
        if not last:
            x = norm(f"norm{i}")(x)
            x = keras.layers.ReLU(name=f"relu{i}")(x)
    return x


def down_stack(
    images, width, *, kernel_size, norm, constraint=None, use_bias=False, leak=0.2
) -> keras.KerasTensor:
    """DCGAN's discriminator.

    Args:
        images: float [B, S, S, C], S being 4 to 7 times a power of two.
        width: int > 0. Maps after the first layer; doubled for each halving of the side.
        kernel_size: 4 or 5.
        norm: name -> normalisation layer.
        constraint: `keras.constraints.Constraint` of every kernel and bias, or `None`.
        use_bias: bool. Of the first and the last layer, which no normalisation follows. Defaults to
            `False`.
        leak: float >= 0. Slope of the LeakyReLUs. Defaults to 0.2 (DCGAN, section 4).

    Returns: float32 [B, 1].
    """
    blocks, base = blocks_of(images.shape[1])
    x = images
    for i in range(blocks):
        x = down_conv(
            x, width * 2**i, kernel_size, name=f"down{i}", constraint=constraint,
            use_bias=use_bias and i == 0,
        )
        if i > 0:
            x = norm(f"norm{i}")(x)
        x = keras.layers.LeakyReLU(leak, name=f"leaky{i}")(x)
    x = keras.layers.Conv2D(
        1, base, use_bias=use_bias, kernel_initializer=_clone(NORMAL), kernel_constraint=constraint,
        bias_constraint=constraint, dtype="float32", name="logit",
    )(x)
    return keras.layers.Flatten(dtype="float32", name="flat")(x)


def _clone(initializer):
    return initializer.__class__.from_config(initializer.get_config())


def _padding(kernel_size):
    if kernel_size not in (3, 5, 7):
        raise ValueError(f"`kernel_size` must be 3, 4, 5 or 7. Received: kernel_size={kernel_size}")
    return (kernel_size - 1) // 2
