"""Asks the API of WeCom with wechatpy: client.py API_BASE CORP_ID SECRET COMMAND ...

    members                 prints the departments, their members, and the tags
    member USERID           prints one member
    code CODE [CODE ...]    prints who brought each code

Every answer is a line of JSON; a refusal is printed as its errcode.
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

from requests.adapters import HTTPAdapter
from wechatpy.enterprise import WeChatClient
from wechatpy.exceptions import WeChatClientException

PRODUCTION = "https://qyapi.weixin.qq.com"


class ToSimulation(HTTPAdapter):
    """Sends requests for the production API, whose address wechatpy contains, to another server."""

    def __init__(self, base):
        self.base = base
        super().__init__()

    def send(self, request, **kwargs):
        request.url = self.base + request.url.removeprefix(PRODUCTION)
        return super().send(request, **kwargs)


base, corp_id, secret, command, *rest = sys.argv[1:]
client = WeChatClient(corp_id, secret)
client._http.trust_env = False
client._http.mount(PRODUCTION, ToSimulation(base.rstrip("/")))


def asked(ask):
    try:
        return ask()
    except WeChatClientException as error:
        return {"errcode": error.errcode}


if command == "members":
    departments = client.department.get()
    answer = {
        "departments": departments,
        "members": [one for it in departments for one in client.user.list(it["id"])],
        "tags": client.tag.list(),
    }
elif command == "member":
    answer = asked(lambda: client.user.get(rest[0]))
elif command == "code":
    answer = [asked(lambda: client.oauth.get_user_info(code)) for code in rest]
else:
    sys.exit(f"no such command: {command}")
print(json.dumps(answer))
