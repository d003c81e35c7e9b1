"""The command line: parses, calls and prints."""

import json
import os
import sys

import click

from ganzoo import fetch, hub

accept_license = click.option(
    "--accept-license", is_flag=True, help="Agree to a licence that forbids commercial use."
)
family_option = click.option("--family", help="A file of ganzoo/families, such as dcgan.")


class Quantity(click.IntRange):
    """A whole number above zero."""

    def __init__(self):
        super().__init__(min=1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-ganzoo", prog_name="ganzoo")
def cli():
    """Generative adversarial networks for Keras, with weights."""


# --- what is published


@cli.command("list")
@click.argument("pattern", default="*")
@family_option
@click.option(
    "--commercial/--non-commercial", default=None, help="By whether the licence allows that use."
)
@click.option("--planned", "status", flag_value="planned", help="Those that cannot be loaded yet.")
@click.option("--all", "status", flag_value="all", help="Those and the others.")
def list_command(pattern, family, commercial, status):
    """Published models whose name matches PATTERN."""

    def find(status):
        return hub.list_models(pattern, family=family, commercial=commercial, status=status)

    found = find({None: "available", "planned": "planned", "all": None}[status])
    planned = 0 if status else len(find(None)) - len(found)
    if not found:
        more = f"; {planned} planned ones do, see --planned" if planned else ""
        raise ValueError(
            f"No model matches {pattern!r}{more}; `ganzoo list` shows all {len(hub.list_models())}"
        )
    rows = hub.manifest()
    _table([_cells(name, rows[name]) for name in found])
    if planned:
        click.echo(f"{planned} more are planned; --planned shows them, --all both", err=True)


def _cells(name, row):
    size = _megabytes(file["bytes"] for file in row["files"])
    return name, _size(row["resolution"]), row["dataset"], row["license"], row["status"], size


def _table(rows):
    """Columns of equal width, numbers with units to the right."""
    columns = []
    for column in zip(*rows):
        width = max(map(len, column))
        right = any(cell.endswith((" px", " MB")) for cell in column)
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in column])
    for cells in zip(*columns):
        click.echo("  ".join(cells).rstrip())


def _size(resolution):
    sides = [resolution] if isinstance(resolution, int) else resolution or []
    return f"{'x'.join(map(str, sides))} px" if sides else "-"


def _megabytes(sizes):
    sizes = list(sizes)
    return "? MB" if None in sizes else f"{sum(sizes) / 1e6:.1f} MB"


@cli.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The row of the manifest as it is.")
def info(name, as_json):
    """What the manifest says of a model."""
    row = hub.row_of(name)
    if as_json:
        return click.echo(json.dumps(row, indent=2, ensure_ascii=False))
    for key, value in {"name": hub.full_name(name), **row}.items():
        lines = [_file(file) for file in value] if key == "files" else [_plain(value) or "-"]
        for line in lines:
            click.echo(f"{key:15} {line}")


def _plain(value):
    """A value of the manifest for readers: Keras objects by their class, no braces or quotes."""
    if isinstance(value, dict) and {"class_name", "config"} <= set(value):
        inside = _plain({k: v for k, v in value["config"].items() if k != "name"})
        return f"{value['class_name']}({inside})"
    if isinstance(value, dict) and "value" in value:  # a metric
        return f"{value['value']} ({value.get('command') or value.get('source')})"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list) and any(isinstance(entry, list) for entry in value):
        return json.dumps(value)
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    return "-" if value is None else str(value)


def _file(file):
    """One line on a file: size, hash, places."""
    prefix = file.get("sha256_prefix")
    known = file["sha256"] or (f"{prefix}..." if prefix else "not published")
    places = [
        mirror.get("url")
        or (f"hf://{mirror['hf']}/{mirror['path']}" if "hf" in mirror else "in the package")
        for mirror in file["mirrors"]
    ]
    return f"{_megabytes([file['bytes']])}, sha256 {known}, {' or '.join(places)}"


# --- use


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@accept_license
def download(names, accept_license):
    """Bring models into the cache: names, hf://org/repo or https://... ."""
    for name in names:
        for path in hub.download(name, accept_license=accept_license):
            click.echo(path)


