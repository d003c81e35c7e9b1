"""LPIPS, the learned perceptual distance of two images, and the VGG16 of perceptual path length.

Paper: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"
(arXiv:1801.03924), equation 1; official code: richzhang/PerceptualSimilarity (BSD-2), version 0.1
of its heads. For maps y of K layers, each place scaled to unit length over the channels:

    d(x, x') = sum_k mean_{h,w} sum_c  w_{k,c} (y_{k,h,w,c}(x) - y_{k,h,w,c}(x'))^2

Backbones: `"alex"` (what the paper recommends as a metric), `"vgg"` (NVIDIA's perceptual path
length, `vgg16_zhang_perceptual`; torch-fidelity's PPL), `"squeeze"`. Fill them with
`ganzoo.convert.lpips`.

Since no weight is negative, d is the squared Euclidean distance of two vectors, `embedding`: what
is measured against many images is computed once.
"""

import keras
import tensorflow as tf
from keras import layers, ops

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of ImageNet, for [-1, 1]
EPSILON = 1e-10  # added to the length of a place's vector
TINY = 1e-30  # far below its square
PLAIN = {"data_format": "channels_last", "dtype": "float32"}
CHANNELS = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
SMALLEST = {"alex": 31, "vgg": 16, "squeeze": 31}  # pixels, so that each map has one
register = keras.saving.register_keras_serializable(package="ganzoo")


@register
class LPIPS(keras.Model):
    """Learned perceptual image patch similarity; lower is more alike, 0 for equal images.

    Args: backbone: `"alex"`, `"vgg"` or `"squeeze"`. Values of different ones cannot be compared.
    Input shape: two of float32 [B, H, W, 3] in [-1, 1], of equal shapes; H and W at least
        `SMALLEST[backbone]`.
    Output shape: float32 [B].
    Raises: ValueError: for an unknown backbone; images smaller than that, or of unequal shapes.
    Reference: arXiv:1801.03924, equation 1; agrees with lpips 0.1.4 to 1e-4 relative (test).
    """

    def __init__(self, backbone="alex", name="lpips", **kwargs):
        if backbone not in CHANNELS:
            raise ValueError(
                f"`backbone` must be one of {list(CHANNELS)}. Received: backbone={backbone!r}"
            )
        super().__init__(name=name, dtype="float32", **kwargs)
        # Layers
        self.backbone = backbone
        self.features = BACKBONES[backbone]()
        self.heads = [Head(name=f"head{k}") for k in range(len(CHANNELS[backbone]))]
        # Graph
        for head, channels in zip(self.heads, CHANNELS[backbone]):
            head.build((None, None, None, channels))
        self.built = True
        self.trainable = False

    def call(self, first, second):
        return sum(self.layer_distances(first, second))

    def layer_distances(self, first, second) -> list[tf.Tensor]:
        """Each layer's share of the distance: list of float32 [B]."""
        if first.shape[1:] != second.shape[1:]:
            raise ValueError(
                "Expected two batches of images of one shape. "
                f"Received: shapes {tuple(first.shape)} and {tuple(second.shape)}"
            )
        return [
            ops.sum(ops.square(a - b), axis=1)
            for a, b in zip(self._vectors(first), self._vectors(second))
        ]

    def embedding(self, images) -> tf.Tensor:
        """Vectors whose squared distances are LPIPS: float32 [B, sum_k H_k * W_k * C_k]."""
        return ops.concatenate(self._vectors(images), axis=1)

    def _vectors(self, images):
        smallest = SMALLEST[self.backbone]
        if None not in images.shape[1:3] and min(images.shape[1:3]) < smallest:
            raise ValueError(
                f"LPIPS with {self.backbone!r} needs images of at least {smallest} pixels; "
                f"enlarge them first. Received: shape={tuple(images.shape)}"
            )
        scaled = (ops.cast(images, "float32") - ops.array(SHIFT)) / ops.array(SCALE)
        return [head(maps) for head, maps in zip(self.heads, self.features(scaled))]

    def get_config(self):
        return {"backbone": self.backbone, "name": self.name}


