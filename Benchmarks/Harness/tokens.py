"""HS256 tokens, for as many users as a benchmark has."""

import base64
import hashlib
import hmac
import json
import time

SECRET = "a-secret-of-the-benchmarks-that-is-no-secret"


def _encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(user):
    claims = {"sub": user, "exp": int(time.time()) + 86_400}
    body = _encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + _encode(json.dumps(claims).encode())
    return (body + b"." + _encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest())).decode()


def write_tokens(path, users):
    path.write_text("".join(token(user) + "\n" for user in users))
    return path
