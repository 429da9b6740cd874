// A SAML identity provider: npm's samlp on a port of the system's choice. It verifies every request with the
// certificate of the service, and ends with standard input.
//
//   node samlp_idp.mjs MODULES DIRECTORY
//
// DIRECTORY has the keys and certificates `first` and `second` (.key, .pem).
//
// PUT  /control     {"certificate": that of the service, "acs": …, "logout": …, "signing": "first",
//                    "signResponse": false, "signAssertion": true, "encrypt": false}; changes what it names
// GET  /metadata
// GET, POST /sso    zhangsan is signed in already
// GET, POST /slo    single logout; without a message the identity provider ends its sessions, in the browser
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';

const [modules, directory] = process.argv.slice(2);
const samlp = createRequire(`${modules}/`)('samlp');
const read = (name) => fs.readFileSync(`${directory}/${name}`, 'utf8');

const settings = { signing: 'first', signResponse: false, signAssertion: true, encrypt: false };
const sessionIndex = `_${crypto.randomUUID()}`;
const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
const PERSISTENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

let base;
let participants = [];
const kept = new Map();

/** What samlp keeps between two messages of a logout. */
const store = {
  load(_request, id, options, done) {
    const found = kept.get(id);
    if (typeof options === 'function') return options(null, found);
    if (options.destroy) kept.delete(id);
    return done(null, found);
  },
  save(_request, state, done) {
    const id = crypto.randomUUID();
    kept.set(id, state);
    done(null, id);
  },
  update(_request, id, state, done) {
    kept.set(id, state);
    done(null);
  },
};

function mapper() {
  return {
    getClaims: () => ({
      uid: 'zhangsan',
      mail: 'zhangsan@corp.example',
      displayName: '张三',
      groups: ['研发中心', '财务部'],
    }),
    getNameIdentifier: () => ({ nameIdentifier: 'zhangsan-7f', nameIdentifierFormat: PERSISTENT }),
  };
}
mapper.prototype = { metadata: [] };

function keyPair() {
  return { key: read(`${settings.signing}.key`), cert: read(`${settings.signing}.pem`) };
}

function publicKey() {
  return new crypto.X509Certificate(settings.certificate).publicKey.export({ type: 'spki', format: 'pem' });
}

const paths = {
  '/metadata': () =>
    samlp.metadata({
      issuer: `${base}/metadata`,
      cert: keyPair().cert,
      profileMapper: mapper,
      redirectEndpointPath: '/sso',
      postEndpointPath: '/sso',
      logoutEndpointPaths: { redirect: '/slo', post: '/slo' },
    }),
  '/sso': () =>
    samlp.auth({
      ...keyPair(),
      issuer: `${base}/metadata`,
      profileMapper: mapper,
      signingCert: settings.certificate,
      deflate: true,
      destination: settings.acs,
      recipient: settings.acs,
      sessionIndex,
      lifetimeInSeconds: 60,
      signResponse: settings.signResponse,
      signAssertion: settings.signAssertion,
      ...(settings.encrypt && {
        encryptionCert: settings.certificate,
        encryptionPublicKey: publicKey(),
      }),
      getUserFromRequest: () => ({ id: 'zhangsan' }),
      getPostURL: (_audience, _document, _request, done) => {
        participants = [
          {
            serviceProviderId: settings.entityId,
            sessionIndex,
            nameId: 'zhangsan-7f',
            nameIdFormat: PERSISTENT,
            serviceProviderLogoutURL: settings.logout,
            cert: settings.certificate,
            binding: REDIRECT,
          },
        ];
        done(null, settings.acs);
      },
    }),
  '/slo': () =>
    samlp.logout({
      ...keyPair(),
      issuer: `${base}/metadata`,
      deflate: true,
      protocolBinding: REDIRECT,
      signatureAlgorithm: 'rsa-sha256',
      digestAlgorithm: 'sha256',
      sessionParticipants: sessions,
      store,
    }),
};

/** The service that is signed in, in the form that samlp asks for. */
const sessions = {
  get: (_issuer, indices, name, done) =>
    done(null, participants.find((it) => indices?.includes(it.sessionIndex) && it.nameId === name)),
  hasElements: () => participants.length > 0,
  getFirst: (done) => done(null, participants[0]),
  remove: (_issuer, index, _name, done) => {
    const found = participants.find((it) => it.sessionIndex === index);
    participants = participants.filter((it) => it !== found);
    done(null, found);
  },
};

/** Adds to Node's objects what samlp expects of a framework. */
function extended(request, response, url, body) {
  request.query = Object.fromEntries(url.searchParams);
  request.body = Object.fromEntries(new URLSearchParams(body));
  request.originalUrl = request.url;
  request.protocol = 'http';
  response.set = (name, value) => response.setHeader(name, value);
  response.send = (content) => {
    if (typeof content === 'number') {
      response.statusCode = content;
      return response.end(http.STATUS_CODES[content]);
    }
    return response.end(content);
  };
  response.redirect = (to) => {
    response.writeHead(302, { Location: to });
    response.end();
  };
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, base);
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const body = Buffer.concat(pieces).toString();
    const fail = (error) => {
      console.log(url.pathname, error);
      response.statusCode = 400;
      response.end(String(error));
    };
    try {
      if (url.pathname === '/control') {
        Object.assign(settings, JSON.parse(body));
        return response.end();
      }
      const handler = paths[url.pathname];
      if (!handler) return fail('nothing here');
      extended(request, response, url, body);
      return handler()(request, response, fail);
    } catch (error) {
      return fail(error);
    }
  });
});

server.listen(0, '127.0.0.1', () => {
  base = `http://127.0.0.1:${server.address().port}`;
  console.log(`idp ${base}`);
});
process.stdin.on('end', () => process.exit(0)).resume();