@register
class Head(layers.Layer):
    """One layer's maps as a vector: unit length at each place, times sqrt(weight / places).

    Input shape: float32 [B, H, W, C]. Output shape: float32 [B, H * W * C].
    """

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", **kwargs)

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1],), initializer="ones", name="kernel")

    def call(self, maps):
        square = ops.sum(ops.square(maps), axis=-1, keepdims=True)
        length = ops.sqrt(ops.maximum(square, TINY))  # the root's slope at 0 is infinite
        height, width = ops.shape(maps)[1:3]
        places = ops.cast(height * width, "float32")
        vectors = maps / (length + EPSILON) * ops.sqrt(self.kernel / places)
        return ops.reshape(vectors, (-1, height * width * maps.shape[-1]))

    def get_config(self):
        return {"name": self.name}


# Backbones: functional networks from scaled images to a list of maps


def _conv(name, x, filters, size, *, strides=1, padding="same"):
    return layers.Conv2D(
        filters, size, strides=strides, padding=padding, activation="relu", name=name, **PLAIN
    )(x)


def _pool(name, x, size, padding="valid"):
    return layers.MaxPooling2D(size, 2, padding, name=name, **PLAIN)(x)


def _alex():
    """Krizhevsky's "one weird trick" network (arXiv:1404.5997), maps behind each ReLU."""
    images = keras.Input((None, None, 3), dtype="float32", name="images")
    x = layers.ZeroPadding2D(2, data_format="channels_last", name="pad")(images)
    maps = [_conv("conv0", x, 64, 11, strides=4, padding="valid")]
    maps.append(_conv("conv3", _pool("pool2", maps[-1], 3), 192, 5))
    maps.append(_conv("conv6", _pool("pool5", maps[-1], 3), 384, 3))
    maps.append(_conv("conv8", maps[-1], 256, 3))
    maps.append(_conv("conv10", maps[-1], 256, 3))
    return keras.Model(images, maps, name="alex")


def _vgg():
    """VGG16 (arXiv:1409.1556, configuration D), maps behind the last ReLU before each pool."""
    images = keras.Input((None, None, 3), dtype="float32", name="images")
    x, number, maps = images, 0, []
    for block, (depth, filters) in enumerate(zip((2, 2, 3, 3, 3), CHANNELS["vgg"])):
        if block:
            x, number = _pool(f"pool{number}", x, 2), number + 1
        for _ in range(depth):
            x, number = _conv(f"conv{number}", x, filters, 3), number + 2
        maps.append(x)
    return keras.Model(images, maps, name="vgg")


def _squeeze():
    """SqueezeNet 1.1 (arXiv:1602.07360), seven maps."""
    images = keras.Input((None, None, 3), dtype="float32", name="images")
    x = _conv("conv0", images, 64, 3, strides=2, padding="valid")
    maps = [x]
    for number, filters, pooled in (
        (3, 64, True), (4, 64, False), (6, 128, True), (7, 128, False),
        (9, 192, True), (10, 192, False), (11, 256, False), (12, 256, False),
    ):  # fmt: skip
        x = _ceil_pool(f"pool{number - 1}", x) if pooled else x
        x = _fire(f"fire{number}", x, filters)
        if number not in (3, 6):
            maps.append(x)
    return keras.Model(images, maps, name="squeeze")


def _ceil_pool(name, x):
    """A pool of 3 by 2 whose last window may reach one pixel beyond the map.

    A zero there changes no maximum, since maps behind a ReLU are not negative.
    """
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), data_format="channels_last", name=f"{name}_pad")(x)
    return _pool(name, x, 3)


def _fire(name, x, filters):
    x = _conv(f"{name}_squeeze", x, filters // 4, 1)
    wide = _conv(f"{name}_expand1x1", x, filters, 1), _conv(f"{name}_expand3x3", x, filters, 3)
    return layers.Concatenate(name=name, dtype="float32")(list(wide))


BACKBONES = {"alex": _alex, "vgg": _vgg, "squeeze": _squeeze}
