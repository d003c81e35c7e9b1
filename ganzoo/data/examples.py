"""One example: which sizes are legal, and how a stored picture becomes one of them."""

import numpy as np
import tensorflow as tf

RESIZE_METHODS = ("area", "bicubic", "bilinear", "lanczos3", "lanczos5", "nearest")


def value_faults(dataset) -> list[str]:
    """What is wrong with the fields that bring pictures to one size."""
    faults = []

    def expect(right, field, what):
        if not right:
            faults.append(f"{field} is {what}. Received: {field}={getattr(dataset, field)!r}")

    for field in ("size", "random_crop"):
        value = getattr(dataset, field)
        expect(value is None or is_size(value), field, "an int > 0, (height, width) or None")
    crop = dataset.crop
    expect(crop in (None, "square") or is_count(crop), "crop", "an int > 0, 'square' or None")
    expect(dataset.channels in (None, 1, 3), "channels", "1, 3 or None")
    expect(dataset.limit is None or is_count(dataset.limit), "limit", "an int > 0 or None")
    expect(isinstance(dataset.flip, bool), "flip", "True or False")
    methods = ", ".join(RESIZE_METHODS)
    expect(dataset.resize_method in RESIZE_METHODS, "resize_method", f"one of {methods}")
    names = dataset.attributes
    right = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
    expect(right, "attributes", "a tuple of str, such as ('Smiling',)")
    if dataset.attributes and dataset.label is not None:
        faults.append(
            "label and attributes both fill `label`; leave one out. "
            f"Received: label={dataset.label!r}, attributes={dataset.attributes!r}"
        )
    if not faults and dataset.size is not None and dataset.random_crop is not None:
        too_large = np.greater(pair(dataset.random_crop), pair(dataset.size)).any()
        expect(not too_large, "random_crop", f"at most size={dataset.size!r}")
    return faults


def is_count(value) -> bool:
    """Whether it is an int > 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_size(value) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and all(is_count(side) for side in value)
    return is_count(value)


def pair(size) -> tuple[int, int]:
    """(height, width)."""
    return size if isinstance(size, tuple) else (size, size)


def centre(length, window) -> slice:
    """The middle `window` of `length` pixels."""
    offset = (length - window) // 2
    return slice(offset, offset + window)


def output_shape(dataset, stored) -> tuple[int, int, int]:
    """[H, W, C] after crop, resize and conversion; a stored side of `None` varies."""
    height, width, channels = stored
    if isinstance(dataset.crop, int):
        if any(side is not None and side < dataset.crop for side in (height, width)):
            raise ValueError(
                f"`crop` is at most the stored image's size ({height}, {width}); use crop='square' "
                f"for the largest square. Received: crop={dataset.crop}"
            )
        height = width = dataset.crop
    elif dataset.crop == "square" and None not in (height, width):
        height = width = min(height, width)
    if dataset.size is not None:
        height, width = pair(dataset.size)
    if height is None or width is None:
        raise ValueError(
            f"The images of {dataset.name!r} differ in size; give `size`, and crop='square' to "
            f"keep the aspect ratio. Received: size={dataset.size!r}, crop={dataset.crop!r}"
        )
    channels = dataset.channels or channels
    if channels not in (1, 3):
        raise ValueError(
            f"Images have 1 or 3 channels; give channels=1 or 3. Stored: {channels} channels. "
            f"Received: channels={dataset.channels!r}"
        )
    return height, width, channels


def fit(image, dataset, shape) -> tf.Tensor:
    """uint8 [..., h, w, c] to uint8 [..., *shape]: centre crop, resize, channels, rounding."""
    if dataset.crop is not None:
        height, width = tf.unstack(tf.shape(image)[-3:-1])
        side = tf.minimum(height, width) if dataset.crop == "square" else dataset.crop
        top, left = (height - side) // 2, (width - side) // 2
        image = image[..., top : top + side, left : left + side, :]
    image = tf.cast(image, tf.float32)
    if image.shape[-3:-1] != shape[:2]:
        image = tf.image.resize(image, shape[:2], method=dataset.resize_method, antialias=True)
    if image.shape[-1] == 3 and shape[2] == 1:
        image = tf.image.rgb_to_grayscale(image)
    elif image.shape[-1] == 1 and shape[2] == 3:
        image = tf.image.grayscale_to_rgb(image)
    image = tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)
    return tf.ensure_shape(image, [*image.shape[:-3], *shape])
