"""The command line: parses, calls and prints. One file a theme; nothing heavy before a command
needs it.
"""

import os
import sys

import click

from ganzoo.cli import editing, measure, models, publish, train, use
from ganzoo.cli.options import import_own, one_line


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-ganzoo", prog_name="ganzoo")
@click.option(
    "--import",
    "modules",
    multiple=True,
    metavar="FILE_OR_MODULE",
    help="Python that registers classes of your own, before the command; may be repeated.",
)
def cli(modules) -> None:
    """Generative adversarial networks for Keras, with weights."""
    for module in modules:
        import_own(module)


for _theme in (models, use, editing, measure, train, publish):
    for _command in _theme.COMMANDS:
        cli.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
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
