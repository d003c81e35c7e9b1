"""What a model is for: generate, convert, demo."""

import click

from ganzoo import hub
from ganzoo.cli.options import Quantity, accept_license, bar, family_option, seed_option, seeds

COUNT = 64  # images


@click.command()
@click.argument("name")
@click.option("-n", "--count", type=Quantity(), help="Images. Default: 64, or the --seeds.")
@click.option("-o", "--output", default="samples.png", show_default=True, help="PNG, a grid.")
@seed_option
@click.option("--seeds", "several", help="One image of each instead, such as 0,3,7-9.")
@click.option("--label", type=int, help="Class of every image; default: each class in turn.")
@click.option("--truncation", type=float, help="Of w, 1 is none. Default: none.")
@click.option("--noise", type=click.Choice(["const", "none", "random"]), help="Default: const.")
@click.option("--batch-size", type=Quantity(), default=32, show_default=True)
@accept_license
def generate(
    name, count, output, seed, several, label, truncation, noise, batch_size, accept_license
) -> None:
    """Draw images into one PNG.

    NAME is a published model, hf://org/repo, https://..., a folder that `train` wrote, or a .keras
    or foreign checkpoint file. --truncation and --noise are for those that have them.
    """
    from ganzoo import pictures
    from ganzoo.generator import Generator

    numbers = None if several is None else seeds(several)
    if numbers is not None and count not in (None, len(numbers)):
        raise ValueError(f"--seeds names {len(numbers)} images. Received: --count {count}")
    generator = hub.load_generator(name, accept_license=accept_license)
    if not isinstance(generator, Generator):
        raise ValueError(
            f"`generate` draws from latents, which a {type(generator).__name__} has not; use it in "
            f"Python, `ganzoo.load_generator({name!r})`. Received: {name!r}"
        )
    if label is not None and not generator.num_classes:
        raise ValueError(f"{name!r} has no classes; leave out --label. Received: --label {label}")
    pictures.make_room(output)
    latents = _latents(generator, numbers, count or COUNT, seed)
    labels = _labels(generator, label, len(latents))
    options = {} if truncation is None else {"truncation": truncation}
    if noise is not None:
        options |= {"noise": noise, "noise_seed": seed} if noise == "random" else {"noise": noise}
    images = _draw(generator, latents, labels, batch_size, options)
    click.echo(pictures.write_grid(output, pictures.pictures(images)))


def _latents(generator, numbers, count, seed):
    """The latents of one seed, or the first of each of several."""
    import numpy as np

    if numbers is None:
        return generator.latents(count, seed)
    return np.concatenate([generator.latents(1, each) for each in numbers])


def _labels(generator, label, count):
    """What each image is told, where the generator is told something."""
    return generator.condition.in_turn(count) if label is None else [label] * count


def _draw(generator, latents, labels, batch_size, options):
    """The images, batch by batch below a bar."""
    import numpy as np

    count, images = len(latents), []
    with bar("", count, unit=" images", elsewhere=f"{count} images") as shown:
        for start in range(0, count, batch_size):
            part = slice(start, start + batch_size)
            images.append(
                generator.generate(
                    latents=latents[part],
                    labels=None if labels is None else labels[part],
                    batch_size=batch_size,
                    **options,
                )
            )
            shown.update(len(images[-1]))
    return np.concatenate(images)


@click.command()
@click.argument("file")
@click.argument("out")
@family_option
@click.option("--pick", help="Key of the file under which the model lies, such as netG_ema.")
@click.option(
    "--channel-order", type=click.Choice(["rgb", "bgr"]), help="Of a FILE that does not tell."
)
@click.option("--license", help="Of the weights, for the card: MIT, CC-BY-NC-4.0, ...")
@accept_license
def convert(file, out, license, **options) -> None:
    """Write a foreign FILE as a new folder OUT in ganzoo's own form.

    FILE may be anything that `generate` takes.
    """
    from ganzoo.hub import publish

    click.echo(publish.convert(file, out, license=license, **options))


@click.command()
@click.option("--out", default="demo", show_default=True, help="Folder of the grids.")
@click.option(
    "--seconds", type=click.IntRange(0), default=60, show_default=True, help="Of fine-tuning."
)
def demo(out, seconds) -> None:
    """Faces from a shipped checkpoint, then a fine-tuning on real photographs; no network."""
    from ganzoo.cli import demonstration

    for path in demonstration.run(out, seconds):
        click.echo(path)


COMMANDS = (generate, convert, demo)
