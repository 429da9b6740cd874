"""Asks the API of Lark with the SDK for Python: client.py BASE APP_ID APP_SECRET COMMAND ...

    directory               prints the tenant, its departments and their members
    person UNION_ID         prints one person
    code CODE [CODE ...]    prints who brought each code

Every answer is a line of JSON; a refusal is printed as its code.
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

import lark_oapi as lark
import requests.sessions
from lark_oapi.api.authen.v1 import (
    CreateOidcAccessTokenRequest,
    CreateOidcAccessTokenRequestBody,
    GetUserInfoRequest,
)
from lark_oapi.api.contact.v3 import (
    ChildrenDepartmentRequest,
    FindByDepartmentUserRequest,
    GetUserRequest,
)
from lark_oapi.api.tenant.v2 import QueryTenantRequest

base, app_id, app_secret, command, *rest = sys.argv[1:]


class ToSimulation(requests.sessions.HTTPAdapter):
    """Sends requests to another server: the SDK takes only the addresses of services with https."""

    def send(self, request, **kwargs):
        request.url = base.rstrip("/") + request.url.removeprefix(lark.FEISHU_DOMAIN)
        kwargs["proxies"] = {}
        return super().send(request, **kwargs)


requests.sessions.HTTPAdapter = ToSimulation


def application():
    return lark.Client.builder().app_id(app_id).app_secret(app_secret).log_level(lark.LogLevel.ERROR)


client = application().build()
# Sends the tokens of people, which the other one refuses to send.
for_people = application().enable_set_token(True).build()
contact = client.contact.v3
TYPES = {"user_id_type": "union_id", "department_id_type": "open_department_id"}


def built(builder, **fields):
    for name, value in fields.items():
        if value is not None:
            builder = getattr(builder, name)(value)
    return builder.build()


def pages(ask, builder, **fields):
    items, token = [], None
    while True:
        data = ask(built(builder(), page_size=2, page_token=token, **TYPES, **fields)).data
        items.extend(data.items or [])
        if not data.has_more:
            return items
        token = data.page_token


def directory():
    departments = pages(
        contact.department.children, ChildrenDepartmentRequest.builder, department_id="0", fetch_child=True
    )
    members = []
    for one in ["0", *(department.open_department_id for department in departments)]:
        members += pages(
            contact.user.find_by_department, FindByDepartmentUserRequest.builder, department_id=one
        )
    tenant = client.tenant.v2.tenant.query(QueryTenantRequest.builder().build())
    return {
        "tenant": tenant.data.tenant.tenant_key,
        "departments": [[one.open_department_id, one.name] for one in departments],
        "members": [[one.union_id, one.name, one.status.is_activated] for one in members],
    }


def person(union_id):
    answer = contact.user.get(built(GetUserRequest.builder(), user_id=union_id, **TYPES))
    return {"name": answer.data.user.name} if answer.success() else {"code": answer.code}


def owner(code):
    body = CreateOidcAccessTokenRequestBody.builder().grant_type("authorization_code").code(code).build()
    request = CreateOidcAccessTokenRequest.builder().request_body(body).build()
    granted = client.authen.v1.oidc_access_token.create(request)
    if not granted.success():
        return {"code": granted.code}
    option = lark.RequestOption.builder().user_access_token(granted.data.access_token).build()
    info = for_people.authen.v1.user_info.get(GetUserInfoRequest.builder().build(), option)
    return {"union_id": info.data.union_id, "tenant": info.data.tenant_key}


if command == "directory":
    answer = directory()
elif command == "person":
    answer = person(rest[0])
elif command == "code":
    answer = [owner(code) for code in rest]
else:
    sys.exit(f"no such command: {command}")
print(json.dumps(answer))
