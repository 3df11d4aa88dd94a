"""File names for texts that anybody may have written."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_MOST_SLUG = 60
_READ = 400
_HASH_DIGITS = 12


def safe_name(text: str) -> str:
    """A file name, without its ending, that tells what the text says: a slug of it and a short hash.

    At most 80 characters of a-z, 0-9 and "-", the first of them no "-": good on every file system, whatever the text.
    Texts that Unicode calls equal (the same in normal form C) get the same name, all others a name of their own.
    """
    normal = unicodedata.normalize("NFC", text)
    digest = hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    plain = unicodedata.normalize("NFKD", normal[:_READ]).encode("ascii", "ignore").decode("ascii").lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[: _MOST_SLUG + 1].strip("-")[:_MOST_SLUG].strip("-")
    return f"{slug}-{digest}" if slug else digest
