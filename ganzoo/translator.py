"""Networks from images to images."""

import keras
import numpy as np
import tensorflow as tf

from ganzoo.checks import check_count
from ganzoo.conditions import Unconditional
from ganzoo.generator import to_float, to_uint8


class Translator(keras.Model):
    """A network from images, and labels where it is told something, to images.

    A subclass maps float32 [B, H, W, C] in [-1, 1] (or a list of it and the label) to the same. It
    is a sibling of `Generator`, not a child: it has no latents.

    Attributes:
        multiple: int > 0. What both sides of an image must be a multiple of. Defaults to 1.
        condition: of `ganzoo.conditions`. Defaults to `Unconditional()`.
    """

    multiple: int = 1
    condition: Unconditional = Unconditional()

    def translate(self, images, *, labels=None, batch_size=8) -> np.ndarray:
        """What the network makes of images.

        Args:
            images: uint8 [N, H, W, C], or [H, W, C] for one, of any size that the network admits.
            labels: what `condition` says; one for all, or one each.
            batch_size: int > 0. Images computed at once; does not change the result.
        Returns: uint8 [N, H, W, C], or [H, W, C] for one.
        Raises: ValueError: another dtype, rank, number of channels or size.
        """
        check_count("batch_size", batch_size)
        images, one = np.asarray(images), np.ndim(images) == 3
        images = self._checked(images[np.newaxis] if one else images)
        labels = self.condition.check(labels, len(images))
        parts = []
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            inputs = [to_float(images[part])] + ([] if labels is None else [labels[part]])
            parts.append(to_uint8(self.forward(inputs).numpy()))
        outputs = np.concatenate(parts)
        return outputs[0] if one else outputs

    def forward(self, inputs) -> tf.Tensor:
        """The compiled inference pass: float32 [B, H, W, C] of `[images]` or `[images, labels]`."""
        if "_compiled" not in self.__dict__:
            self._compiled = tf.function(self._infer, reduce_retracing=True)
        return self._compiled(inputs)

    def _infer(self, inputs):
        return self(inputs if len(inputs) > 1 else inputs[0], training=False)

    def _checked(self, images):
        admitted = keras.tree.flatten(self.input_shape)  # [B, H, W, C], and that of the label
        shape = tuple(admitted[1:4])
        fits = images.ndim == 4 and len(images) and images.dtype == np.uint8
        if not fits or any(n not in (None, m) for n, m in zip(shape, images.shape[1:])):
            raise ValueError(
                f"`images` must be uint8 [N, H, W, C] of shape {(None, *shape)}. "
                f"Received: {images.dtype} of shape {images.shape}"
            )
        if any(side % self.multiple for side in images.shape[1:3]):
            raise ValueError(
                f"The sides of `images` must be multiples of {self.multiple}; crop, pad or resize "
                f"them. Received: shape {images.shape}"
            )
        return images
