"""Chromium itself: a page with a form that uploads, and a script that speaks to a bucket."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest

from .server import Program

FORM = """<!doctype html><meta charset="utf-8">
<form action="{url}" method="post" enctype="multipart/form-data">
{fields}<input type="file" name="file"></form>
<script>
const chosen = new DataTransfer();
chosen.items.add(new File(["what a person chose"], "été 1.txt", {{type: "text/plain"}}));
document.querySelector("[type=file]").files = chosen.files;
document.forms[0].submit();
</script>"""
SCRIPT = """<!doctype html><p id="told">nothing</p>
<script>
const told = document.getElementById("told");
(async () => {{
  const sent = await fetch("{put}", {{method: "PUT", body: "from a script"}});
  const read = await fetch("{get}");
  told.textContent = `${{sent.status}} ${{sent.headers.get("etag")}} ${{await read.text()}}`;
}})().catch(failure => told.textContent = failure);
</script>"""


@pytest.fixture
def chromium(program: Callable[..., Program]) -> Callable[[str], str]:
    """Open a page and wait until its network is quiet: its document."""
    browser = program(
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--virtual-time-budget=20000",
        "--dump-dom",
    )

    def show(page: str) -> str:
        (browser.folder / "page.html").write_text(page)
        profile = f"--user-data-dir={browser.folder / 'profile'}"
        return browser(profile, f"file://{browser.folder / 'page.html'}")

    return show


@pytest.mark.parametrize("version", ["s3v4", "s3"], ids=["V4", "V2"])
def test_a_form_uploads_what_a_person_chose(
    chromium: Callable[[str], str], boto: Callable[..., Any], bucket: str, version: str
) -> None:
    s3 = boto(signature_version=version)
    made = s3.generate_presigned_post(
        bucket,
        "in/${filename}",
        Fields={"success_action_status": "201", "Content-Type": "text/plain"},
        Conditions=[
            {"success_action_status": "201"},
            {"Content-Type": "text/plain"},
            ["content-length-range", 1, 100],
        ],
    )
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">\n'
        for name, value in made["fields"].items()
    )
    told = chromium(FORM.format(url=made["url"], fields=fields))
    assert "in/été 1.txt" in told
    found = s3.get_object(Bucket=bucket, Key="in/été 1.txt")
    assert found["Body"].read() == b"what a person chose"
    assert found["ContentType"] == "text/plain"


def test_a_script_writes_and_reads_across_origins(
    chromium: Callable[[str], str], boto: Callable[..., Any], bucket: str
) -> None:
    # Version 2 would sign the content type, which the browser chooses.
    s3 = boto(signature_version="s3v4")
    place = {"Bucket": bucket, "Key": "k"}
    put = s3.generate_presigned_url("put_object", place)
    get = s3.generate_presigned_url("get_object", place)
    page = SCRIPT.format(put=put, get=get)
    # Without rules the browser keeps the answer from the page.
    assert "Failed to fetch" in chromium(page)
    rule = {
        "AllowedOrigins": ["null"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
    }
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    told = html.unescape(chromium(page))
    assert f"200 {s3.head_object(**place)['ETag']} from a script" in told
