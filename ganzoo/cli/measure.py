"""How good models are: evaluate, neighbours, compare."""

import shlex

import click

from ganzoo.cli.options import Quantity, accept_license, bar, data_dir_option, seed_option
from ganzoo.metrics.names import FEATURES


@click.command()
@click.argument("name")
@click.option("--metrics", help="Such as fid,kid,coverage. Default: all that need no network.")
@click.option("-n", "--count", type=Quantity(), default=10_000, show_default=True, help="Samples.")
@click.option("-o", "--out", help="JSON file of the records. Default: only shown.")
@click.option("--dataset", help="TFDS name, folder or recipe.py. Default: what it was trained on.")
@click.option("--split", help="Of the data set. Default: test where there is one.")
@click.option("--real", "n_real", type=Quantity(), help="Real images. Default: as many as samples.")
@click.option("--features", help=f"{', '.join(FEATURES[:-1])} or {FEATURES[-1]}.")
@click.option("--weights", help="File of the Inception weights, instead of the published one.")
@seed_option
@click.option("--truncation", type=float, help="Of the latents. Default: none.")
@click.option("--mirror", type=click.Choice(["none", "both"]), default="none", help="Of the reals.")
@click.option("--batch-size", type=Quantity(), default=64, show_default=True)
@data_dir_option
@accept_license
def evaluate(name, out, **options) -> None:
    """Measure a model against real images; the values and how they were measured.

    NAME is anything that `generate` takes.
    """
    from ganzoo import measure, pictures
    from ganzoo.metrics import records

    if out:
        pictures.make_room(out)
    shown = _Bars(options["count"])
    command = shlex.join(["ganzoo", "evaluate", name, *_given(options)])
    measured = measure.measure(name, progress=shown, command=command, **options)
    shown.close()
    click.echo(records.table(measured))
    if out:
        click.echo(records.save(out, measured))


def _given(options):
    """The options of `evaluate` that decide its values, as they are typed."""
    names = {"count": "-n", "n_real": "--real"}
    words = []
    for key, value in options.items():
        default = {"count": 0, "seed": 0, "mirror": "none"}.get(key)
        if value != default and key not in ("batch_size", "data_dir", "accept_license"):
            words += [names.get(key, f"--{key}"), str(value)]
    return words


class _Bars:
    """Bars on stderr, first of the real images and then of the samples."""

    def __init__(self, count):
        self.count, self.side, self.bar = count, None, None

    def __call__(self, side, images):
        if side != self.side:
            self.close()
            total = self.count if side == "fake" else None
            self.side, self.bar = side, bar(side, total, unit=" images")
        self.bar.update(images)

    def close(self):
        if self.bar is not None:
            self.bar.close()


@click.command()
@click.argument("name")
@click.option("-n", "--count", type=Quantity(), default=10, show_default=True, help="Samples.")
@click.option("--nearest", type=Quantity(), default=5, show_default=True, help="Images of each.")
@click.option("-o", "--output", default="neighbours.png", show_default=True, help="PNG.")
@click.option("--space", type=click.Choice(["features", "pixels"]), default="features")
@click.option("--dataset", help="TFDS name, folder or recipe.py. Default: what it was trained on.")
@click.option("--split", help="Of the data set. Default: that of training.")
@click.option("--features", help="See `evaluate`.")
@seed_option
@data_dir_option
@accept_license
def neighbours(name, output, **options) -> None:
    """Draw samples of NAME, and beside each the training images that are nearest to it."""
    from ganzoo import measure, pictures

    pictures.make_room(output)
    shown = _Bars(None)
    picture, nearest = measure.neighbours(name, progress=shown, **options)
    shown.close()
    click.echo(pictures.write_grid(output, picture[None]))
    for row, (places, distances) in enumerate(zip(nearest.indices, nearest.distances)):
        words = [f"{place} ({distance:.3g})" for place, distance in zip(places, distances)]
        click.echo(f"sample {row}: {', '.join(words)}")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="RECORDS...")
@click.option("-o", "--output", help="PNG of the same as bars; needs matplotlib.")
@click.option("--varying", default="", help="Fields that differ on purpose, such as truncation.")
def compare(names, output, varying) -> None:
    """Rank models by what `evaluate` measured.

    RECORDS are files that `evaluate` wrote, folders with a records.json, or names of shipped
    models. Refuses to rank values that were not measured alike.
    """
    from ganzoo.metrics import records

    varying = [field for field in varying.split(",") if field]
    measured = [record for name in names for record in records.of(name)]
    click.echo(records.comparison(measured, varying=varying))
    if output:
        click.echo(records.plot(output, measured, varying=varying))


COMMANDS = (evaluate, neighbours, compare)
