"""The look: colours that can be read, programs' configurations that programs can read."""

from __future__ import annotations

import ast
import configparser
import re

import pytest

from coffre.console.pages.assets import assets
from coffre.console.pages.programs import Access, snippets

# What stands on what, and how much it must differ (WCAG 2.2, 1.4.3 and 1.4.11).
TEXT = [
    *(
        (ink, ground)
        for ink in ("ink", "ink-2", "ink-3")
        for ground in ("sheet", "ground", "raise")
    ),
    *((ink, "hover") for ink in ("ink", "ink-2")),
    *((state, f"{state}-soft") for state in ("ok", "warn", "bad", "info", "brand")),
    *((state, "sheet") for state in ("ok", "warn", "bad", "info", "brand")),
    *(("ink", f"{state}-soft") for state in ("ok", "warn", "bad", "info")),
    *(("brand-ink", "brand"), ("brand-ink", "brand-deep"), ("bad-ink", "bad")),
]
DRAWN = [("edge", "sheet"), ("brand", "ground"), *((f"chart-{n}", "sheet") for n in range(1, 6))]


def colours(theme: int) -> dict[str, str]:
    """Each token's colour, in the light theme (0) or the dark one (1)."""
    text = assets()["tokens.css"].body.decode()
    found = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", text)
    return {name: both[theme] for name, *both in found}


def contrast(one: str, other: str) -> float:
    """WCAG's ratio, 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read_on_what_it_stands(theme: int) -> None:
    known = colours(theme)
    weak = {
        pair: round(contrast(known[pair[0]], known[pair[1]]), 2)
        for pair in TEXT
        if contrast(known[pair[0]], known[pair[1]]) < 4.5
    }
    assert weak == {}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_edge_and_line_can_be_seen(theme: int) -> None:
    known = colours(theme)
    assert {pair for pair in DRAWN if contrast(known[pair[0]], known[pair[1]]) < 3} == set()


def test_style_sheets_use_tokens_that_there_are() -> None:
    tokens = set(re.findall(r"--([a-z0-9-]+):", assets()["tokens.css"].body.decode()))
    for name, sheet in assets().items():
        if name.endswith(".css"):
            used = set(re.findall(r"var\(--([a-z0-9-]+)", sheet.body.decode()))
            own = set(re.findall(r"--([a-z0-9-]+):", sheet.body.decode()))
            assert used - tokens - own == set(), name


@pytest.mark.parametrize("own_authority", [False, True])
@pytest.mark.parametrize("endpoint", ["https://shop.s3.example:9443", "http://localhost:9000"])
def test_configurations_are_what_their_programs_read(endpoint: str, own_authority: bool) -> None:
    access = Access(endpoint, "fr1", "shop", "CFKEY", "se/cr+et", "photos", own_authority)
    texts = {one.key: one.text for one in snippets(access)}
    rclone = configparser.ConfigParser(interpolation=None)
    rclone.read_string(texts["rclone"])
    assert dict(rclone["shop"]) == {
        "type": "s3",
        "provider": "Other",
        "access_key_id": "CFKEY",
        "secret_access_key": "se/cr+et",
        "region": "fr1",
        "endpoint": endpoint,
        "force_path_style": "true",
    }
    s3cmd = configparser.ConfigParser(interpolation=None)
    s3cmd.read_string(texts["s3cmd"])
    scheme, _, place = endpoint.partition("://")
    assert s3cmd["default"]["host_base"] == s3cmd["default"]["host_bucket"] == place
    assert s3cmd["default"]["use_https"] == str(scheme == "https")
    assert ("ca_certs_file" in s3cmd["default"]) is own_authority
    ast.parse(texts["boto3"])
    assert ("verify=" in texts["boto3"]) is own_authority
    for name in ("aws", "mc"):
        assert all(one in texts[name] for one in (endpoint, "CFKEY", "se/cr+et", "photos"))
