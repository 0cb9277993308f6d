"""An object that queries are asked of (SelectObjectContent), and what comes back."""

from __future__ import annotations

import json
from typing import Any

from tests.protocol.boto_client import refused

PEOPLE = b'name,age,city\nann,30,"Paris, 5"\nbob,4,\nCarl,25,Rome,extra\n'
USE = {"CSV": {"FileHeaderInfo": "USE"}}
LINES = {"JSON": {"Type": "LINES"}}
TO_JSON: dict[str, Any] = {"JSON": {}}
TO_CSV: dict[str, Any] = {"CSV": {}}


class Selecting:
    """Puts one object and asks for parts of it."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.stats: dict[str, int] = {}
        self.kinds: list[str] = []

    def put(self, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key="data", Body=body)

    def ask(self, expression: str, source: Any, to: Any = TO_JSON, **more: Any) -> bytes:
        answer = self.s3.select_object_content(
            Bucket=self.bucket,
            Key="data",
            Expression=expression,
            ExpressionType="SQL",
            InputSerialization=source,
            OutputSerialization=to,
            **more,
        )
        found = b""
        self.kinds = []
        for event in answer["Payload"]:
            (kind,) = event
            self.kinds.append(kind)
            if kind == "Records":
                assert len(event[kind]["Payload"]) <= 1 << 20
                found += event[kind]["Payload"]
            elif kind == "Stats":
                self.stats = event[kind]["Details"]
        assert self.kinds[-2:] == ["Stats", "End"]
        assert self.stats["BytesReturned"] == len(found)
        return found

    def rows(self, expression: str, source: Any, **more: Any) -> list[Any]:
        return [json.loads(line) for line in self.ask(expression, source, **more).splitlines()]

    def code(self, expression: str, source: Any, to: Any = TO_JSON, **more: Any) -> str:
        """The code of an answer that is an error, before its stream or in it."""
        return refused(
            self.s3.select_object_content,
            Bucket=self.bucket,
            Key="data",
            Expression=expression,
            ExpressionType="SQL",
            InputSerialization=source,
            OutputSerialization=to,
            **more,
        )
