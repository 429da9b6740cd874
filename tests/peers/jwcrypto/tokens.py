"""Signs and encrypts tokens with jwcrypto, as a portal does.

Reads a JSON list of requests from standard input and prints a JSON list of tokens. A request has `claims`,
`alg` and `key`, and for an encrypted token `encrypt` with `alg`, `enc` and `key`. A key is PEM, or a shared
secret in Base64.
"""

import base64
import json
import sys

from jwcrypto import jwe, jwk, jws


def read_key(text):
    if text.startswith("-----BEGIN"):
        return jwk.JWK.from_pem(text.encode())
    secret = base64.urlsafe_b64encode(base64.b64decode(text)).rstrip(b"=").decode()
    return jwk.JWK(kty="oct", k=secret)


def token(request):
    signed = jws.JWS(json.dumps(request["claims"]).encode())
    signed.allowed_algs = [request["alg"]]
    header = json.dumps({"alg": request["alg"], "typ": "JWT"})
    signed.add_signature(read_key(request["key"]), protected=header)
    text = signed.serialize(compact=True)
    encryption = request.get("encrypt")
    if not encryption:
        return text
    alg, enc = encryption["alg"], encryption["enc"]
    header = json.dumps({"alg": alg, "enc": enc, "cty": "JWT"})
    encrypted = jwe.JWE(text.encode(), protected=header, algs=[alg, enc])
    encrypted.add_recipient(read_key(encryption["key"]))
    return encrypted.serialize(compact=True)


print(json.dumps([token(request) for request in json.load(sys.stdin)]))
