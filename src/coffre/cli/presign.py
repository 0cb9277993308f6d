"""`coffre presign`: a URL that anybody may use until it expires."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared
from coffre.config import Settings

if TYPE_CHECKING:
    from coffre.wire.presign import Credentials

_MOST_S: Final = 604_800


@click.command()
@click.argument("method", type=click.Choice(["GET", "PUT", "HEAD", "DELETE"], case_sensitive=False))
@click.argument("url", metavar="s3://BUCKET/KEY")
@click.option(
    "--expires",
    type=click.IntRange(1, _MOST_S),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="How long the URL works: a week at most.",
)
@click.option("--access-key", metavar="KEY", help="Whose rights it has: the node signs for it.")
@click.option("--profile", metavar="NAME", help="Sign with a profile of the AWS command line.")
@click.option("--version-id", metavar="ID", help="Of this version.")
@click.option("--endpoint", metavar="URL", help="Where the service is, as clients reach it.")
@click.option("--region", metavar="NAME", help="The region to sign for.")
@click.option("--virtual", is_flag=True, help="Make the bucket part of the host name.")
@shared
def presign(invocation: Invocation, method: str, url: str, **options: Any) -> None:
    """Print a URL that does METHOD on an object for whoever has it, until it expires."""
    settings = invocation.settings()
    bucket, key = _object(url)
    if options["version_id"] and method == "PUT":
        raise Unusable("--version-id: a PUT makes a version, it names none")
    asked = {
        "method": method.upper(),
        "endpoint": options["endpoint"] or endpoint_of(settings),
        "bucket": bucket,
        "key": key,
        "region": options["region"] or region_of(settings),
        "expires_s": options["expires"],
        "virtual": options["virtual"],
        "version_id": options["version_id"] or "",
    }
    found = _credentials(options["access_key"], options["profile"])
    if isinstance(found, str):
        made = invocation.call("presign", access_key=found, **asked)
    else:
        made = _signed_here(asked, found)
    invocation.answer(made, lambda: str(made["url"]))


def _object(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise Unusable(f"{url!r} names no object: write s3://BUCKET/KEY")
    return bucket, key


def endpoint_of(settings: Settings) -> str:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if named := os.environ.get(name):
            return named
    if not settings.port:
        raise Unusable("the port is any free one: say with --endpoint where the service is")
    scheme, own = ("http", 80) if settings.serves_plain else ("https", 443)
    return f"{scheme}://{settings.bases[0]}{'' if settings.port == own else f':{settings.port}'}"


def region_of(settings: Settings) -> str:
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return named or settings.region


def _credentials(access_key: str | None, profile: str | None) -> Credentials | str:
    """A profile's, those of the environment, or the access key that the node shall sign for."""
    from coffre.wire.presign import Credentials

    environ = os.environ
    if profile and access_key:
        raise Unusable("--profile names a key of its own: give it or --access-key")
    own = environ.get("AWS_ACCESS_KEY_ID")
    if profile is None and own and access_key in (None, own):
        secret = environ.get("AWS_SECRET_ACCESS_KEY")
        if not secret:
            raise Unusable("AWS_ACCESS_KEY_ID goes with AWS_SECRET_ACCESS_KEY: give both")
        return Credentials(own, secret, environ.get("AWS_SESSION_TOKEN", ""))
    if access_key is not None:
        return access_key
    profile = profile or environ.get("AWS_PROFILE")
    if profile is None:
        raise Unusable(
            "who signs? Name a user's key with --access-key (the node signs), a profile with"
            " --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    found = _profile(profile)
    try:
        token = found.get("aws_session_token", "")
        return Credentials(found["aws_access_key_id"], found["aws_secret_access_key"], token)
    except KeyError as missing:
        raise Unusable(f"the profile {profile!r} has no {missing.args[0]}") from None


def _profile(name: str) -> Mapping[str, str]:
    """A profile of the AWS command line's credentials file."""
    named = os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
    path = Path(named) if named else Path.home() / ".aws" / "credentials"
    profiles = configparser.RawConfigParser()
    try:
        profiles.read_string(path.read_text(), str(path))
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, configparser.Error) as error:
        raise Unusable(f"{path} cannot be read: {error}") from error
    if not profiles.has_section(name):
        raise Unusable(f"{path} has no profile {name!r}")
    return dict(profiles[name])


def _signed_here(asked: Mapping[str, Any], credentials: Credentials) -> dict[str, Any]:
    from coffre.system.clock import SystemClock
    from coffre.wire.presign import Asked, presigned_url

    now_ms = SystemClock().now_ms()
    key = str(asked["key"]).encode("utf-8", "surrogateescape")
    try:
        url = presigned_url(Asked(**{**asked, "key": key}), credentials, now_ms)
    except ValueError as error:
        raise Complaint(str(error)) from error
    return {"url": url, "expires_ms": now_ms // 1000 * 1000 + asked["expires_s"] * 1000}
