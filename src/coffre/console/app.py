"""The console's application: the API under /api/v1, the assets under /static, and the pages."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from coffre.console import pages
from coffre.console.account import Account
from coffre.console.api.activities import Activities
from coffre.console.api.app import PREFIX, Api
from coffre.console.api.table import ROUTES
from coffre.console.codes import Codes
from coffre.console.console import Console
from coffre.console.data import Data
from coffre.console.management import Management
from coffre.console.own import own_operations
from coffre.console.own_account import account_operations
from coffre.console.pages.assets import ASSET_ROUTE
from coffre.console.parts import Application, Parts
from coffre.console.sessions import ConsoleSessions
from coffre.console.signin import SignIn
from coffre.console.tokens import Tokens
from coffre.console.web import Doorman, Headed


def console_app(parts: Parts, beside: Sequence[BaseRoute] = ()) -> Application:
    """The ASGI application. `beside`: what else answers on this port."""
    sessions = ConsoleSessions(parts)
    activities = Activities(parts.memory, parts.sealer, parts.clock, parts.entropy)
    data = Data(parts)
    sign_in = SignIn(parts, sessions)
    account = Account(parts, sessions, sign_in)
    own = {
        **own_operations(parts, data, activities),
        **account_operations(parts.reader, sessions, account),
    }
    management = Management(parts, ROUTES, own)
    doorman = Doorman(parts, sessions)
    api = Api(parts, management, doorman, activities)
    app = Starlette(
        routes=[
            *beside,
            Mount(PREFIX, routes=api.routes(ROUTES)),
            ASSET_ROUTE,
            *pages.routes(),
        ]
    )
    app.state.console = Console(
        parts=parts,
        management=management,
        doorman=doorman,
        sessions=sessions,
        sign_in=sign_in,
        account=account,
        codes=Codes(parts),
        tokens=Tokens(parts),
        activities=activities,
        data=data,
    )
    return Headed(app)
