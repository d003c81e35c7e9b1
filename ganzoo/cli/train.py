"""How models are made: train, check, recipes."""

import sys

import click

from ganzoo.cli.options import SEED, Quantity, data_dir_option


@click.command()
@click.argument("recipe")
@click.option("--out", help="Folder of the run; resumed if it holds one. Default: runs/RECIPE.")
@click.option("--images", type=Quantity(), help="Real images to show, instead of the recipe's.")
@click.option("--batch-size", type=Quantity(), help="Instead of the recipe's.")
@click.option("--seed", type=SEED, help="Instead of the recipe's.")
@data_dir_option
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard logs.")
def train(recipe, out, images, batch_size, seed, data_dir, tensorboard) -> None:
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


@click.command()
@click.argument("recipe")
def check(recipe) -> None:
    """Build RECIPE and train one step of each phase on random data."""
    from ganzoo import recipe as recipes

    gan = recipes.check(recipes.read(recipe))
    weights = ", ".join(f"{n} {net.count_params():,}" for n, net in gan.networks().items())
    click.echo(f"ok: {type(gan).__name__}, weights: {weights}")


@click.command("recipes")
def recipes_command() -> None:
    """Names of the recipes."""
    from ganzoo import recipe as recipes

    for name in recipes.names():
        click.echo(name)


COMMANDS = (train, check, recipes_command)
