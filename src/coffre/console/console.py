"""The console's own objects, put together once, and how a handler reaches them."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request

from coffre.console.account import Account
from coffre.console.api.activities import Activities
from coffre.console.codes import Codes
from coffre.console.data import Data
from coffre.console.management import Management
from coffre.console.parts import Parts
from coffre.console.sessions import ConsoleSessions
from coffre.console.signin import SignIn
from coffre.console.tokens import Tokens
from coffre.console.web import Doorman


class Console(Struct, frozen=True, kw_only=True):
    """One console process's objects."""

    parts: Parts
    management: Management
    doorman: Doorman
    sessions: ConsoleSessions
    sign_in: SignIn
    account: Account
    codes: Codes
    tokens: Tokens
    activities: Activities
    data: Data


def console_of(request: Request) -> Console:
    """The console that a request came to."""
    found: Console = request.app.state.console
    return found
