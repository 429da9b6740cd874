// Reads an event of Lark with the SDK for Node: events.cjs TOKEN ENCRYPT_KEY HEADERS BODY
//
// Prints, as a line of JSON, the type and the person of an event whose signature matches, the challenge of a request
// that verifies the URL, or `null`.

const lark = require('@larksuiteoapi/node-sdk');

const [verificationToken, encryptKey, headers, body] = process.argv.slice(2);
const silent = () => {};
const logger = { error: silent, warn: silent, info: silent, debug: silent, trace: silent };
const dispatcher = new lark.EventDispatcher({ verificationToken, encryptKey, logger });
for (const type of ['contact.user.deleted_v3', 'contact.user.updated_v3']) {
  dispatcher.register({ [type]: (event) => ({ type, union_id: event.object.union_id }) });
}

async function main() {
  const data = Object.assign(
    Object.create({ headers: JSON.parse(headers) }),
    JSON.parse(body),
  );
  const { isChallenge, challenge } = lark.generateChallenge(data, { encryptKey });
  return isChallenge ? challenge : ((await dispatcher.invoke(data)) ?? null);
}

main().then((answer) => console.log(JSON.stringify(answer)));