@cli.command()
@click.argument("name")
@click.option("-n", "--count", type=Quantity(), help="Images. Default: 64, or the --seeds.")
@click.option("-o", "--output", default="samples.png", show_default=True, help="PNG, a grid.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--seeds", help="One image of each instead, such as 0,3,7-9.")
@click.option("--label", type=int, help="Class of every image; default: each class in turn.")
@click.option("--truncation", type=float, help="Of w, 1 is none. Default: none.")
@click.option("--noise", type=click.Choice(["const", "none", "random"]), help="Default: const.")
@click.option("--batch-size", type=Quantity(), default=32, show_default=True)
@accept_license
def generate(
    name, count, output, seed, seeds, label, truncation, noise, batch_size, accept_license
):
    """Draw images into one PNG.

    NAME is a published model, hf://org/repo, https://..., a folder that `train` wrote, or a .keras
    or foreign checkpoint file. --truncation and --noise are for those that have them.
    """
    import numpy as np

    from ganzoo import callbacks
    from ganzoo.editing import commands

    seeds = None if seeds is None else commands.seeds(seeds)
    if seeds is not None and count not in (None, len(seeds)):
        raise ValueError(f"--seeds names {len(seeds)} images. Received: --count {count}")
    generator = hub.load_generator(name, accept_license=accept_license)
    if label is not None and not generator.num_classes:
        raise ValueError(f"{name!r} has no classes; leave out --label. Received: --label {label}")
    callbacks.make_room(output)
    if seeds is None:
        latents = generator.latents(count or 64, seed)
    else:
        latents = np.concatenate([generator.latents(1, each) for each in seeds])
    count = len(latents)
    labels = np.full(count, label) if label is not None else np.arange(count)
    if label is None and generator.num_classes:
        labels %= generator.num_classes
    options = {} if truncation is None else {"truncation": truncation}
    if noise is not None:
        options |= {"noise": noise, "noise_seed": seed} if noise == "random" else {"noise": noise}
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
                    **options,
                )
            )
    click.echo(callbacks.write_grid(output, callbacks.pictures(np.concatenate(images))))


@cli.command()
@click.argument("name")
@click.option("--metrics", help="Such as fid,kid,coverage. Default: all that need no network.")
@click.option("-n", "--count", type=Quantity(), default=10_000, show_default=True, help="Samples.")
@click.option("-o", "--out", help="JSON file of the records. Default: only shown.")
@click.option("--dataset", help="TFDS name or folder. Default: what the model was trained on.")
@click.option("--split", help="Of the data set. Default: test where there is one.")
@click.option("--real", "n_real", type=Quantity(), help="Real images. Default: as many as samples.")
@click.option("--features", help="fashion, inception, inception-clean or inception-torch.")
@click.option("--weights", help="File of the Inception weights, instead of the published one.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--truncation", type=float, help="Of the latents. Default: none.")
@click.option("--mirror", type=click.Choice(["none", "both"]), default="none", help="Of the reals.")
@click.option("--batch-size", type=Quantity(), default=64, show_default=True)
@click.option("--data-dir", help="Where the data sets are. Default: TFDS' own.")
@accept_license
def evaluate(name, out, **options):
    """Measure a model against real images; the values and how they were measured.

    NAME is anything that `generate` takes.
    """
    import shlex

    from ganzoo import callbacks, measure
    from ganzoo.metrics import records

    if out:
        callbacks.make_room(out)
    shown = _Progress(options["count"])
    command = shlex.join(["ganzoo", "evaluate", name, *_given(options)])
    found = measure.measure(name, progress=shown, command=command, **options)
    shown.close()
    click.echo(records.table(found))
    if out:
        click.echo(records.save(out, found))


def _given(options):
    """The options of `evaluate` that decide its values, as they are typed."""
    names = {"count": "-n", "n_real": "--real"}
    words = []
    for key, value in options.items():
        default = {"count": 0, "seed": 0, "mirror": "none"}.get(key)
        if value != default and key not in ("batch_size", "data_dir", "accept_license"):
            words += [names.get(key, f"--{key}"), str(value)]
    return words


class _Progress:
    """Bars on stderr, first of the real images and then of the samples."""

    def __init__(self, count):
        self.count, self.side, self.bar = count, None, None

    def __call__(self, side, images):
        import tqdm

        if side != self.side:
            self.close()
            total = self.count if side == "fake" else None
            self.side, self.bar = side, tqdm.tqdm(
                desc=side, total=total, unit=" images", disable=None
            )
        self.bar.update(images)

    def close(self):
        if self.bar is not None:
            self.bar.close()


