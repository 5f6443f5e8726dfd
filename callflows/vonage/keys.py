"""Knows whether a private key can be used, and whether it belongs to a public one."""

from __future__ import annotations

import warnings

import jwt

from callflows.vonage.account import read_key

_UNUSABLE = (ValueError, TypeError, AttributeError, jwt.PyJWTError)


def problem(private: str, public: str) -> str:
    """Return what is wrong with a private key (PEM) for an application with the given public key; empty: nothing."""
    with warnings.catch_warnings():
        # How long a key is was Vonage's choice.
        warnings.simplefilter("ignore")
        try:
            token = jwt.encode({"iss": "callflows"}, read_key(private), algorithm="RS256")
        except _UNUSABLE as error:
            return f"is no private RSA key in PEM form: {type(error).__name__}"
        try:
            jwt.decode(token, public, algorithms=["RS256"])
        except jwt.InvalidSignatureError:
            return "does not belong to the public key that Vonage has of the application"
        except _UNUSABLE:
            return "cannot be compared: the public key that Vonage has of the application cannot be read"
    return ""
