"""Produces and reads WeCom's callbacks with wechatpy: messages.py TOKEN AES_KEY RECEIVE_ID COMMAND ...

    seal MESSAGE TIMESTAMP NONCE           prints the signature and the encrypted message
    read SIGNATURE TIMESTAMP NONCE BODY    prints the fields of a delivery
    echo SIGNATURE TIMESTAMP NONCE ECHOSTR prints the decrypted text of a verification

Every answer is a line of JSON.
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

import xmltodict
from wechatpy.enterprise import parse_message
from wechatpy.enterprise.crypto import WeChatCrypto

token, aes_key, receive_id, command, *rest = sys.argv[1:]
crypto = WeChatCrypto(token, aes_key, receive_id)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


if command == "seal":
    message, timestamp, nonce = rest
    sealed = xmltodict.parse(crypto.encrypt_message(message, nonce, timestamp))["xml"]
    answer = {"signature": sealed["MsgSignature"], "encrypted": sealed["Encrypt"]}
elif command == "read":
    signature, timestamp, nonce, body = rest
    message = crypto.decrypt_message(body, signature, timestamp, nonce)
    answer = {"fields": dict(parse_message(text(message))._data)}
elif command == "echo":
    signature, timestamp, nonce, echostr = rest
    answer = {"echo": text(crypto.check_signature(signature, timestamp, nonce, echostr))}
else:
    sys.exit(f"no such command: {command}")
print(json.dumps(answer))