@cli.command()
@click.argument("name")
@click.option("-n", "--count", type=Quantity(), default=10, show_default=True, help="Samples.")
@click.option("--nearest", type=Quantity(), default=5, show_default=True, help="Images of each.")
@click.option("-o", "--output", default="neighbours.png", show_default=True, help="PNG.")
@click.option("--space", type=click.Choice(["features", "pixels"]), default="features")
@click.option("--dataset", help="TFDS name or folder. Default: what the model was trained on.")
@click.option("--split", help="Of the data set. Default: that of training.")
@click.option("--features", help="See `evaluate`.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--data-dir", help="Where the data sets are. Default: TFDS' own.")
@accept_license
def neighbours(name, output, **options):
    """Draw samples of NAME, and beside each the training images that are nearest to it."""
    from ganzoo import callbacks, measure

    callbacks.make_room(output)
    shown = _Progress(None)
    picture, found = measure.neighbours(name, progress=shown, **options)
    shown.close()
    click.echo(callbacks.write_grid(output, picture[None]))
    for row, (places, distances) in enumerate(zip(found.indices, found.distances)):
        words = [f"{place} ({distance:.3g})" for place, distance in zip(places, distances)]
        click.echo(f"sample {row}: {', '.join(words)}")


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="RECORDS...")
@click.option("-o", "--output", help="PNG of the same as bars; needs matplotlib.")
@click.option("--varying", default="", help="Fields that differ on purpose, such as truncation.")
def compare(names, output, varying):
    """Rank models by what `evaluate` measured.

    RECORDS are files that `evaluate` wrote, folders with a records.json, or names of shipped
    models. Refuses to rank values that were not measured alike.
    """
    from ganzoo.metrics import records

    varying = [field for field in varying.split(",") if field]
    found = [record for name in names for record in records.of(name)]
    click.echo(records.comparison(found, varying=varying))
    if output:
        click.echo(records.plot(output, found, varying=varying))


@cli.command()
@click.argument("file")
@click.argument("out")
@family_option
@click.option("--pick", help="Key of the file under which the model lies, such as netG_ema.")
@click.option(
    "--channel-order", type=click.Choice(["rgb", "bgr"]), help="Of a FILE that does not tell."
)
@click.option("--license", help="Of the weights, for the card: MIT, CC-BY-NC-4.0, ...")
@accept_license
def convert(file, out, license, **options):
    """Write a foreign FILE as a new folder OUT in ganzoo's own form.

    FILE may be anything that `generate` takes.
    """
    from ganzoo.hub import publish

    click.echo(publish.convert(file, out, license=license, **options))


@cli.command()
@click.argument("name")
@click.argument("repo", metavar="ORG/REPO")
@click.option("--license", help="Of the weights: MIT, CC-BY-4.0, ...")
@click.option("--dataset", help="What the model was trained on.")
@click.option("--private", is_flag=True, default=None, help="Only for who has access.")
@click.option("--branch", help="Made if absent. Default: the main one.")
@click.option("--message", help="Of the commit.")
@accept_license
def push(name, repo, license, dataset, private, branch, message, accept_license):
    """Publish NAME, a folder or a published model, on the Hugging Face Hub.

    Log in before with `hf auth login`, or set HF_TOKEN.
    """
    from ganzoo.hub import publish

    address = publish.push(
        name,
        repo,
        license=license,
        dataset=dataset,
        accept_license=accept_license,
        private=private,
        branch=branch,
        commit_message=message,
    )
    click.echo(address)


# --- editing


seed_list = click.option("--seeds", "sources", default="0,1,2", show_default=True, help="0,3,7-9")
truncation_option = click.option(
    "--truncation", type=float, default=1.0, show_default=True, help="Of w; 1 is none."
)
label_option = click.option("--label", type=int, help="Class of every image. Default: 0.")
scale_option = click.option(
    "--scale", type=Quantity(), default=1, show_default=True, help="Factor of the pixels."
)
layers_help = "all, coarse, middle, fine, or numbers such as 0-3,6."


@cli.command()
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
def mix(name, out, accept_license, **options):
    """Mix styles: each row's image with some layers from each column's.

    NAME is anything that `generate` takes, of a StyleGAN.
    """
    from ganzoo.editing import commands

    generator = hub.load_generator(name, accept_license=accept_license)
    click.echo(commands.mix(generator, out, **options))


@cli.command()
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
def interpolate(name, out, accept_license, **options):
    """Draw the images between seeds, as a film or side by side.

    NAME is anything that `generate` takes. Lines in w, arcs in z.
    """
    from ganzoo.editing import commands

    generator = hub.load_generator(name, accept_license=accept_license)
    click.echo(commands.interpolate(generator, out, **options))


