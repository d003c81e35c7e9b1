"""The command line: parses and calls, no logic."""

import os
import sys

import click

from ganzoo import hub


class Quantity(click.IntRange):
    """A whole number above zero."""

    def __init__(self):
        super().__init__(min=1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-ganzoo", prog_name="ganzoo")
def cli():
    """Generative adversarial networks for Keras, with weights."""


@cli.command("list")
@click.argument("pattern", default="*")
def list_command(pattern):
    """Published models whose name matches PATTERN."""
    found = hub.list_models(pattern)
    if not found:
        count = len(hub.manifest())
        raise ValueError(f"No model matches {pattern!r}; `ganzoo list` shows all {count}.")
    for name in found:
        row = hub.manifest()[name]
        size = f"{row['resolution']} px" if row["resolution"] else "points"
        click.echo(f"{name:36} {size:>7}  {row['dataset']:20} {row['license']}")


@cli.command()
@click.argument("name")
def info(name):
    """What the manifest says of a model."""
    for key, value in hub.row_of(name).items():
        click.echo(f"{key:12} {value}")


@cli.command()
@click.argument("name")
@click.option("-n", "--count", type=Quantity(), default=64, show_default=True, help="Images.")
@click.option("-o", "--output", default="samples.png", show_default=True, help="PNG, a grid.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--label", type=int, help="Class of every image; default: each class in turn.")
@click.option("--batch-size", type=Quantity(), default=32, show_default=True)
def generate(name, count, output, seed, label, batch_size):
    """Draw images into one PNG.

    NAME is a published model, a folder that `train` wrote, or a .keras or foreign checkpoint file.
    """
    import numpy as np

    from ganzoo import callbacks

    generator = hub.load_generator(name)
    if label is not None and not generator.num_classes:
        raise ValueError(f"{name!r} has no classes; leave out --label. Received: --label {label}")
    callbacks.make_room(output)
    latents = generator.latents(count, seed)
    labels = np.full(count, label) if label is not None else np.arange(count)
    if label is None and generator.num_classes:
        labels %= generator.num_classes
    images = []
    starts = range(0, count, batch_size)
    with click.progressbar(starts, label=f"{count} images", file=sys.stderr) as shown:
        for start in shown:
            part = slice(start, start + batch_size)
            images.append(
                generator.generate(
                    latents=latents[part],
                    labels=labels[part] if generator.num_classes else None,
                    batch_size=batch_size,
                )
            )
    click.echo(callbacks.write_grid(output, callbacks.pictures(np.concatenate(images))))


@cli.command()
@click.argument("recipe")
@click.option("--out", help="Folder of the run; resumed if it holds one. Default: runs/RECIPE.")
@click.option("--images", type=Quantity(), help="Real images to show, instead of the recipe's.")
@click.option("--batch-size", type=Quantity(), help="Instead of the recipe's.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Instead of the recipe's.")
@click.option("--data-dir", help="Where the data sets are. Default: TFDS' own.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard logs.")
def train(recipe, out, images, batch_size, seed, data_dir, tensorboard):
    """Train RECIPE, a name of `ganzoo recipes` or a .py file; the same command resumes.

    Ctrl-C finishes the step, keeps the state and stops; a second one stops at once.
    """
    from ganzoo import recipe as recipes

    settings = recipes.read(recipe)
    settings = recipes.override(settings, images=images, batch_size=batch_size, seed=seed)
    name = recipes.title(recipe)
    folder = out or f"runs/{name}"
    verbose = 1 if sys.stdout.isatty() else 2  # a bar, or a line for each epoch
    try:
        recipes.run(
            settings, folder, name=name, data_dir=data_dir, tensorboard=tensorboard, verbose=verbose
        )
    except KeyboardInterrupt:
        click.echo(f"\nStopped; the same command goes on with what {folder} holds.", err=True)
        sys.exit(130)
    click.echo(f"{folder}/samples.png")


@cli.command()
@click.argument("recipe")
def check(recipe):
    """Build RECIPE and train one step of each phase on random data."""
    from ganzoo import recipe as recipes

    gan = recipes.check(recipes.read(recipe))
    weights = ", ".join(f"{n} {net.count_params():,}" for n, net in gan.networks().items())
    click.echo(f"ok: {type(gan).__name__}, weights: {weights}")


@cli.command("recipes")
def recipes_command():
    """Names of the recipes."""
    from ganzoo import recipe as recipes

    for name in recipes.names():
        click.echo(name)


@cli.command()
@click.option("--out", default="demo", show_default=True, help="Folder of the grids.")
@click.option(
    "--seconds", type=click.IntRange(0), default=60, show_default=True, help="Of fine-tuning."
)
def demo(out, seconds):
    """Faces from a shipped checkpoint, then a fine-tuning on real photographs; no network."""
    from ganzoo import demonstration

    for path in demonstration.run(out, seconds):
        click.echo(path)


def main(arguments=None):
    """Runs the command line; an error of the input is one line on stderr and exit code 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    try:
        cli.main(args=arguments, prog_name="ganzoo", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(130)
    except (ValueError, OSError, MemoryError) as error:
        click.echo(f"ganzoo: {one_line(str(error))}", err=True)
        sys.exit(2)


def one_line(text):
    """The lines of a text as one, with semicolons between them."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines).replace(":; ", ": ")


if __name__ == "__main__":
    main()
