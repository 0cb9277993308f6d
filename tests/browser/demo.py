"""A region as it might be in use: what pictures of the console show, and pages are tried on."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from .people import named_person
from .served import Person, Served

TENANT, STORE, BUCKET = "hopital", "cos-dossiers", "factures-2026"
ACCOUNTS = ("sauvegarde-nuit", "radiologie", "site-web")
_BUCKETS: tuple[dict[str, Any], ...] = (
    {"name": BUCKET, "object_lock": True},
    {"name": "images-publiques", "network": "public"},
    {
        "name": "radiologie",
        "type": "archiving",
        "network": "custom",
        "addresses": ["127.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"],
    },
    {"name": "sauvegardes-sql", "versioning": True},
)
_INVOICE = """Facture 2026-{number:04}
Hôpital des Tilleuls — service achats

  12 x   Gants nitrile, boîte de 100        96,00 EUR
   4 x   Solution hydroalcoolique 5 L      118,40 EUR
                                  Total    214,40 EUR
"""


class Demo:
    """The region, and the addresses of its pages."""

    def __init__(self, node: Served) -> None:
        self._node = node
        node.operate("tenant.create", name=TENANT)
        node.operate(
            "store.create", name=STORE, tenant=TENANT, label="Dossiers", hard_bytes=25 * 1000**4
        )
        for bucket in _BUCKETS:
            node.operate("bucket.create", store=STORE, **bucket)
        self.accounts = [
            node.operate("user.create", store=STORE, label=label) for label in ACCOUNTS
        ]
        for bucket in _BUCKETS:
            for made, role in zip(self.accounts, ("maintainer", "writer", "reader"), strict=True):
                node.operate(
                    "bucket.role.grant",
                    store=STORE,
                    bucket=bucket["name"],
                    user=made["id"],
                    role=role,
                )
        self.people: dict[str, Person] = {
            "operator": node.operator,
            "owner": named_person(node, "camille", tenant=TENANT, role="owner"),
        }
        self._fill()

    def _fill(self) -> None:
        first = self.accounts[0]
        s3 = self._node.s3(first["access_key"], first["secret_key"])
        for number in range(1, 24):
            s3.put_object(
                Bucket=BUCKET,
                Key=f"2026/novembre/facture-{number:04}.txt",
                Body=_INVOICE.format(number=number).encode(),
                ContentType="text/plain",
                Metadata={"service": "achats"},
                Tagging="statut=payee&exercice=2026",
            )
        for key in ("2026/octobre/lot.csv", "2026/septembre/lot.csv", "lisez-moi.txt", "plan.png"):
            body = picture(480, 300) if key.endswith("png") else b"numero;montant\n0001;214,40\n"
            kind = "image/png" if key.endswith("png") else "text/plain"
            s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=kind)
        for number in range(4):
            key = f"accueil/{number}.png"
            s3.put_object(Bucket="images-publiques", Key=key, Body=picture(64, 40 + number))
        for day in range(1, 12):
            body = bytes(200_000 + 1000 * day)
            s3.put_object(Bucket="sauvegardes-sql", Key=f"base-2026-11-{day:02}.dump", Body=body)
        s3.put_object(Bucket="sauvegardes-sql", Key="base-2026-11-01.dump", Body=bytes(220_000))
        s3.delete_object(Bucket="sauvegardes-sql", Key="base-2026-11-02.dump")

    def pages(self, role: str) -> dict[str, str]:
        """The addresses of every page that stands by itself, by the name of its picture."""
        store, bucket = f"/stores/{STORE}", f"/stores/{STORE}/buckets/{BUCKET}"
        account = self.accounts[0]["id"]
        invoice = "2026%2Fnovembre%2Ffacture-0001.txt"
        found = {
            "home": "/",
            "stores": "/stores",
            "store": store,
            "store-settings": f"{store}/settings",
            "store-delete": f"{store}/delete",
            "accounts": f"{store}/accounts",
            "account-new": f"{store}/accounts/new",
            "account": f"{store}/accounts/{account}",
            "account-reset": f"{store}/accounts/{account}/reset",
            "buckets": "/buckets",
            "bucket-new": "/buckets/new",
            "files": f"{bucket}/files",
            "files-folder": f"{bucket}/files?folder=2026%2Fnovembre%2F",
            "files-versions": f"/stores/{STORE}/buckets/sauvegardes-sql/files?versions=yes",
            "file": f"{bucket}/files/object?key={invoice}",
            "file-image": f"{bucket}/files/object?key=plan.png",
            "file-delete": f"{bucket}/files/delete?object={invoice}:",
            "folder-delete": f"{bucket}/files/delete-folder?folder=2026%2F",
            "policies": f"{bucket}/policies",
            "bucket-settings": f"{bucket}/settings",
            "rule-new": f"{bucket}/settings/rules/new",
            "lifecycle-preview": f"{bucket}/settings/preview",
            "bucket-delete": f"{bucket}/delete",
            "usage": "/usage",
            "bills": "/bills",
            "audit": "/audit",
            "me": "/me",
            "token-new": "/me/tokens/new",
        }
        if role != "operator":
            return found
        places = ("zones", "drives", "stewards", "stores", "people", "new-person", "alerts")
        platform = {f"operator-{one}": f"/operator/{one}" for one in (*places, "keys", "doctor")}
        return {"new-store": "/new-store", **found, **platform}


def picture(width: int, height: int) -> bytes:
    """A PNG: a few soft bands of colour."""
    rows = b"".join(
        b"\0"
        + b"".join(
            bytes((40 + x * 120 // width, 110 + y * 90 // height, 95 + (x // 24 % 2) * 26))
            for x in range(width)
        )
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        packed = kind + data
        return struct.pack(">I", len(data)) + packed + struct.pack(">I", zlib.crc32(packed))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
