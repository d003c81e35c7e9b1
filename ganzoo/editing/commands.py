"""What the command line's words mean, and what its commands of this package write."""

import pathlib

import numpy as np

from ganzoo.editing import directions, figures, grids, projection
from ganzoo.editing.space import EditingError
from ganzoo.pictures import make_room, write_grid


def seeds(text) -> list[int]:
    """`0,3,7-9` to [0, 3, 7, 8, 9]."""
    found = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise EditingError(f"Seeds are such as 0,3,7-9. Received: {text!r}")
        if int(last or first) < int(first):
            raise EditingError(f"{part.strip()!r} runs backwards. Received: {text!r}")
        found += range(int(first), int(last or first) + 1)
    return found


def values(text) -> list[float]:
    """`-1,0,2.5` as it is, `-3:3:7` to seven values from -3 to 3."""
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        first, last, count = text.split(":")
        return np.linspace(float(first), float(last), int(count)).tolist()
    except ValueError:
        raise EditingError(
            f"Values are such as -1,0,2.5 or -3:3:7 (first:last:count). Received: {text!r}"
        ) from None


def label_option(generator, label):
    """`labels` of a `Space`."""
    if label is None:
        return {}
    if not generator.num_classes:
        raise EditingError(
            f"{type(generator).__name__} has no classes; leave out --label. "
            f"Received: --label {label}"
        )
    return {"labels": label}


def mix(generator, out, *, rows, columns, layers, scale, label, **options):
    """Writes a table of style mixing; returns its path."""
    make_room(out)
    layers = layers[0] if len(layers) == 1 else list(layers)
    found = grids.style_mix(
        generator, seeds(rows), seeds(columns), layers, **label_option(generator, label), **options
    )
    return _write(out, found.picture(), scale)


def interpolate(generator, out, *, sources, steps, scale, fps, columns, label, **options):
    """Writes a path as a PNG, GIF or MP4; returns its path."""
    figures.check_suffix(make_room(out))
    found = grids.interpolate(
        generator, seeds(sources), steps, **label_option(generator, label), **options
    )
    return figures.save(out, figures.enlarge(found.images, scale), fps=fps, columns=columns)


def project(generator, image, out, *, label, **options):
    """Writes what `Projection.save` does; returns it and the paths."""
    make_room(pathlib.Path(out) / projection.FILE)
    picture = read_image(image, generator.output_shape[-1])
    found = projection.project(generator, picture, **label_option(generator, label), **options)
    return found, found.save(out)


def read_image(path, channels) -> np.ndarray:
    """uint8 [H, W, channels] of a PNG, JPEG, BMP or (its first picture) GIF file.

    Raises: EditingError: if it is none.
    """
    import tensorflow as tf

    try:
        data = pathlib.Path(path).read_bytes()
        return tf.io.decode_image(data, channels=channels, expand_animations=False).numpy()
    except OSError as error:
        raise EditingError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, tf.errors.InvalidArgumentError):
        raise EditingError(
            f"{str(path)!r} is no image; expected a PNG, JPEG, BMP or GIF file"
        ) from None


def edit(generator, out, *, seed, projected, direction, strength, layers, scale, label, **options):
    """Writes a row of images along a direction for each seed; returns its path."""
    make_room(out)
    options |= label_option(generator, label)
    if (seed is None) == (projected is None):
        raise EditingError("Name either --seed or --projected, the folder that `project` wrote")
    found = None if projected is None else projection.load_projection(projected)
    table = directions.edit(
        generator,
        seeds(seed) if found is None else found.ws,
        direction_of(generator, direction, layers, label),
        values(strength),
        layers=layers,
        noise_of=found,
        **options,
    )
    return _write(out, table.picture(), scale)


def direction_of(generator, text, layers, label):
    """`sefa:N`, `mean:SEEDS/SEEDS` (towards the first, away from the second) or a .npz file."""
    kind, _, rest = text.partition(":")
    if kind == "sefa" and rest.isdecimal():
        return directions.sefa(generator, layers)[int(rest)]
    if kind == "mean" and rest.count("/") == 1:
        towards, away = map(seeds, rest.split("/"))
        labels = label_option(generator, label)
        return directions.mean_direction(generator, towards, away, **labels)
    if kind in ("sefa", "mean") and not pathlib.Path(text).exists():
        raise EditingError(
            "A direction is sefa:NUMBER, mean:SEEDS/SEEDS, or a .npz file of `ganzoo direction`. "
            f"Received: {text!r}"
        )
    return directions.load_direction(text)


def direction(generator, out, *, classifier, attribute, label, **options):
    """Finds a direction by a shipped classifier and writes it; returns it and its path."""
    from ganzoo.metrics.classifier import load_classifier

    make_room(out)
    judge = load_classifier(classifier)
    labels = judge.probabilities
    if not judge.attributes:
        legal = [str(number) for number in range(judge.classes)]
        if attribute not in legal:
            raise EditingError(
                f"--attribute must be one of {classifier!r}'s classes {legal}. "
                f"Received: {attribute!r}"
            )
        labels = lambda images: judge.probabilities(images)[:, int(attribute)]  # noqa: E731
    found = directions.find_direction(
        generator,
        labels,
        attribute=attribute if judge.attributes else None,
        **label_option(generator, label),
        **options,
    )
    return found, found.save(out)


def sweep(generator, out, *, over, sources, psi, scale, label):
    """Writes the table of a truncation or noise sweep; returns its path."""
    make_room(out)
    options = label_option(generator, label)
    if over == "noise":
        table = grids.noise_ablation(generator, seeds(sources), **options)
    else:
        table = grids.truncation_sweep(generator, seeds(sources), values(psi), **options)
    return _write(out, table.picture(), scale)


def _write(path, picture, scale):
    return write_grid(path, figures.enlarge(picture, scale)[np.newaxis])