@cli.command()
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
def project(name, image, out, accept_license, **options):
    """Look for the w of a StyleGAN whose picture is nearest to IMAGE, a PNG or JPEG of its size."""
    from ganzoo.editing import commands

    generator = hub.load_generator(name, accept_license=accept_license)
    with click.progressbar(length=options["steps"], label="steps", file=sys.stderr) as bar:
        found, paths = commands.project(
            generator, image, out, progress=lambda step, distance: bar.update(1), **options
        )
    click.echo(
        f"{found.loss} {found.start_distance:.4g} -> {found.distance:.4g}, "
        f"PSNR {found.start_psnr:.1f} -> {found.psnr:.1f} dB"
    )
    for path in paths:
        click.echo(path)


@cli.command()
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
def edit(name, out, accept_license, **options):
    """Move images of NAME along a direction: a row for each seed, a column for each strength."""
    from ganzoo.editing import commands

    generator = hub.load_generator(name, accept_license=accept_license)
    click.echo(commands.edit(generator, out, **options))


@cli.command()
@click.argument("name")
@click.option("--classifier", required=True, help="fashion, avatars, ...")
@click.option("--attribute", required=True, help="Out of the classifier's, or number of a class.")
@click.option("-n", "--count", type=Quantity(), default=10_000, show_default=True, help="Samples.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--space", type=click.Choice(["w", "z"]), help="Default: w where there is one.")
@click.option("--cut", type=click.Choice(["svm", "logistic"]), default="svm", show_default=True)
@label_option
@click.option("-o", "--out", default="direction.npz", show_default=True, help="For `edit`.")
@accept_license
def direction(name, out, accept_license, **options):
    """Find the direction of NAME's latents in which an attribute appears."""
    from ganzoo.editing import commands

    generator = hub.load_generator(name, accept_license=accept_license)
    found, path = commands.direction(generator, out, **options)
    click.echo(f"{path}: {found.accuracy:.1%} of the samples held out are on their side")


@cli.command()
@click.argument("name")
@click.option("--over", type=click.Choice(["truncation", "noise"]), default="truncation")
@seed_list
@click.option("--psi", default="-1:1:7", show_default=True, help="Truncations.")
@label_option
@scale_option
@click.option("-o", "--out", default="sweep.png", show_default=True, help="PNG.")
@accept_license
def sweep(name, out, accept_license, **options):
    """Draw seeds under several truncations, or with noise at all, no, fine and coarse layers."""
    from ganzoo.editing import commands

    generator = hub.load_generator(name, accept_license=accept_license)
    click.echo(commands.sweep(generator, out, **options))


# --- the cache


@cli.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--all-local", is_flag=True, help="Whatever is in the package and in the cache.")
def verify(names, all_local):
    """Hash the local files of models, read them and fit them to their networks.

    Nothing is fetched. Without a NAME: --all-local. Exit code 1 if a file is bad.
    """
    from ganzoo.hub import audit

    bad = count = 0
    for name, found in audit.verify(None if all_local or not names else names):
        count, bad = count + 1, bad + (not found["ok"])
        word = "ok " if found["ok"] else "BAD"
        click.echo(f"{word} {name:36} {one_line(found['message'])}  {found['file']}")
    click.echo(f"{count - bad} of {count} files are good", err=True)
    sys.exit(1 if bad else 0)


@cli.group()
def cache():
    """What was downloaded and converted."""


@cache.command("ls")
@click.argument("pattern", default="*")
def cache_ls(pattern):
    """Entries whose name, address or file matches PATTERN."""
    entries = fetch.matching(pattern)
    _show(entries)
    total = _megabytes(entry["bytes"] for entry in entries)
    click.echo(f"{len(entries)} entries, {total}, in {fetch.home()}", err=True)


def _show(entries):
    rows = []
    for entry in entries:
        kind = "partial" if entry["partial"] else entry["kind"]
        place = entry["url"] or str(entry["path"])
        rows.append((_megabytes([entry["bytes"]]), kind, entry["name"], place))
    _table(rows)


@cache.command("rm")
@click.argument("pattern")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def cache_rm(pattern, yes):
    """Remove the entries whose name, address or file matches PATTERN."""
    entries = fetch.matching(pattern)
    if not entries:
        raise ValueError(
            f"Nothing in {str(fetch.home())!r} matches {pattern!r}; `ganzoo cache ls` shows what "
            "there is"
        )
    _show(entries)
    if not yes:
        click.confirm(f"Remove these {len(entries)}?", abort=True, err=True)
    removed = fetch.remove(pattern)
    total = _megabytes(entry["bytes"] for entry in removed)
    click.echo(f"{len(removed)} entries removed, {total}", err=True)


# --- training


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
