// Asks the newer API of DingTalk with its own library: api.cjs HOST:PORT APP_KEY APP_SECRET COMMAND ...
//
//   token               prints the token of the application
//   user CODE [CODE …]  prints the unionId of the person whom each code belongs to
//
// The answer is a line of JSON; a refusal is printed as its code and status.
"use strict";
const oauth2 = require("@alicloud/dingtalk/oauth2_1_0");
const contact = require("@alicloud/dingtalk/contact_1_0");
const { Config } = require("@alicloud/openapi-client");
const { RuntimeOptions } = require("@alicloud/tea-util");

const [endpoint, appKey, appSecret, command, ...codes] = process.argv.slice(2);
const config = () => {
  const config = new Config({});
  config.protocol = "http";
  config.regionId = "central";
  config.endpoint = endpoint;
  return config;
};
const tokens = new oauth2.default(config());
const people = new contact.default(config());

async function asked(ask) {
  try {
    return await ask();
  } catch (error) {
    return { code: error.code, status: error.statusCode ?? error.data?.statusCode };
  }
}

async function token() {
  const request = new oauth2.GetAccessTokenRequest({ appKey, appSecret });
  const { body } = await tokens.getAccessToken(request);
  return { token: body.accessToken, lifetime: body.expireIn };
}

async function user(code) {
  const request = new oauth2.GetUserTokenRequest({
    clientId: appKey,
    clientSecret: appSecret,
    code,
    grantType: "authorization_code",
  });
  const { body } = await tokens.getUserToken(request);
  const headers = new contact.GetUserHeaders({ xAcsDingtalkAccessToken: body.accessToken });
  const me = await people.getUserWithOptions("me", headers, new RuntimeOptions({}));
  return { unionId: me.body.unionId, corpId: body.corpId };
}

(async () => {
  const answer = [];
  if (command === "token") {
    answer.push(await asked(token));
  } else {
    for (const code of codes) {
      answer.push(await asked(() => user(code)));
    }
  }
  console.log(JSON.stringify(answer));
})();
