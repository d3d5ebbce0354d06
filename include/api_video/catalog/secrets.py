"""Fields that are never stored, whichever payload has them; those of one endpoint are in its entry (``Endpoint.secrets``)."""

from __future__ import annotations

# Fields that hold a credential wherever they appear, documented or not, in any spelling.
ALWAYS_SECRET = frozenset(
    {
        *("streamkey", "signaturesecret", "secret", "uploadtoken", "token", "apikey"),
        *("accesstoken", "refreshtoken", "privatetoken", "password"),
    }
)
