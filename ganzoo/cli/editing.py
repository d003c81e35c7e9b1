"""What a latent space is good for: mix, interpolate, project, edit, direction, sweep."""

import pathlib

import click

from ganzoo import hub
from ganzoo.cli.options import Quantity, accept_license, bar, seed_option, seeds
from ganzoo.errors import EditingError

seed_list = click.option("--seeds", "sources", default="0,1,2", show_default=True, help="0,3,7-9")
truncation_option = click.option(
    "--truncation", type=float, default=1.0, show_default=True, help="Of w; 1 is none."
)
label_option = click.option("--label", type=int, help="Class of every image. Default: 0.")
scale_option = click.option(
    "--scale", type=Quantity(), default=1, show_default=True, help="Factor of the pixels."
)
layers_help = "all, coarse, middle, fine, or numbers such as 0-3,6."


@click.command()
@click.argument("name")
@click.option("--rows", default="0,1,2", show_default=True, help="Seeds of sources A: 0,3,7-9.")
@click.option("--columns", default="3,4,5,6", show_default=True, help="Seeds of sources B.")
@click.option(
    "--layers", multiple=True, default=["coarse"], show_default=True,
    help=f"What comes from B: {layers_help} Once, or once for each row.",
)
@truncation_option
@label_option
@scale_option
@click.option("-o", "--out", default="mix.png", show_default=True, help="PNG.")
@accept_license
def mix(name, out, rows, columns, layers, label, scale, accept_license, **options) -> None:
    """Mix styles: each row's image with some layers from each column's.

    NAME is anything that `generate` takes, of a StyleGAN.
    """
    from ganzoo.editing import grids

    generator = _generator(name, out, accept_license)
    layers = layers[0] if len(layers) == 1 else list(layers)
    sources = seeds(rows), seeds(columns)
    mixed = grids.style_mix(generator, *sources, layers, **_labels(generator, label), **options)
    _write(out, mixed, scale)


@click.command()
@click.argument("name")
@seed_list
@click.option("--steps", type=Quantity(), default=30, show_default=True, help="From seed to seed.")
@click.option("--space", type=click.Choice(["w", "z"]), help="Default: w where there is one.")
@click.option("--path", type=click.Choice(["open", "loop"]), default="open", show_default=True)
@click.option("--fps", type=float, default=30, show_default=True, help="Images per second.")
@click.option("--columns", type=Quantity(), help="Of a PNG. Default: a square.")
@truncation_option
@label_option
@scale_option
@click.option("-o", "--out", default="path.png", show_default=True, help="PNG, GIF or MP4.")
@accept_license
def interpolate(
    name, out, sources, steps, fps, columns, label, scale, accept_license, **options
) -> None:
    """Draw the images between seeds, as a film or side by side.

    NAME is anything that `generate` takes. Lines in w, arcs in z.
    """
    from ganzoo.editing import figures, grids

    generator = _generator(name, out, accept_license)
    figures.check_suffix(pathlib.Path(out))
    points = seeds(sources)
    path = grids.interpolate(generator, points, steps, **_labels(generator, label), **options)
    images = figures.enlarge(path.images, scale)
    click.echo(figures.save(out, images, fps=fps, columns=columns))


@click.command()
@click.argument("name")
@click.argument("image")
@click.option("--space", type=click.Choice(["w", "w+"]), default="w", show_default=True)
@click.option("--steps", type=Quantity(), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--perceptual", type=click.Choice(["auto", "lpips", "multi-scale"]), default="auto",
    show_default=True, help="Distance of images; auto: LPIPS if it was fetched before.",
)
@click.option(
    "--noise", type=click.Choice(["optimize", "const", "none"]), default="optimize",
    show_default=True,
)
@label_option
@click.option("-o", "--out", default="projection", show_default=True, help="Folder.")
@accept_license
def project(name, image, out, label, accept_license, **options) -> None:
    """Look for the w of a StyleGAN whose picture is nearest to IMAGE, a PNG or JPEG of its size."""
    from ganzoo.editing import projection

    generator = _generator(name, pathlib.Path(out) / projection.FILE, accept_license)
    picture = projection.read_image(image, generator.output_shape[-1])
    with bar("", options["steps"], unit=" steps", elsewhere="steps") as shown:
        nearest = projection.project(
            generator,
            picture,
            progress=lambda step, distance: shown.update(),
            **_labels(generator, label),
            **options,
        )
    paths = nearest.save(out)
    click.echo(
        f"{nearest.loss} {nearest.start_distance:.4g} -> {nearest.distance:.4g}, "
        f"PSNR {nearest.start_psnr:.1f} -> {nearest.psnr:.1f} dB"
    )
    for path in paths:
        click.echo(path)


@click.command()
@click.argument("name")
@click.option("--seed", help="One or several: 0,3,7-9.")
@click.option("--projected", help="Folder that `project` wrote, instead of a seed.")
@click.option(
    "--direction", default="sefa:0", show_default=True,
    help="sefa:NUMBER, mean:SEEDS/SEEDS (towards, away from), or a file of `direction`.",
)
@click.option("--strength", default="-3:3:7", show_default=True, help="first:last:count, or 1,2.5")
@click.option("--layers", default="all", show_default=True, help=f"That move: {layers_help}")
@truncation_option
@label_option
@scale_option
@click.option("-o", "--out", default="edit.png", show_default=True, help="PNG.")
@accept_license
def edit(
    name, out, seed, projected, direction, strength, layers, label, scale, accept_license, **options
) -> None:
    """Move images of NAME along a direction: a row for each seed, a column for each strength."""
    from ganzoo.editing import directions, projection

    generator = _generator(name, out, accept_license)
    options |= _labels(generator, label)
    if (seed is None) == (projected is None):
        raise EditingError("Name either --seed or --projected, the folder that `project` wrote")
    projected = None if projected is None else projection.load_projection(projected)
    edited = directions.edit(
        generator,
        seeds(seed) if projected is None else projected.ws,
        _direction(generator, direction, layers, label),
        values(strength),
        layers=layers,
        noise_of=projected,
        **options,
    )
    _write(out, edited, scale)


