"""Networks from mel spectrograms to sound."""

import keras
import numpy as np
import tensorflow as tf

from ganzoo.checks import check_count


class Vocoder(keras.Model):
    """A network from mel spectrograms float32 [B, frames, bands] to sound [B, frames * hop_length].

    Attributes:
        bands: int > 0. Of the mel spectrogram.
        hop_length: int > 0. Samples of sound a frame.
        sample_rate_hz: int > 0. Samples a second.
    """

    bands: int = 0
    hop_length: int = 0
    sample_rate_hz: int = 0

    def generate(self, mel, *, batch_size=8) -> np.ndarray:
        """Sound of mel spectrograms.

        Args:
            mel: float [N, frames, bands], or [frames, bands] for one; on the scale of training.
            batch_size: int > 0. Computed at once; does not change the result.
        Returns: float32 [N, frames * hop_length] in [-1, 1], or [frames * hop_length] for one.
        Raises: ValueError: another rank or number of bands, or values that are not finite.
        """
        check_count("batch_size", batch_size)
        mel, one = np.asarray(mel), np.ndim(mel) == 2
        mel = self._checked(mel[np.newaxis] if one else mel)
        parts = [
            self.forward(tf.constant(mel[start : start + batch_size])).numpy()
            for start in range(0, len(mel), batch_size)
        ]
        sound = np.clip(np.concatenate(parts).reshape(len(mel), -1), -1.0, 1.0)
        return sound[0] if one else sound

    def forward(self, mel) -> tf.Tensor:
        """The compiled inference pass: float32 [B, frames * hop_length], or with an axis of 1."""
        if "_compiled" not in self.__dict__:
            self._compiled = tf.function(self._infer, reduce_retracing=True)
        return self._compiled(mel)

    def _infer(self, mel):
        return tf.cast(self(mel, training=False), "float32")

    def _checked(self, mel):
        if mel.ndim != 3 or 0 in mel.shape or mel.shape[2] != self.bands:
            raise ValueError(
                f"`mel` must have shape [N, frames, bands] = {(None, None, self.bands)}. "
                f"Received: shape {mel.shape}"
            )
        mel = mel.astype("float32")
        if not np.isfinite(mel).all():
            raise ValueError("`mel` must be finite. Received: NaN or infinity among its values")
        return mel
