// A certified OpenID provider, npm's oidc-provider, as the tests need it: on a port of the system's
// choice, with people, clients and keys that a test changes over /control, where it also reads what
// was asked. Everything is kept in memory, and all of it ends with standard input.
//
//   node provider.mjs MODULES '{"accessTokenSeconds": 300, "claimsInIdToken": true, "port": 0}'
//
// PUT    /control/client         metadata by the names of RFC 7591; the ID is in it
// PUT    /control/person/ID      claims; makes, changes
// DELETE /control/person/ID      they are gone
// POST   /control/keys?keep=1    signs with new keys; keep: the old ones stay published
// GET    /control/asked          how often which grant was asked for, and what became of it
import crypto from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, wishes] = process.argv.slice(2);
const installed = createRequire(`${modules}/`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(installed));
const { accessTokenSeconds = 300, claimsInIdToken = true, port = 0 } = JSON.parse(wishes ?? '{}');

const people = new Map();
const records = new Map();
const asked = [];
let keys = [newKey()];
let issuer;
let provider;
let answer;

/** Where oidc-provider keeps what it must remember: one table for all of its models. */
class Memory {
  constructor(model) {
    this.model = model;
  }

  at(id) {
    return `${this.model} ${id}`;
  }

  async upsert(id, payload, seconds) {
    const until = seconds ? Date.now() + seconds * 1000 : Infinity;
    records.set(this.at(id), { payload, until });
  }

  async find(id) {
    return alive(records.get(this.at(id)));
  }

  async findByUid(uid) {
    for (const [key, record] of records) {
      if (key.startsWith(`${this.model} `) && record.payload.uid === uid) return alive(record);
    }
    return undefined;
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    records.get(this.at(id)).payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    records.delete(this.at(id));
  }

  async revokeByGrantId(grant) {
    for (const [key, record] of records) {
      if (record.payload.grantId === grant) records.delete(key);
    }
  }
}

function alive(record) {
  return record && record.until > Date.now() ? record.payload : undefined;
}

function newKey() {
  const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = crypto.randomBytes(6).toString('hex');
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid };
}

/** The provider with the keys of now; what it remembers outlives it. */
function build() {
  provider = new Provider(issuer, {
    adapter: Memory,
    jwks: { keys },
    cookies: { keys: ['the tests only'] },
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    conformIdTokenClaims: !claimsInIdToken,
    findAccount: async (_, id) => {
      const claims = people.get(id);
      return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
    },
    pkce: { required: () => true },
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    ttl: {
      AccessToken: accessTokenSeconds,
      AuthorizationCode: 60,
      Grant: 86400,
      IdToken: 86400,
      Interaction: 600,
      RefreshToken: 86400,
      Session: 86400,
    },
    interactions: { url: (_, { uid }) => `/who/${uid}` },
    loadExistingGrant: consent,
    // Its own way to call out refuses addresses like 127.0.0.1, which is where the tests live.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    features: {
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      // Whoever says for whom a token shall be gets one that says so and is signed.
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, audience) => ({ audience, scope: '', accessTokenFormat: 'jwt' }),
      },
      revocation: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = page(`${form}<button form="op.logoutForm" name="logout" value="yes">退出</button>`);
        },
        postLogoutSuccessSource: (ctx) => {
          ctx.body = page('<p>signed out here</p>');
        },
      },
    },
  });
  const note = (what) => asked.push(what);
  provider.on('grant.success', (ctx) => note({ grant: ctx.oidc.params.grant_type, good: true }));
  provider.on('grant.error', (ctx, error) => {
    note({ grant: ctx.oidc?.params?.grant_type, good: false, why: error.error_detail ?? error.message });
  });
  provider.on('backchannel.success', () => note({ backchannel: true, good: true }));
  provider.on('backchannel.error', (_, error) => {
    note({ backchannel: true, good: false, why: error.message });
  });
  provider.on('server_error', (_, error) => console.error(error));
  answer = provider.callback();
}

/** Nobody is asked to consent: whatever a client of the tests wants is granted. */
async function consent({ oidc }) {
  const known = oidc.result?.consent?.grantId ?? oidc.session.grantIdFor(oidc.client.clientId);
  const grant = (known && (await provider.Grant.find(known)))
    || new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
  grant.addOIDCScope([...oidc.requestParamScopes].join(' '));
  await grant.save();
  return grant;
}

function page(content) {
  return `<!doctype html><html lang="zh"><meta charset="utf-8"><title>provider</title>${content}</html>`;
}

/** Who is there? A page with a button for each person; no password, for the tests know them all. */
async function choose(request, response) {
  const { uid } = await provider.interactionDetails(request, response);
  if (request.method === 'POST') {
    const accountId = new URLSearchParams(await body(request)).get('person');
    const result = accountId ? { login: { accountId } } : { error: 'access_denied' };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
    return;
  }
  const buttons = [...people.keys(), ''].map((id) => `<button name="person" value="${id}">${id}</button>`);
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(page(`<form method="post" action="/who/${uid}">${buttons.join('')}</form>`));
}

async function control(request, response, { pathname, searchParams }) {
  const [, , what, id] = pathname.split('/').map(decodeURIComponent);
  switch (`${request.method} ${what}`) {
    case 'PUT client': {
      const client = JSON.parse(await body(request));
      await new Memory('Client').upsert(client.client_id, client);
      break;
    }
    case 'PUT person':
      people.set(id, JSON.parse(await body(request)));
      break;
    case 'DELETE person':
      people.delete(id);
      break;
    case 'POST keys':
      keys = [newKey(), ...(searchParams.has('keep') ? keys : [])];
      build();
      break;
    case 'GET asked':
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(asked));
      return;
    default:
      response.statusCode = 404;
  }
  response.end();
}

async function body(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, issuer);
  const mine = { control, who: choose }[url.pathname.split('/')[1]];
  if (!mine) {
    answer(request, response);
    return;
  }
  mine(request, response, url).catch((error) => {
    console.error(error);
    response.statusCode = 500;
    response.end(String(error));
  });
});
server.listen(port, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  build();
  console.log(`issuer ${issuer}`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit());
