"""What is published, and what of it is here: list, info, download, verify, cache."""

import json
import sys

import click

from ganzoo import fetch, hub
from ganzoo.cli.options import accept_license, family_option, megabytes, one_line, table


@click.command("list")
@click.argument("pattern", default="*")
@family_option
@click.option(
    "--commercial/--non-commercial", default=None, help="By whether the licence allows that use."
)
@click.option("--planned", "status", flag_value="planned", help="Those that cannot be loaded yet.")
@click.option("--all", "status", flag_value="all", help="Those and the others.")
def list_command(pattern, family, commercial, status) -> None:
    """Published models whose name matches PATTERN."""

    def names_of(status):
        return hub.list_models(pattern, family=family, commercial=commercial, status=status)

    names = names_of({None: "available", "planned": "planned", "all": None}[status])
    planned = 0 if status else len(names_of(None)) - len(names)
    if not names:
        more = f"; {planned} planned ones do, see --planned" if planned else ""
        raise ValueError(
            f"No model matches {pattern!r}{more}; `ganzoo list` shows all {len(hub.list_models())}"
        )
    rows = hub.manifest()
    table([_cells(name, rows[name]) for name in names])
    if planned:
        click.echo(f"{planned} more are planned; --planned shows them, --all both", err=True)


def _cells(name, row):
    size = megabytes(file["bytes"] for file in row["files"])
    return name, _size(row["resolution"]), row["dataset"], row["license"], row["status"], size


def _size(resolution):
    sides = [resolution] if isinstance(resolution, int) else resolution or []
    return f"{'x'.join(map(str, sides))} px" if sides else "-"


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The row of the manifest as it is.")
def info(name, as_json) -> None:
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
    sha256 = file["sha256"] or (f"{prefix}..." if prefix else "not published")
    places = [
        mirror.get("url")
        or (f"hf://{mirror['hf']}/{mirror['path']}" if "hf" in mirror else "in the package")
        for mirror in file["mirrors"]
    ]
    return f"{megabytes([file['bytes']])}, sha256 {sha256}, {' or '.join(places)}"


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@accept_license
def download(names, accept_license) -> None:
    """Bring models into the cache: names, hf://org/repo or https://... ."""
    for name in names:
        for path in hub.download(name, accept_license=accept_license):
            click.echo(path)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--all-local", is_flag=True, help="Whatever is in the package and in the cache.")
def verify(names, all_local) -> None:
    """Hash the local files of models, read them and fit them to their networks.

    Nothing is fetched. Without a NAME: --all-local. Exit code 1 if a file is bad.
    """
    from ganzoo.hub import audit

    bad = count = 0
    for name, result in audit.verify(None if all_local or not names else names):
        count, bad = count + 1, bad + (not result["ok"])
        word = "ok " if result["ok"] else "BAD"
        click.echo(f"{word} {name:36} {one_line(result['message'])}  {result['file']}")
    click.echo(f"{count - bad} of {count} files are good", err=True)
    sys.exit(1 if bad else 0)


@click.group()
def cache() -> None:
    """What was downloaded and converted."""


@cache.command("ls")
@click.argument("pattern", default="*")
def cache_ls(pattern) -> None:
    """Entries whose name, address or file matches PATTERN."""
    entries = fetch.matching(pattern)
    _show(entries)
    total = megabytes(entry["bytes"] for entry in entries)
    click.echo(f"{len(entries)} entries, {total}, in {fetch.home()}", err=True)


def _show(entries):
    rows = []
    for entry in entries:
        kind = "partial" if entry["partial"] else entry["kind"]
        place = entry["url"] or str(entry["path"])
        rows.append((megabytes([entry["bytes"]]), kind, entry["name"], place))
    table(rows)


@cache.command("rm")
@click.argument("pattern")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def cache_rm(pattern, yes) -> None:
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
    total = megabytes(entry["bytes"] for entry in removed)
    click.echo(f"{len(removed)} entries removed, {total}", err=True)


COMMANDS = (list_command, info, download, verify, cache)
