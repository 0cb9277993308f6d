"""Presigned URLs: AWS's own example, what the gateway reads of them, and the command's answers."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.cli.main import main
from coffre.wire.auth import Verified, verify
from coffre.wire.claim import read_claim
from coffre.wire.errors import S3Error
from coffre.wire.presign import Asked, Credentials, presigned_url
from coffre.wire.request import RequestHead

# Source: AWS, "Authenticating Requests: Using Query Parameters", its example.
EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EXAMPLE_MS = 1_369_353_600_000


def asked(**changes: object) -> Asked:
    given = {
        "method": "GET",
        "endpoint": "https://s3.amazonaws.com",
        "bucket": "examplebucket",
        "key": b"test.txt",
        "region": "us-east-1",
        "expires_s": 86400,
        "virtual": True,
        **changes,
    }
    return Asked(**given)  # type: ignore[arg-type]


def head_of(url: str, method: str = "GET") -> RequestHead:
    parts = urlsplit(url)
    host = parts.netloc.encode()
    return RequestHead(method, parts.path.encode(), parts.query.encode(), ((b"host", host),))


def test_awss_example_comes_out_as_aws_says() -> None:
    url = presigned_url(asked(), EXAMPLE, EXAMPLE_MS)
    assert url.startswith("https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=")
    expected = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert url.endswith(f"&X-Amz-Signature={expected}")


@given(
    st.binary(min_size=1, max_size=40),
    st.booleans(),
    st.sampled_from(("GET", "PUT", "HEAD", "DELETE")),
    st.sampled_from(("", "null", "3/L4kqt+x=")),
)
def test_every_url_verifies_until_it_expires_and_not_after(
    key: bytes, virtual: bool, method: str, version_id: str
) -> None:
    what = asked(key=key, virtual=virtual, method=method, version_id=version_id, expires_s=60)
    head = head_of(presigned_url(what, EXAMPLE, EXAMPLE_MS), method)
    claim = read_claim(head)
    assert claim is not None
    assert head.query.get("versionId", "") == version_id

    def verified(now_ms: int) -> Verified:
        return verify(
            claim,
            head,
            [EXAMPLE.secret],
            regions=frozenset({"us-east-1"}),
            region="us-east-1",
            now_ms=now_ms,
            bucket_path=b"/examplebucket" if virtual else None,
        )

    verified(EXAMPLE_MS + 59_000)
    with pytest.raises(S3Error, match="Request has expired"):
        verified(EXAMPLE_MS + 61_000)


@pytest.mark.parametrize("expires_s", [0, -1, 604_801])
def test_no_url_lives_longer_than_a_week_or_shorter_than_a_second(expires_s: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        presigned_url(asked(expires_s=expires_s), EXAMPLE, EXAMPLE_MS)


@pytest.mark.parametrize(
    "endpoint",
    [
        *(
            "",
            "s3.example",
            "ftp://s3",
            "https://",
            "https://s3/path",
            "https://[::1",
            "https://a b",
        ),
        *("https://me:secret@s3.example", "https://s3.example?x=y", "https://s3.example:1234567"),
    ],
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        presigned_url(asked(endpoint=endpoint), EXAMPLE, EXAMPLE_MS)


def test_what_is_no_region_is_refused() -> None:
    for region in ("", "a/b", "a b"):
        with pytest.raises(ValueError, match="region"):
            presigned_url(asked(region=region), EXAMPLE, EXAMPLE_MS)


def test_a_port_that_the_scheme_has_by_itself_is_not_signed() -> None:
    plain = presigned_url(asked(endpoint="https://s3.example"), EXAMPLE, EXAMPLE_MS)
    named = presigned_url(asked(endpoint="https://s3.example:443"), EXAMPLE, EXAMPLE_MS)
    assert named.split("X-Amz-Signature=")[1] == plain.split("X-Amz-Signature=")[1]


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of the caller's."""
    for name in (
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.mark.usefixtures("nobody")
def test_variables_sign_without_a_node(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", EXAMPLE.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", EXAMPLE.secret)
    assert main(["presign", "GET", "s3://photos/a b", "--expires", "60", "--json"]) == 0
    url = json.loads(capsys.readouterr().out)["url"]
    assert url.startswith("http://localhost:9000/photos/a%20b?")
    assert "X-Amz-Expires=60&" in url


@pytest.mark.usefixtures("nobody")
def test_a_profile_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "credentials").write_text(
        f"[ops]\naws_access_key_id = {EXAMPLE.access_key}\n"
        f"aws_secret_access_key = {EXAMPLE.secret}\naws_session_token = a%b\n"
    )
    call = ["presign", "PUT", "s3://photos/a", "--profile", "ops", "--endpoint", "https://s3.x"]
    assert main([*call, "--virtual", "--region", "eu-1"]) == 0
    url = capsys.readouterr().out
    assert url.startswith("https://photos.s3.x/a?")
    assert "%2Feu-1%2Fs3%2Faws4_request" in url
    assert "X-Amz-Security-Token=a%25b" in url


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("GET s3://photos/a", "who signs?"),
        ("GET s3://photos/a --profile ops", "credentials cannot be read"),
        ("GET s3://photos/a --profile ops --access-key CF", "give it or --access-key"),
        ("GET s3://photos", "names no object"),
        ("GET photos/a", "names no object"),
        ("GET s3://photos/a --expires 604801", "604800"),
        ("POST s3://photos/a", "POST"),
        ("PUT s3://photos/a --version-id x", "names none"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_why(
    call: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["presign", *call.split()]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
