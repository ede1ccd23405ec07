"""`hookstream panel token`: a token, and the entry that lets it in."""

import secrets

import typer

from consumer.cli.console import print_note
from consumer.panel.credentials import TOKEN_BYTES, hash_token, make_token
from consumer.settings import RoleName


def print_token(name: str, role: RoleName) -> None:
    """Print a new token, and what the settings must have so that it opens the panel."""
    token = make_token(secrets.token_bytes(TOKEN_BYTES))
    entry = f"{{name: {name}, role: {role}, sha256: {hash_token(token).hex()}}}"
    typer.echo(f"token: {token}\n\npanel:\n  tokens:\n    - {entry}")
    print_note(
        "the token is for its owner alone and is shown this once; the entry is for the settings"
    )
