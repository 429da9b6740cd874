"""A SAML identity provider: pysaml2's Server, which signs and encrypts with xmlsec1, and verifies every request.

    python pysaml2_idp.py DIRECTORY

DIRECTORY has the keys and certificates `first`, `second` and `ec` (`.key`, `.pem`). The first line of output is
the base URL. The server ends when stdin closes.

PUT  /control     {"sp": our metadata, "signing": "first", "published": ["first"], "sign_response": false,
                   "sign_assertion": true, "encrypt": false, "algorithm": "rsa-sha256"}; changes what it names
GET  /metadata
GET, POST /sso    zhangsan is signed in already
GET, POST /slo    single logout; also its answer
GET  /logout?binding=redirect    the identity provider ends its session, in the browser; or binding=post
GET  /ended       the status of the last logout response of the service, or nothing
"""

import html
import json
import logging
import os
import re
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import saml2.entity
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import create_metadata_string
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256, SIG_ECDSA_SHA256, SIG_RSA_SHA256, SIG_RSA_SHA512

HERE = "127.0.0.1"
DIRECTORY = os.path.abspath(sys.argv[1])

# pysaml2 names only algorithms of RSA; xmlsec1, which signs for it, has more.
saml2.entity.SIG_ALLOWED_ALG += (("SIG_ECDSA_SHA256", SIG_ECDSA_SHA256),)

ALGORITHMS = {"rsa-sha256": SIG_RSA_SHA256, "rsa-sha512": SIG_RSA_SHA512, "ecdsa-sha256": SIG_ECDSA_SHA256}
IDENTITY = {
    "uid": ["zhangsan"],
    "mail": ["zhangsan@corp.example"],
    "displayName": ["张三"],
    "eduPersonAffiliation": ["研发中心", "财务部"],
}
NAME_ID = NameID(format=NAMEID_FORMAT_PERSISTENT, text="zhangsan-7f")


class State:
    settings = {
        "sp": None,
        "signing": "first",
        "published": ["first"],
        "sign_response": False,
        "sign_assertion": True,
        "encrypt": False,
        "algorithm": "rsa-sha256",
    }
    base = ""
    lock = threading.Lock()
    session_index = None
    ended = ""


def path(name, end):
    return os.path.join(DIRECTORY, f"{name}.{end}")


def config():
    settings = State.settings
    more = [name for name in settings["published"] if name != settings["signing"]]
    endpoint = lambda name: [  # noqa: E731
        (f"{State.base}/{name}", BINDING_HTTP_REDIRECT),
        (f"{State.base}/{name}", BINDING_HTTP_POST),
    ]
    return IdPConfig().load(
        {
            "entityid": f"{State.base}/metadata",
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "key_file": path(settings["signing"], "key"),
            "cert_file": path(settings["signing"], "pem"),
            "additional_cert_files": [path(name, "pem") for name in more] or None,
            "metadata": {"inline": [settings["sp"]]} if settings["sp"] else {},
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": endpoint("sso"),
                        "single_logout_service": endpoint("slo"),
                    },
                    "want_authn_requests_signed": True,
                    "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_URI}},
                }
            },
        }
    )