@click.command()
@click.argument("name")
@click.option("--classifier", required=True, help="fashion, avatars, ...")
@click.option("--attribute", required=True, help="Out of the classifier's, or number of a class.")
@click.option("-n", "--count", type=Quantity(), default=10_000, show_default=True, help="Samples.")
@seed_option
@click.option("--space", type=click.Choice(["w", "z"]), help="Default: w where there is one.")
@click.option("--cut", type=click.Choice(["svm", "logistic"]), default="svm", show_default=True)
@label_option
@click.option("-o", "--out", default="direction.npz", show_default=True, help="For `edit`.")
@accept_license
def direction(name, out, classifier, attribute, label, accept_license, **options) -> None:
    """Find the direction of NAME's latents in which an attribute appears."""
    from ganzoo.editing import directions
    from ganzoo.metrics.classifier import load_classifier

    generator = _generator(name, out, accept_license)
    judge = load_classifier(classifier)
    cut = directions.find_direction(
        generator,
        _verdicts(judge, classifier, attribute),
        attribute=attribute if judge.attributes else None,
        **_labels(generator, label),
        **options,
    )
    click.echo(f"{cut.save(out)}: {cut.accuracy:.1%} of the samples held out are on their side")


@click.command()
@click.argument("name")
@click.option("--over", type=click.Choice(["truncation", "noise"]), default="truncation")
@seed_list
@click.option("--psi", default="-1:1:7", show_default=True, help="Truncations.")
@label_option
@scale_option
@click.option("-o", "--out", default="sweep.png", show_default=True, help="PNG.")
@accept_license
def sweep(name, out, over, sources, psi, label, scale, accept_license) -> None:
    """Draw seeds under several truncations, or with noise at all, no, fine and coarse layers."""
    from ganzoo.editing import grids

    generator = _generator(name, out, accept_license)
    labels = _labels(generator, label)
    if over == "noise":
        swept = grids.noise_ablation(generator, seeds(sources), **labels)
    else:
        swept = grids.truncation_sweep(generator, seeds(sources), values(psi), **labels)
    _write(out, swept, scale)


# --- words of these commands, and what they write


def values(text: str) -> list[float]:
    """`-1,0,2.5` as it is, `-3:3:7` to seven values from -3 to 3.

    Raises: EditingError: for another text.
    """
    import numpy as np

    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        first, last, count = text.split(":")
        return np.linspace(float(first), float(last), int(count)).tolist()
    except ValueError:
        raise EditingError(
            f"Values are such as -1,0,2.5 or -3:3:7 (first:last:count). Received: {text!r}"
        ) from None


def _generator(name, out, accept_license):
    """The generator, after which the place of the output is tried."""
    from ganzoo import pictures

    generator = hub.load_generator(name, accept_license=accept_license)
    pictures.make_room(out)
    return generator


def _labels(generator, label):
    """`labels` of a `Space`."""
    if label is None:
        return {}
    if not generator.num_classes:
        raise EditingError(
            f"{type(generator).__name__} has no classes; leave out --label. "
            f"Received: --label {label}"
        )
    return {"labels": label}


def _direction(generator, text, layers, label):
    """`sefa:N`, `mean:SEEDS/SEEDS` (towards the first, away from the second) or a .npz file."""
    from ganzoo.editing import directions

    kind, _, rest = text.partition(":")
    if kind == "sefa" and rest.isdecimal():
        return directions.sefa(generator, layers)[int(rest)]
    if kind == "mean" and rest.count("/") == 1:
        towards, away = map(seeds, rest.split("/"))
        return directions.mean_direction(generator, towards, away, **_labels(generator, label))
    if kind in ("sefa", "mean") and not pathlib.Path(text).exists():
        raise EditingError(
            "A direction is sefa:NUMBER, mean:SEEDS/SEEDS, or a .npz file of `ganzoo direction`. "
            f"Received: {text!r}"
        )
    return directions.load_direction(text)


def _verdicts(judge, classifier, attribute):
    """What images are judged by: probabilities of a classifier's attributes, or of one class."""
    if judge.attributes:
        return judge.probabilities
    legal = [str(number) for number in range(judge.classes)]
    if attribute not in legal:
        raise EditingError(
            f"--attribute must be one of {classifier!r}'s classes {legal}. "
            f"Received: {attribute!r}"
        )
    return lambda images: judge.probabilities(images)[:, int(attribute)]


def _write(path, table, scale):
    """Writes a table of images, and says where."""
    from ganzoo import pictures
    from ganzoo.editing import figures

    picture = figures.enlarge(table.picture(), scale)
    click.echo(pictures.write_grid(path, picture[None]))


COMMANDS = (mix, interpolate, project, edit, direction, sweep)
