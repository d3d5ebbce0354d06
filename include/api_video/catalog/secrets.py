"""Fields that are never stored, whichever payload has them; those of one endpoint are in its entry (``Endpoint.secrets``)."""

from __future__ import annotations

from include.api_video.catalog.model import Endpoint


def bare(name: str) -> str:
    """The lowercase letters and digits of a name: ``stream_key``, ``Stream Key`` and ``streamKey`` become the same."""
    return "".join(filter(str.isalnum, name)).lower()


# Fields that hold a credential wherever they appear, documented or not, in any spelling.
ALWAYS_SECRET = frozenset(
    bare(name)
    for name in (
        *("streamKey", "signatureSecret", "secret", "uploadToken", "token", "apiKey"),
        *("accessToken", "refreshToken", "privateToken", "password"),
    )
)


def secrets_of(endpoint: Endpoint) -> frozenset[str]:
    """The fields of an endpoint that are never stored, as ``bare`` spells them."""
    return ALWAYS_SECRET | {bare(name) for name in endpoint.secrets}
