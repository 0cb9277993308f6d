"""A statement as a page to print (fr, en) and as CSV."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from html import escape
from typing import Final

from babel.numbers import format_currency, format_decimal
from msgspec.structs import asdict

from coffre.ledger.bills import EGRESS, Line, Statement

LANGUAGES: Final = ("en", "fr")
_WORDS: Final = {
    "en": {
        "title": "Statement",
        "of": "of {month}, {tenant}",
        "store": "Object store",
        "zone": "Zone",
        "what": "What",
        "quantity": "Quantity",
        "price": "Price",
        "amount": "Amount",
        "subtotal": "Subtotal",
        "vat": "VAT {rate} %",
        "total": "Total",
        "nothing": "Nothing was used.",
        "open": "This month is not over, or lacks a price: the figures may still change.",
        "formula": "Storage: sum of hourly GiB ÷ 720 × price per GiB and month, in arrears."
        " Each line is rounded half up.",
        "hours": "Hours counted: {hours}.",
        "read": "Read requests",
        "write": "Write requests",
        "list": "List requests",
        "delete": "Delete requests",
        EGRESS: "Bytes out",
        "GiB-month": "GiB·month",
        "1000 requests": "",
        "GiB": "GiB",
    },
    "fr": {
        "title": "Relevé",
        "of": "de {month}, {tenant}",
        "store": "Object store",
        "zone": "Zone",
        "what": "Désignation",
        "quantity": "Quantité",
        "price": "Prix",
        "amount": "Montant",
        "subtotal": "Total hors taxes",
        "vat": "TVA {rate} %",
        "total": "Total TTC",
        "nothing": "Aucune utilisation.",
        "open": "Ce mois n'est pas terminé ou n'a pas de prix : les montants peuvent changer.",
        "formula": "Stockage : somme des Gio horaires ÷ 720 × prix du Gio par mois, à terme échu."
        " Chaque ligne est arrondie au plus proche, la moitié vers le haut.",
        "hours": "Heures comptées : {hours}.",
        "read": "Requêtes de lecture",
        "write": "Requêtes d'écriture",
        "list": "Requêtes de liste",
        "delete": "Requêtes de suppression",
        EGRESS: "Données sortantes",
        "GiB-month": "Gio·mois",
        "1000 requests": "",
        "GiB": "Gio",
    },
}
# For a page that stands alone; the console has its own stylesheet.
_STYLE: Final = (
    "<style>body{font:15px/1.5 sans-serif;max-width:60em;margin:3em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.4em .8em .4em 0;text-align:left;"
    "border-bottom:1px solid #ddd}.number{text-align:right;font-variant-numeric:tabular-nums}"
    "tfoot td{border:0;font-weight:bold}.note{color:#555}@media print{body{margin:0}}</style>"
)
_COLUMNS: Final = Line.__struct_fields__


def render_statement(statement: Statement, language: str, stylesheet: str | None = None) -> str:
    """The whole HTML page. `stylesheet` is the address of one that is linked; None: the page brings
    its own, and needs nothing else."""
    words = _WORDS[language]
    style = f'<link rel="stylesheet" href="{escape(stylesheet)}">' if stylesheet else _STYLE
    about = words["of"].format(month=statement.month, tenant=escape(statement.tenant))
    title = f"{words['title']} {about}"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f"<title>{title}</title>{style}</head>"
        f'<body class="statement"><h1>{title}</h1>{statement_table(statement, language)}'
        "</body></html>\n"
    )


def statement_table(statement: Statement, language: str) -> str:
    """The part of the page that holds the figures, to stand in another page."""
    words = _WORDS[language]
    notes = [words["formula"], words["hours"].format(hours=statement.hours)]
    if not statement.final:
        notes.insert(0, words["open"])
    head = "".join(
        f'<th scope="col"{_number(name)}>{words[name]}</th>'
        for name in ("store", "zone", "what", "quantity", "price", "amount")
    )
    body = "".join(_row(line, statement.currency, language) for line in statement.lines)
    if not body:
        body = f'<tr><td colspan="6">{words["nothing"]}</td></tr>'
    rate = format_decimal(Decimal(statement.vat_rate), locale=language)
    sums = (
        (words["subtotal"], statement.subtotal),
        (words["vat"].format(rate=rate), statement.vat),
        (words["total"], statement.total),
    )
    foot = "".join(
        f'<tr><td colspan="5">{name}</td>'
        f'<td class="number">{_money(amount, statement.currency, language)}</td></tr>'
        for name, amount in sums
    )
    told = "".join(f'<p class="note">{note}</p>' for note in notes)
    return (
        f'<table class="statement-lines"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        f"<tfoot>{foot}</tfoot></table>{told}"
    )


def statement_csv(statement: Statement) -> str:
    """The lines, under a heading, then subtotal, VAT and total in the last column (RFC 4180)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ("tenant", "month", "currency", *_COLUMNS))
    writer.writeheader()
    about = {name: getattr(statement, name) for name in ("tenant", "month", "currency")}
    for line in statement.lines:
        writer.writerow(about | asdict(line))
    for name in ("subtotal", "vat", "total"):
        writer.writerow(about | {"kind": name, "amount": getattr(statement, name)})
    return text.getvalue()


def _row(line: Line, currency: str, language: str) -> str:
    words = _WORDS[language]
    what = line.storage_class if line.storage_class is not None else words[line.kind]
    quantity = format_decimal(Decimal(line.quantity), format="#,##0.######", locale=language)
    unit = words[line.unit]
    price = "—"
    if line.price is not None:
        price = format_decimal(Decimal(line.price), format="#,##0.##########", locale=language)
    cells = (
        f"<td>{escape(line.store)}</td><td>{escape(line.zone)}</td><td>{escape(what)}</td>",
        f'<td class="number">{quantity} {unit}</td><td class="number">{price}</td>',
        f'<td class="number">{_money(line.amount, currency, language)}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _number(name: str) -> str:
    return ' class="number"' if name in ("quantity", "price", "amount") else ""


def _money(amount: str, currency: str, language: str) -> str:
    return escape(format_currency(Decimal(amount), currency, locale=language))
