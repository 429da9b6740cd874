"""Asks menshen over gRPC with Envoy's own definitions: client.py HOST:PORT SITE COOKIE

Every question is asked in several forms; each answer is a line of JSON. SITE is the host that is asked
about, COOKIE the Cookie header of somebody who may pass.
"""

import json
import sys

import grpc
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.service.auth import v3 as auth

CHECK = "/envoy.service.auth.v3.Authorization/Check"
# Field 1000 as a varint, 1001 as bytes, 1002 in four bytes: none of them is Envoy's.
UNKNOWN = b"\xc0\x3e\x07" + b"\xca\x3e\x03abc" + b"\xd5\x3e\x01\x02\x03\x04"

address, site, cookie = sys.argv[1:]


def http(path="/echo", **more):
    return auth.AttributeContextHttpRequest(
        method="GET", path=path, host=site, scheme="http", **more
    )


def asking(request, **more):
    request = auth.AttributeContextRequest(http=request)
    return auth.CheckRequest(attributes=auth.AttributeContext(request=request, **more))


def peer(ip):
    socket = core.SocketAddress(address=ip, port_value=4711)
    return auth.AttributeContextPeer(address=core.Address(socket_address=socket), principal="somebody")


def pipe(path):
    address = core.Address(pipe=core.Pipe(path=path))
    return auth.AttributeContextPeer(address=address)


def raw(pairs):
    values = [core.HeaderValue(key=key, raw_value=value) for key, value in pairs]
    return core.HeaderMap(headers=values)


member = {"cookie": cookie, ":path": "/echo", "x-forwarded-user": "boss"}
page = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
everything = auth.CheckRequest(
    attributes=auth.AttributeContext(
        source=peer("192.0.2.9"),
        destination=peer("192.0.2.1"),
        request=auth.AttributeContextRequest(
            http=http(
                headers=member, id="7", size=-1, protocol="HTTP/2", body="hello", raw_body=b"\xff"
            )
        ),
        context_extensions={"route": "everybody", "other": "thing"},
        tls_session=auth.AttributeContextTlsSession(sni=site),
    )
)

QUESTIONS = {
    "member": bytes(asking(http(headers=member), source=peer("192.0.2.9"))),
    "member without source": bytes(asking(http(headers=member))),
    "member on a pipe": bytes(asking(http(headers=member), source=pipe("/run/a.sock"))),
    "member in raw headers": bytes(
        asking(http(header_map=raw([("cookie", cookie.encode()), ("x-latin", b"\xff")])))
    ),
    "member with unknown fields": bytes(asking(http(headers=member))) + UNKNOWN,
    "member with everything": bytes(everything),
    "stranger": bytes(asking(http(headers={"accept": "*/*"}))),
    "stranger who navigates": bytes(asking(http(headers=page))),
    "forged": bytes(asking(http(headers={"cookie": "menshen=a.b.c"}))),
    "no such host": bytes(asking(auth.AttributeContextHttpRequest(host="nowhere.test", path="/"))),
    "dot segments": bytes(asking(http(path="/a/%2e%2e/b", headers=member))),
    "no such route": bytes(asking(http(headers=member), context_extensions={"route": "none"})),
    "nothing": bytes(auth.CheckRequest()),
    "no attributes": bytes(auth.CheckRequest(attributes=auth.AttributeContext())),
    "no http": bytes(
        auth.CheckRequest(attributes=auth.AttributeContext(request=auth.AttributeContextRequest()))
    ),
    "unknown fields alone": UNKNOWN,
}


def pairs(options):
    return {
        option.header.key: option.header.value or option.header.raw_value.decode("latin-1")
        for option in options
    }


def told(answer):
    answer = auth.CheckResponse.parse(answer)
    line = {"code": answer.status.code if answer.status else 0}
    if answer.ok_response is not None:
        line["set"] = pairs(answer.ok_response.headers)
        line["removed"] = answer.ok_response.headers_to_remove
        line["metadata"] = answer.dynamic_metadata.to_dict() if answer.dynamic_metadata else None
    if answer.denied_response is not None:
        line["status"] = int(answer.denied_response.status.code)
        line["set"] = pairs(answer.denied_response.headers)
        line["body"] = answer.denied_response.body
    return line


with grpc.insecure_channel(address) as channel:
    check = channel.unary_unary(CHECK)
    for name, question in QUESTIONS.items():
        try:
            line = told(check(question, timeout=5))
        except grpc.RpcError as error:
            line = {"error": error.code().name}
        print(json.dumps({"question": name, **line}), flush=True)
print("done", flush=True)
