"""Produces and reads DingTalk's events, and asks its older API, with dingtalk-sdk:

    messages.py seal TOKEN AES_KEY RECEIVER MESSAGE NONCE      prints the body of a delivery and its parameters
    messages.py read TOKEN AES_KEY RECEIVER BODY               prints the text of an encrypted answer
    messages.py ask BASE APP_KEY APP_SECRET PATH BODY ...      prints the result of each call, or its errcode

Every answer is a line of JSON.
"""

import json
import sys
import time

from dingtalk.client import AppKeyClient
from dingtalk.core.exceptions import DingTalkClientException
from dingtalk.crypto import DingTalkCrypto


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def seal(token, key, receiver, message, nonce):
    crypto = DingTalkCrypto(token, key, receiver)
    return crypto.encrypt_message(message, nonce, int(time.time() * 1000))


def read(token, key, receiver, body):
    crypto = DingTalkCrypto(token, key, receiver)
    sealed = json.loads(body)
    opened = crypto.decrypt_message(
        sealed, sealed["msg_signature"], sealed["timeStamp"], sealed["nonce"]
    )
    return {"text": text(opened)}


def ask(base, app_key, app_secret, *calls):
    client = AppKeyClient("corp", app_key, app_secret)
    client.API_BASE_URL = base
    client._http.trust_env = False

    def asked(path, body):
        try:
            return client.post(path, json.loads(body))
        except DingTalkClientException as error:
            return {"errcode": error.errcode}

    return [asked(*call) for call in zip(calls[::2], calls[1::2])]


command, *rest = sys.argv[1:]
print(json.dumps({"seal": seal, "read": read, "ask": ask}[command](*rest)))
