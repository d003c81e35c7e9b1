"""How models reach others: push."""

import click

from ganzoo.cli.options import accept_license


@click.command()
@click.argument("name")
@click.argument("repo", metavar="ORG/REPO")
@click.option("--license", help="Of the weights: MIT, CC-BY-4.0, ...")
@click.option("--dataset", help="What the model was trained on.")
@click.option("--private", is_flag=True, default=None, help="Only for who has access.")
@click.option("--branch", help="Made if absent. Default: the main one.")
@click.option("--message", help="Of the commit.")
@accept_license
def push(name, repo, message, **options) -> None:
    """Publish NAME, a folder or a published model, on the Hugging Face Hub.

    Log in before with `hf auth login`, or set HF_TOKEN.
    """
    from ganzoo.hub import publish

    click.echo(publish.push(name, repo, commit_message=message, **options))


COMMANDS = (push,)
