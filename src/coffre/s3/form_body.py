"""The body of a browser form: its fields are read before anything is known of who sent it, its file
when the handler asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from coffre.s3.body import Receive, RequestBody
from coffre.s3.deadlines import Deadlines
from coffre.s3.settings import Patience
from coffre.wire.errors import S3Error
from coffre.wire.forms import FormDecoder, boundary
from coffre.wire.payload import BodyDecoder, content_length
from coffre.wire.post_policy import Policy
from coffre.wire.request import RequestHead


class FormBody(RequestBody):
    """To a handler the file's content is the body. PreconditionFailed for what is no form.

    `policy` is what whoever signed the form allows; it is set once it is known to hold.
    """

    def __init__(
        self, receive: Receive, head: RequestHead, patience: Patience, deadlines: Deadlines
    ) -> None:
        super().__init__(receive, head, None, patience, deadlines)
        self._form = FormDecoder(boundary(head))
        self._early: list[Any] = []
        self._taking = False
        self.policy = Policy(0, ())

    @property
    def fields(self) -> dict[str, str]:
        """The fields before the file, by lower-case name, once `read_fields` has read them."""
        return self._form.fields

    async def read_fields(self) -> None:
        """Read as far as the file. Raises as `FormDecoder`, and MissingContentLength."""
        self._declared = content_length(self._head)
        if self._declared is None:
            raise S3Error("MissingContentLength")

        async def keep(piece: Any) -> None:
            self._early.append(piece)

        await super().feed(self._form, keep)
        if not self._form.at_file:
            self._form.finish()

    def decoder(self, *, require_length: bool = True) -> BodyDecoder:
        return self._form

    async def feed(self, decoder: BodyDecoder, take: Callable[[Any], Awaitable[None]]) -> None:
        """The file's content, first what came with the last field."""
        self._taking = True
        early, self._early = self._early, []
        for piece in early:
            await take(piece)
        await super().feed(decoder, take)

    async def _next(self) -> bytes:
        if self._form.at_file and not self._taking:
            return b""
        return await super()._next()
