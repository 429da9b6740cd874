# The pages of a small project, its addresses and its WSGI application.
import os

import django
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LogoutView
from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path


@login_required
def home(request):
    person = request.user
    address = request.build_absolute_uri()
    return JsonResponse({"login": person.username, "name": person.first_name, "address": address})


def page_with_form(request, action):
    token = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
    return HttpResponse(f'<form method="post" action="{action}">{token}</form>')


@login_required
def form(request):
    if request.method == "POST":
        return HttpResponse(f"{request.user.username}: {request.POST['text']}")
    return page_with_form(request, "/form/")


@login_required
def sign_out_form(request):
    return page_with_form(request, "/sign-out/")


urlpatterns = [
    path("", home),
    path("form/", form),
    path("sign-out-form/", sign_out_form),
    path("sign-out/", LogoutView.as_view()),
]

call_command("migrate", verbosity=0)
application = get_wsgi_application()
