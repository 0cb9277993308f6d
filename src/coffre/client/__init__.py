"""The management API's client: typed, synchronous, with nothing of a node's own.

    from coffre.client import Client

    with Client("https://localhost:9001", token_file="token", ca_file="data/tls/ca.pem") as coffre:
        for store in coffre.store.list():
            print(store.name, store.bytes)

Methods and values are generated from the API's table (`python -m tools.api_client`): one group for
each subject, a method for each operation. What is refused is an `ApiError`.
"""

from __future__ import annotations

from coffre.client.calls import Client
from coffre.client.transport import ApiError, Content, NotReached

__all__ = ["ApiError", "Client", "Content", "NotReached"]
