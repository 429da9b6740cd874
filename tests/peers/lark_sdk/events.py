"""Reads and produces events of Lark with the SDK for Python: events.py TOKEN ENCRYPT_KEY COMMAND ...

    read HEADERS BODY              prints the type and the person of an event, a challenge, or null
    seal MESSAGE TIMESTAMP NONCE   prints the headers and the body of a delivery that the SDK itself accepts

Every answer is a line of JSON.
"""

import base64
import hashlib
import json
import logging
import os
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import lark_oapi as lark
from Crypto.Cipher import AES
from Crypto.Util.Padding import pad
from lark_oapi.core.utils import AESCipher

token, key, command, *rest = sys.argv[1:]
seen = []


def see(event):
    seen.append({"type": event.header.event_type, "union_id": event.event.object.union_id})


handler = (
    lark.EventDispatcherHandler.builder(key, token, lark.LogLevel.ERROR)
    .register_p2_contact_user_deleted_v3(see)
    .register_p2_contact_user_updated_v3(see)
    .build()
)


def read(headers, body):
    request = lark.RawRequest()
    request.uri = "/"
    request.headers = headers
    request.body = body.encode()
    answer = handler.do(request)
    if answer.status_code != 200:
        return None
    challenge = json.loads(answer.content)
    return challenge if "challenge" in challenge else seen.pop()


def seal(message, timestamp, nonce):
    iv = os.urandom(AES.block_size)
    cipher = AES.new(AESCipher(key).digest, AES.MODE_CBC, iv)
    encrypted = iv + cipher.encrypt(pad(message.encode(), AES.block_size))
    body = json.dumps({"encrypt": base64.b64encode(encrypted).decode()})
    signature = hashlib.sha256(f"{timestamp}{nonce}{key}{body}".encode()).hexdigest()
    headers = {
        "X-Lark-Request-Timestamp": timestamp,
        "X-Lark-Request-Nonce": nonce,
        "X-Lark-Signature": signature,
    }
    if read(headers, body) is None:
        sys.exit("the SDK does not accept this delivery")
    return {"headers": headers, "body": body}


if command == "read":
    answer = read(json.loads(rest[0]), rest[1])
elif command == "seal":
    answer = seal(*rest)
else:
    sys.exit(f"no such command: {command}")
print(json.dumps(answer))