class Handler(BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with State.lock:
            State.settings.update(json.loads(body))
        self.respond("")

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        self.serve(url.path, url.query, BINDING_HTTP_REDIRECT)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.serve(self.path, body, BINDING_HTTP_POST)

    def serve(self, path, text, binding):
        fields = dict(urllib.parse.parse_qsl(text))
        try:
            with State.lock:
                if path == "/metadata":
                    self.respond(create_metadata_string(None, config=config()).decode(), "text/xml")
                elif path == "/ended":
                    self.respond(State.ended)
                else:
                    server = Server(config=config())
                    getattr(self, path.strip("/"))(server, fields, binding)
        except Exception as error:  # noqa: BLE001
            logging.exception("%s", path)
            self.respond(f"{type(error).__name__}: {error}", status=400)

    def signed(self, fields, binding):
        """What pysaml2 needs to verify the signature of a query."""
        names = {"relay_state": "RelayState", "sigalg": "SigAlg", "signature": "Signature"}
        if binding == BINDING_HTTP_POST:
            return {}
        return {name: fields[field] for name, field in names.items() if field in fields}

    def sso(self, server, fields, binding):
        request = server.parse_authn_request(
            fields["SAMLRequest"], binding, **self.signed(fields, binding)
        )
        settings = State.settings
        arguments = server.response_args(request.message)
        to = arguments.pop("destination")
        binding = arguments.pop("binding")
        response = server.create_authn_response(
            IDENTITY,
            destination=to,
            userid="zhangsan",
            name_id=NAME_ID,
            authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": State.base},
            sign_response=settings["sign_response"],
            sign_assertion=settings["sign_assertion"],
            encrypt_assertion=settings["encrypt"],
            sign_alg=ALGORITHMS[settings["algorithm"]],
            digest_alg=DIGEST_SHA256,
            **{name: arguments[name] for name in ("in_response_to", "sp_entity_id")},
        )
        index = re.search('SessionIndex="([^"]*)"', str(response))
        State.session_index = index and index[1]
        self.send_message(str(response), to, "SAMLResponse", fields.get("RelayState"))

    def slo(self, server, fields, binding):
        if "SAMLResponse" in fields:
            answer = server.parse_logout_request_response(fields["SAMLResponse"], binding)
            State.ended = answer.response.status.status_code.value
            return self.respond("signed out at pysaml2")
        request = server.parse_logout_request(
            fields["SAMLRequest"], binding, **self.signed(fields, binding)
        )
        named = [index.text for index in request.message.session_index]
        if request.message.name_id.text != NAME_ID.text or named != [State.session_index]:
            return self.respond(f"unknown session {named}", status=400)
        State.session_index = None
        response = server.create_logout_response(
            request.message, [binding], sign=binding == BINDING_HTTP_POST,
            sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256,
        )
        to = server.response_args(request.message, [binding])["destination"]
        self.send(server, binding, response, to, fields.get("RelayState"), True)

    def logout(self, server, fields, binding):
        binding = BINDING_HTTP_POST if fields["binding"] == "post" else BINDING_HTTP_REDIRECT
        sp = next(iter(server.metadata.keys()))
        to = server.metadata.single_logout_service(sp, binding, "spsso")[0]["location"]
        _, request = server.create_logout_request(
            to, sp, name_id=NAME_ID, session_indexes=[State.session_index],
            sign=binding == BINDING_HTTP_POST, sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256,
        )
        State.ended = ""
        self.send(server, binding, request, to, "state of pysaml2", False)

    def send(self, server, binding, message, to, relay_state, is_response):
        if binding == BINDING_HTTP_POST:
            field = "SAMLResponse" if is_response else "SAMLRequest"
            return self.send_message(str(message), to, field, relay_state)
        sent = server.apply_binding(
            binding, str(message), to, relay_state or "", response=is_response, sign=True,
            sigalg=SIG_RSA_SHA256,
        )
        self.send_response(302)
        self.send_header("Location", dict(sent["headers"])["Location"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_message(self, xml, to, field, relay_state):
        """A page that posts a message; like that of pysaml2, but with all its values escaped."""
        import base64

        values = {field: base64.b64encode(xml.encode()).decode()}
        if relay_state:
            values["RelayState"] = relay_state
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
            for name, value in values.items()
        )
        self.respond(
            f'<!doctype html><form method="post" action="{html.escape(to)}">{inputs}</form>'
            "<script>document.forms[0].submit()</script>"
        )

    def respond(self, text, kind="text/html", status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        print(self.command, self.path.split("?")[0], *args[-2:], flush=True)


def main():
    server = ThreadingHTTPServer((HERE, 0), Handler)
    State.base = f"http://{HERE}:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"idp {State.base}", flush=True)
    sys.stdin.read()
    os._exit(0)


main()
