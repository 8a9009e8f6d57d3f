"""Encoding, decoding, hashing; URLs and paths as texts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import posixpath
import urllib.parse
import uuid
from typing import Any

import msgspec

from flowbuilder.core.functions.support import (
    MAX_DEPTH,
    Budget,
    bounded_text,
    charge,
    charge_text,
    kind_of,
    measure,
    text,
    too_much,
    wrong_type,
    wrong_value,
)
from flowbuilder.core.functions.writing import written

_ALGORITHMS = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5", "sha3_256", "blake2b")


def _bytes(budget: Budget, value: Any, what: str) -> bytes:
    data = value if type(value) is bytes else text(value, what).encode("utf-8", "surrogatepass")
    charge(budget, (len(data) >> 6) + 1)
    return data


def from_json(budget: Budget, value: Any) -> Any:
    """Return the value that a text is as JSON."""
    data = _bytes(budget, value, "'from_json'")
    bounded_text(len(data))
    try:
        made = msgspec.json.decode(data)
    except RecursionError:
        return too_much(f"lists and mappings more than {MAX_DEPTH} deep")
    except msgspec.DecodeError as error:
        return wrong_value(f"'from_json' takes a text that is JSON: {error}")
    _check(made, 0)
    measure(budget, made)
    return made


def _check(value: Any, depth: int) -> None:
    """Refuse what JSON can say and no value can be: integers beyond 64 bits, great depth."""
    if depth > MAX_DEPTH:
        too_much(f"lists and mappings more than {MAX_DEPTH} deep")
    kind = type(value)
    if kind is int:
        if not -(2**63) <= value <= 2**63 - 1:
            too_much("an integer of more than 64 bits")
    elif kind is list:
        for item in value:
            _check(item, depth + 1)
    elif kind is dict:
        for item in value.values():
            _check(item, depth + 1)


def base64_encode(budget: Budget, value: Any) -> str:
    """Return a text (as UTF-8) or bytes in base64."""
    return base64.b64encode(_bytes(budget, value, "'base64_encode'")).decode()


def base64_decode(budget: Budget, value: Any) -> Any:
    """Return what a text in base64 holds: a text where it is UTF-8, else bytes."""
    data = _bytes(budget, value, "'base64_decode'")
    try:
        made = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return wrong_value("'base64_decode' takes a text in base64")
    try:
        return made.decode()
    except UnicodeDecodeError:
        return made


def urlencode(budget: Budget, value: Any) -> str:
    """Return a text percent-encoded, or a mapping as the query of a URL."""
    if type(value) is dict:
        measure(budget, value)
        pairs = [
            (key, item if type(item) is str else written(item, budget))
            for key, listed_or_not in value.items()
            for item in (listed_or_not if type(listed_or_not) is list else [listed_or_not])
            if item is not None
        ]
        made = urllib.parse.urlencode(pairs)
    else:
        if value is None:
            return wrong_type("'urlencode' takes a text or a mapping, not null")
        plain = value if type(value) is str else written(value, budget)
        charge(budget, (len(plain) >> 4) + 1)
        made = urllib.parse.quote(plain, safe="")
    bounded_text(len(made))
    return made


def urldecode(budget: Budget, value: Any) -> str:
    """Return a percent-encoded text as it was."""
    plain = text(value, "'urldecode'")
    charge(budget, (len(plain) >> 4) + 1)
    return urllib.parse.unquote(plain)


def url_parse(budget: Budget, value: Any) -> dict[str, Any]:
    """Return the parts of a URL: scheme, host, port, path, query (a mapping), fragment, user."""
    plain = text(value, "'url_parse'")
    charge(budget, (len(plain) >> 4) + 16 * plain.count("&") + 1)
    try:
        parts = urllib.parse.urlsplit(plain)
        port = parts.port
    except ValueError:
        return wrong_value("'url_parse' takes a URL, such as https://host:8080/path?query")
    query: dict[str, Any] = {}
    for key, item in urllib.parse.parse_qsl(parts.query, keep_blank_values=True):
        if key not in query:
            query[key] = item
        elif type(query[key]) is list:
            query[key].append(item)
        else:
            query[key] = [query[key], item]
    return {
        "scheme": parts.scheme,
        "host": parts.hostname or "",
        "port": port,
        "path": parts.path,
        "query": query,
        "fragment": parts.fragment,
        "user": parts.username,
    }


def url_join(budget: Budget, base: Any, *parts: Any) -> str:
    """Return a URL with path segments behind it, each percent-encoded, one slash between them."""
    made = text(base, "'url_join'").rstrip("/")
    for part in parts:
        if part is None or type(part) in (list, dict):
            wrong_type(f"'url_join' takes texts and numbers, not {kind_of(part)}")
        segment = (part if type(part) is str else written(part, budget)).strip("/")
        made += "/" + urllib.parse.quote(segment, safe="")
    charge(budget, (bounded_text(len(made)) >> 4) + 1)
    return made


def html_escape(budget: Budget, value: Any) -> str:
    """Return a text in which HTML has no marks."""
    plain = text(value, "'html_escape'")
    charge(budget, (len(plain) >> 4) + 1)
    import html  # start-up time: few flows write HTML

    made = html.escape(plain)
    bounded_text(len(made))
    return made


def sha256(budget: Budget, value: Any) -> str:
    """Return the SHA-256 of a text (as UTF-8) or of bytes, in hex."""
    return hashlib.sha256(_bytes(budget, value, "'sha256'")).hexdigest()


def hmac_sha256(budget: Budget, value: Any, key: Any) -> str:
    """Return the HMAC with SHA-256 of a text or of bytes under a key, in hex."""
    data = _bytes(budget, value, "'hmac_sha256'")
    return hmac.new(_bytes(budget, key, "'hmac_sha256'"), data, "sha256").hexdigest()


def digest(budget: Budget, value: Any, algorithm: Any = "sha256") -> str:
    """Return the digest of a text, of bytes, or of any other value as JSON with sorted keys, in hex."""
    if text(algorithm, "'digest'") not in _ALGORITHMS:
        wrong_value(f"'digest' knows {', '.join(_ALGORITHMS)}")
    if type(value) is not str and type(value) is not bytes:
        measure(budget, value)
        from flowbuilder.core.values import to_json  # here, since values are its business

        value = msgspec.json.encode(to_json(value), order="sorted")
    return hashlib.new(algorithm, _bytes(budget, value, "'digest'"), usedforsecurity=False).hexdigest()


def uuid5(budget: Budget, name: Any, namespace: Any = None) -> str:
    """Return the UUID (version 5) of a name within a namespace, itself a UUID or a name."""
    plain = text(name, "'uuid5'")
    charge(budget, (len(plain) >> 6) + 1)
    if namespace is None:
        space = uuid.NAMESPACE_URL
    else:
        try:
            space = uuid.UUID(text(namespace, "'uuid5'"))
        except ValueError:
            space = uuid.uuid5(uuid.NAMESPACE_URL, namespace)
    return str(uuid.uuid5(space, plain))


def basename(budget: Budget, value: Any) -> str:
    """Return the last part of a path."""
    plain = text(value, "'basename'")
    charge_text(budget, len(plain))
    return posixpath.basename(plain)


def dirname(budget: Budget, value: Any) -> str:
    """Return a path without its last part."""
    plain = text(value, "'dirname'")
    charge_text(budget, len(plain))
    return posixpath.dirname(plain)
