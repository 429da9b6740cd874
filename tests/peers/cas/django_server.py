"""A CAS server: django-cas-server with one person, and a portal that requests proxy tickets.

    python django_server.py DIRECTORY

DIRECTORY takes the database and the certificate of the portal. The first line of output is the base URL of
the server, the second the URL of the portal, the third the callback URL by which the server knows the portal
as a proxy. The server ends when stdin closes.
"""

import os
import re
import ssl
import subprocess
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

HERE = "127.0.0.1"
DIRECTORY = os.path.abspath(sys.argv[1])
CERTIFICATE = os.path.join(DIRECTORY, "portal.pem")
KEY = os.path.join(DIRECTORY, "portal.key")

subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=portal",
     "-addext", f"subjectAltName=IP:{HERE}", "-out", CERTIFICATE, "-keyout", KEY],
    check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)

from django.conf import settings  # noqa: E402

settings.configure(
    DEBUG=True,
    SECRET_KEY="for the tests only",
    ALLOWED_HOSTS=[HERE],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(DIRECTORY, "cas.db"),
            "OPTIONS": {"timeout": 30},
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "cas_server",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
    STATIC_URL="/static/",
    CAS_AUTH_CLASS="cas_server.auth.TestAuthUser",
    CAS_TEST_USER="zhangsan",
    CAS_TEST_PASSWORD="zhangsan-password",
    CAS_TEST_ATTRIBUTES={
        "displayName": "张三",
        "mail": "zhangsan@corp.example",
        "memberOf": ["研发中心", "财务部"],
    },
    CAS_PROXY_CA_CERTIFICATE_PATH=CERTIFICATE,
    CAS_NEW_VERSION_HTML_WARNING=False,
    CAS_NEW_VERSION_EMAIL_WARNING=False,
)

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("cas/", include("cas_server.urls", namespace="cas_server"))]


class QuietWsgi(WSGIRequestHandler):
    def log_message(self, *args):
        print(self.command, self.path.split("?")[0], *args[-2:], flush=True)


class ThreadingWsgiServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Portal(BaseHTTPRequestHandler):
    """`/` is a service of the CAS server, which requests a proxy ticket for `target` in its query."""

    base = ""
    callback = ""
    # The proxy-granting tickets that the server sent to the callback, by their IOU.
    granting = {}

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/granting":
            if "pgtIou" in query:
                Portal.granting[query["pgtIou"]] = query["pgtId"]
            return self.respond("")
        import requests

        ticket = query.pop("ticket")
        service = f"{self.own_url()}/?{urllib.parse.urlencode(query)}"
        answer = requests.get(
            f"{Portal.base}/serviceValidate",
            params={"service": service, "ticket": ticket, "pgtUrl": Portal.callback},
        ).text
        iou = re.search("<cas:proxyGrantingTicket>(.*)</cas:proxyGrantingTicket>", answer)
        if iou is None:
            return self.respond(answer)
        answer = requests.get(
            f"{Portal.base}/proxy",
            params={"pgt": Portal.granting[iou[1]], "targetService": query["target"]},
        ).text
        return self.respond(re.search("<cas:proxyTicket>(.*)</cas:proxyTicket>", answer)[1])

    def own_url(self):
        return f"http://{HERE}:{self.server.server_address[1]}"

    def respond(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    call_command("migrate", verbosity=0)
    from cas_server.models import ServicePattern

    ServicePattern.objects.create(
        pos=1, name="menshen", pattern=rf"^http://{HERE}:\d+/\.menshen/", proxy=True, single_log_out=True
    )
    ServicePattern.objects.create(
        pos=2, name="portal", pattern=rf"^https?://{HERE}:\d+/", proxy=True, proxy_callback=True
    )
    for pattern in ServicePattern.objects.all():
        for name in ["displayName", "mail", "memberOf"]:
            pattern.attributs.create(name=name, replace="")
    server = make_server(
        HERE, 0, get_wsgi_application(), server_class=ThreadingWsgiServer, handler_class=QuietWsgi
    )
    Portal.base = f"http://{HERE}:{serve(server)}/cas"
    portal = ThreadingHTTPServer((HERE, 0), Portal)
    callbacks = ThreadingHTTPServer((HERE, 0), Portal)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE, KEY)
    callbacks.socket = tls.wrap_socket(callbacks.socket, server_side=True)
    Portal.callback = f"https://{HERE}:{serve(callbacks)}/granting"
    print(f"server {Portal.base}", flush=True)
    print(f"portal http://{HERE}:{serve(portal)}", flush=True)
    print(f"proxy {Portal.callback}", flush=True)
    sys.stdin.read()
    os._exit(0)


main()
