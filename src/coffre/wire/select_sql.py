"""The SQL of SelectObjectContent: text to a tree of values, and nothing that is not in the dialect.

Source: AWS "SQL reference for Amazon S3 Select" (SELECT command, operators, functions, reserved
words) and its list of error codes. One SELECT over the one table; no sub-query, join, grouping or
order. Whoever runs a query builds it anew from this tree, so that no text of a stranger's reaches a
query engine.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from coffre.wire.errors import S3Error
from coffre.wire.select_tokens import (
    END,
    RESERVED,
    UNSUPPORTED,
    Token,
    decimal,
    outermost,
    tokens,
    unquoted,
)
from coffre.wire.select_tree import (
    Aggregate,
    Case,
    Cast,
    Every,
    Expr,
    Is,
    Item,
    Literal,
    Name,
    Operation,
    Path,
    Query,
    Step,
    has_aggregate,
    require_aggregated,
)

EXPRESSION_LIMIT: Final = 256 * 1024  # bytes (AWS)
_DEPTH: Final = 60
_OPERATORS: Final = 250

AGGREGATES: Final = frozenset({"AVG", "COUNT", "MAX", "MIN", "SUM"})
# function -> least and most arguments
FUNCTIONS: Final = {
    "CHAR_LENGTH": (1, 1),
    "CHARACTER_LENGTH": (1, 1),
    "COALESCE": (1, 100),
    "DATE_ADD": (3, 3),
    "DATE_DIFF": (3, 3),
    "LOWER": (1, 1),
    "NULLIF": (2, 2),
    "TO_STRING": (2, 2),
    "TO_TIMESTAMP": (1, 1),
    "UPPER": (1, 1),
    "UTCNOW": (0, 0),
}
TYPES: Final = {
    **{"BOOL": "BOOL", "BOOLEAN": "BOOL", "INT": "INT", "INTEGER": "INT", "STRING": "STRING"},
    **{"VARCHAR": "STRING", "CHAR": "STRING", "FLOAT": "FLOAT", "DOUBLE": "FLOAT"},
    **{"REAL": "FLOAT", "DECIMAL": "DECIMAL", "NUMERIC": "DECIMAL", "TIMESTAMP": "TIMESTAMP"},
}
DATE_PARTS: Final = frozenset({"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"})
_ZONE_PARTS: Final = frozenset({"TIMEZONE_HOUR", "TIMEZONE_MINUTE"})


def parse_sql(text: str) -> Query:
    """The query. Raises ExpressionTooLong, LexerInvalidChar, and the Parse… and Unsupported… codes
    of S3 Select."""
    if len(text.encode()) > EXPRESSION_LIMIT:
        raise S3Error("ExpressionTooLong")
    return _Parser(tokens(text)).query()


class _Parser:
    """Recursive descent; `_alias` is known only after FROM, so paths lose it at the end."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._operators = 0
        self._alias = ""

    def query(self) -> Query:
        self._expect("SELECT")
        if self._next.word == "DISTINCT":
            raise S3Error("UnsupportedSyntax", "DISTINCT is not supported.")
        self._find_alias()
        items = self._items()
        self._expect("FROM", "ParseSelectMissingFrom")
        source = self._source()
        where = self._expression() if self._take("WHERE") else None
        limit = self._limit() if self._take("LIMIT") else None
        if self._next.word in UNSUPPORTED:
            raise S3Error("UnsupportedSyntax", f"{self._next.word} is not supported.")
        if self._sign(","):
            raise S3Error("MultipleDataSourcesUnsupported")
        if self._next is not END:
            raise self._unexpected()
        if where is not None and has_aggregate(where):
            raise S3Error("UnsupportedSyntax", "WHERE cannot have an aggregate function.")
        return Query(items, source, where, limit)

    def _find_alias(self) -> None:
        """The table's alias stands behind what it is needed for: look ahead."""
        words = [token.word for token in self._tokens]
        if "FROM" not in words:
            return
        start, self._at = self._at, outermost(self._tokens, "FROM") + 1
        self._source()
        self._at = start

    def _items(self) -> tuple[Item, ...]:
        if self._next.word == "FROM":
            raise S3Error("ParseEmptySelect")
        items: list[Item] = []
        while True:
            if self._sign("*"):
                if items or self._next.text == ",":
                    raise S3Error("ParseAsteriskIsNotAloneInSelectList")
                return ()
            if self._is_row_star():
                return ()
            items.append(self._item())
            if not self._sign(","):
                break
        if any(has_aggregate(item.value) for item in items):
            for item in items:
                require_aggregated(item.value)
        return tuple(items)

    def _is_row_star(self) -> bool:
        """`s.*`, which is `*`."""
        texts = [token.text for token in self._tokens[self._at : self._at + 3]]
        if texts[1:] == [".", "*"] and self._is_table(texts[0]):
            self._at += 3
            return True
        return False

    def _item(self) -> Item:
        value = self._expression()
        if self._take("AS"):
            return Item(value, self._identifier("ParseExpectedIdentForAlias").text)
        token = self._next
        if token.kind == "quoted" or (token.kind == "word" and token.word not in RESERVED):
            return Item(value, self._identifier("ParseExpectedIdentForAlias").text)
        return Item(value)

    def _source(self) -> tuple[Step, ...]:
        if self._next.word != "S3OBJECT":
            raise S3Error("InvalidDataSource", "The only table is S3Object.")
        self._at += 1
        steps = self._steps()
        if (
            self._take("AS")
            or self._next.kind == "quoted"
            or (self._next.kind == "word" and self._next.word not in RESERVED)
        ):
            self._alias = self._identifier("ParseExpectedIdentForAlias").text
        # The table is a list of records: its own [*] says what holds anyway.
        return steps[1:] if steps[:1] == (Every(),) else steps

    def _steps(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        while True:
            if self._sign("."):
                steps.append(self._identifier("ParseInvalidPathComponent", keyword=True))
            elif self._sign("["):
                token = self._advance()
                if token.text == "*":
                    steps.append(Every())
                elif token.kind == "number" and token.text.isdigit() and len(token.text) < 10:
                    steps.append(int(token.text))
                elif token.kind == "string":
                    steps.append(Name(unquoted(token.text), True))
                else:
                    raise S3Error("ParseInvalidPathComponent")
                self._require("]")
            else:
                return tuple(steps)

    def _limit(self) -> int:
        token = self._advance()
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > 18:
            raise S3Error("ParseExpectedNumber")
        return int(token.text)

    # Expressions, the loosest binding first.

    def _expression(self) -> Expr:
        self._depth += 1
        if self._depth > _DEPTH:
            raise S3Error("UnsupportedSyntax", "The SQL expression is nested too deeply.")
        try:
            return self._chain(self._conjunction, "OR")
        finally:
            self._depth -= 1

    def _conjunction(self) -> Expr:
        return self._chain(self._negation, "AND")

    def _chain(self, part: Callable[[], Expr], word: str) -> Expr:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Operation(word, tuple(parts))

    def _negation(self) -> Expr:
        count = 0
        while self._take("NOT"):
            count += 1
        value = self._comparison()
        return Operation("NOT", (value,)) if count % 2 else value

    def _comparison(self) -> Expr:
        left = self._sum()
        while True:
            if self._next.text in ("=", "<>", "!=", "<", "<=", ">", ">="):
                sign = self._advance().text
                left = self._binary("<>" if sign == "!=" else sign, left, self._sum())
            elif self._take("IS"):
                negated = self._take("NOT")
                if self._next.word not in ("NULL", "MISSING"):
                    raise self._unexpected("ParseExpectedKeyword")
                self._count()
                left = Is(left, self._advance().word, negated)
            else:
                following = self._tokens[self._at + 1 : self._at + 2]
                word = following[0].word if following else ""
                negated = self._next.word == "NOT" and word in ("IN", "LIKE", "BETWEEN")
                if negated:
                    self._at += 1
                found = self._predicate(left)
                if found is None:
                    return left
                self._count()
                left = Operation("NOT", (found,)) if negated else found

    def _predicate(self, left: Expr) -> Expr | None:
        if self._take("BETWEEN"):
            low = self._sum()
            self._expect("AND")
            return Operation("BETWEEN", (left, low, self._sum()))
        if self._take("IN"):
            self._require("(")
            return Operation("IN", (left, *self._arguments()))
        if self._take("LIKE"):
            pattern = self._sum()
            if self._take("ESCAPE"):
                return Operation("LIKE", (left, pattern, self._sum()))
            return Operation("LIKE", (left, pattern))
        return None

    def _sum(self) -> Expr:
        left = self._product()
        while self._next.text in ("+", "-", "||"):
            sign = self._advance().text
            left = self._binary(sign, left, self._product())
        return left

    def _product(self) -> Expr:
        left = self._sign_of()
        while self._next.text in ("*", "/", "%"):
            sign = self._advance().text
            left = self._binary(sign, left, self._sign_of())
        return left

    def _binary(self, sign: str, left: Expr, right: Expr) -> Expr:
        self._count()
        return Operation(sign, (left, right))

    def _count(self) -> None:
        """Chains nest to the left: bounded, for those who walk the tree."""
        self._operators += 1
        if self._operators > _OPERATORS:
            raise S3Error("UnsupportedSyntax", "The SQL expression has too many operators.")

    def _sign_of(self) -> Expr:
        negative = False
        while self._next.text in ("-", "+"):
            negative ^= self._advance().text == "-"
        value = self._primary()
        if not negative:
            return value
        if isinstance(value, Literal) and isinstance(value.value, int | Decimal):
            return Literal(-value.value)
        return Operation("NEGATE", (value,))

    def _primary(self) -> Expr:
        token = self._next
        if token.kind == "number":
            self._at += 1
            plain = token.text.isdigit()
            return Literal(int(token.text) if plain and len(token.text) < 19 else decimal(token))
        if token.kind == "string":
            self._at += 1
            return Literal(unquoted(token.text))
        if self._sign("("):
            if self._next.word == "SELECT":
                raise S3Error("ParseUnsupportedSelect")
            value = self._expression()
            self._require(")")
            return value
        if token.kind == "word" and token.word in RESERVED:
            return self._keyword()
        if token.kind in ("word", "quoted"):
            following = self._tokens[self._at + 1 : self._at + 2]
            if token.kind == "word" and following and following[0].text == "(":
                self._at += 2
                return self._call(token.word)
            return self._path()
        raise S3Error("ParseExpectedExpression") if token is END else self._unexpected()

    def _keyword(self) -> Expr:
        word = self._next.word
        if word in ("NULL", "MISSING", "TRUE", "FALSE"):
            self._at += 1
            return Literal({"TRUE": True, "FALSE": False}.get(word))
        if word == "CAST":
            self._at += 1
            return self._cast()
        if word == "CASE":
            self._at += 1
            return self._case()
        raise self._unexpected()

    def _path(self) -> Path:
        first = self._identifier("ParseUnexpectedToken")
        steps = self._steps()
        if any(isinstance(step, Every) for step in steps):
            raise S3Error("ParseInvalidContextForWildcardInSelectList")
        return Path(steps if self._is_table(first.text) else (first, *steps))

    def _is_table(self, text: str) -> bool:
        name = unquoted(text) if text.startswith('"') else text
        return name.upper() in ("S3OBJECT", self._alias.upper())

    def _cast(self) -> Expr:
        self._require("(", "ParseExpectedLeftParenAfterCast")
        value = self._expression()
        self._expect("AS")
        name = self._advance().word
        if name not in TYPES:
            raise S3Error("ParseExpectedTypeName")
        size: list[int] = []
        if self._sign("("):
            size.append(self._limit())
            if self._sign(","):
                size.append(self._limit())
            self._require(")")
        kind = TYPES[name]
        most = {"DECIMAL": 2, "STRING": 1}.get(kind, 0)
        precise = kind != "DECIMAL" or not size or (1 <= size[0] <= 38 and sum(size[1:]) <= size[0])
        if len(size) > most or not precise:
            raise S3Error("ParseInvalidTypeParam")
        self._require(")")
        return Cast(value, kind, tuple(size))

    def _case(self) -> Expr:
        operand = None if self._next.word == "WHEN" else self._expression()
        whens: list[tuple[Expr, Expr]] = []
        while self._take("WHEN"):
            condition = self._expression()
            self._expect("THEN")
            whens.append((condition, self._expression()))
        if not whens:
            raise S3Error("ParseUnsupportedCase")
        otherwise = self._expression() if self._take("ELSE") else None
        self._expect("END")
        return Case(operand, tuple(whens), otherwise)

    def _call(self, name: str) -> Expr:
        if name in AGGREGATES:
            return self._aggregate(name)
        if name == "EXTRACT":
            part = self._advance().word
            if part not in DATE_PARTS | _ZONE_PARTS:
                raise S3Error("ParseExpectedDatePart")
            self._expect("FROM")
            value = self._expression()
            self._require(")")
            return Operation(name, (Literal(part), value))
        if name == "TRIM":
            return self._trim()
        if name == "SUBSTRING":
            return self._substring()
        if name not in FUNCTIONS:
            raise S3Error("UnsupportedFunction", f"The function {name} is not supported.")
        if name in ("DATE_ADD", "DATE_DIFF"):
            part = self._advance().word
            if part not in DATE_PARTS:
                raise S3Error("ParseExpectedDatePart")
            self._require(",", "ParseExpectedArgumentDelimiter")
            args: tuple[Expr, ...] = (Literal(part), *self._arguments())
        else:
            args = () if self._sign(")") else self._arguments()
        least, most = FUNCTIONS[name]
        if not least <= len(args) <= most:
            raise S3Error("EvaluatorInvalidArguments", f"{name} has {len(args)} arguments.")
        return Operation(name, args)

    def _aggregate(self, name: str) -> Expr:
        if self._sign("*"):
            if name != "COUNT":
                raise S3Error("ParseUnsupportedCallWithStar")
            self._require(")")
            return Aggregate(name, None)
        value = self._expression()
        self._require(")")
        if has_aggregate(value):
            raise S3Error("UnsupportedSyntax", "Aggregate functions cannot be nested.")
        return Aggregate(name, value)

    def _trim(self) -> Expr:
        side = self._next.word if self._next.word in ("LEADING", "TRAILING", "BOTH") else ""
        if side:
            self._at += 1
        letters: Expr = Literal(" ")
        if not (side and self._take("FROM")):
            value = self._expression()
            if not self._take("FROM"):
                self._require(")")
                return Operation("TRIM", (Literal(side or "BOTH"), letters, value))
            letters = value
        value = self._expression()
        self._require(")")
        return Operation("TRIM", (Literal(side or "BOTH"), letters, value))

    def _substring(self) -> Expr:
        args = [self._expression()]
        if not (self._take("FROM") or self._sign(",")):
            raise self._unexpected("ParseExpectedArgumentDelimiter")
        args.append(self._expression())
        if self._take("FOR") or self._sign(","):
            args.append(self._expression())
        self._require(")")
        return Operation("SUBSTRING", tuple(args))

    def _arguments(self) -> tuple[Expr, ...]:
        args = [self._expression()]
        while self._sign(","):
            args.append(self._expression())
        self._require(")")
        return tuple(args)

    # Tokens.

    @property
    def _next(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else END

    def _advance(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _take(self, word: str) -> bool:
        if self._next.word != word:
            return False
        self._at += 1
        return True

    def _sign(self, text: str) -> bool:
        if self._next.kind != "sign" or self._next.text != text:
            return False
        self._at += 1
        return True

    def _expect(self, word: str, code: str = "ParseExpectedKeyword") -> None:
        if not self._take(word):
            raise self._unexpected(code, word)

    def _require(self, text: str, code: str = "ParseExpectedTokenType") -> None:
        if not self._sign(text):
            raise self._unexpected(code, text)

    def _identifier(self, code: str, *, keyword: bool = False) -> Name:
        token = self._advance()
        if token.kind == "quoted":
            return Name(unquoted(token.text), True)
        if token.kind != "word" or (token.word in RESERVED and not keyword):
            raise S3Error(code)
        return Name(token.text, False)

    def _unexpected(self, code: str = "ParseUnexpectedToken", wanted: str = "") -> S3Error:
        found = self._next.text[:40] or "the end"
        if self._next.word in UNSUPPORTED:
            return S3Error("UnsupportedSyntax", f"{self._next.word} is not supported.")
        text = f"Expected {wanted}, found {found}." if wanted else f"Did not expect {found}."
        return S3Error(code, text)
