// provider.mjs CERT KEY PORT HOST: a small OpenID provider for tests on https://HOST:PORT (npm oidc-provider 9).
// Any login name passes its form with any password; the name becomes the subject; "big-12000" has 12,000 bytes of claims more.
// ACCESS_TTL=... sets the seconds that access tokens live; ISSUER=... sets another issuer; COGNITO=1 uses the paths of an Amazon Cognito domain.
//   POST /_test/rotate   new signing keys come first, the last ones stay published until the next rotation
//   POST /_test/fault    {"path":"/token","status":500,"body":"x","delay":0,"times":1}: the next answers of that path
//   GET  /_test/log      requests to the token and user-info paths, and how the client authenticated
import { createServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const [cert, key, port, host] = process.argv.slice(2);
const issuer = process.env.ISSUER || `https://${host}:${port}`;
const redirect_uris = (process.env.REDIRECT_URIS || 'https://127.0.0.1:18600/oauth2/idpresponse').split(',');
const routes = process.env.COGNITO
  ? { authorization: '/oauth2/authorize', token: '/oauth2/token', userinfo: '/oauth2/userInfo', jwks: '/.well-known/jwks.json', end_session: '/logout' }
  : { token: '/token', userinfo: '/me' };

// By way of PEM: in Node 20 the direct export of a fresh EC key as a JWK can hang for ever (a deadlock with the garbage collector).
function newKeys() {
  const pem = { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } };
  const jwk = (type, options, alg) => ({
    ...createPrivateKey(generateKeyPairSync(type, { ...options, ...pem }).privateKey).export({ format: 'jwk' }),
    alg, use: 'sig', kid: randomUUID(),
  });
  return [jwk('rsa', { modulusLength: 2048 }, 'RS256'), jwk('ec', { namedCurve: 'P-256' }, 'ES256')];
}
const client = (client_id, alg, token_endpoint_auth_method) => ({
  client_id, client_secret: 'alb-secret', redirect_uris, token_endpoint_auth_method,
  grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  id_token_signed_response_alg: alg,
});
// For jwt-validation: a machine gets a JWT access token by client_credentials with resource=https://api.test.
const machine = (client_id) => ({
  client_id, client_secret: 'alb-secret', redirect_uris: [], response_types: [], grant_types: ['client_credentials'],
});
let keys = newKeys();
let faults = [];
const log = [];

function build() {
  const provider = new Provider(issuer, {
    jwks: { keys }, routes,
    clients: [
      client('alb-basic', 'RS256', 'client_secret_basic'),
      client('alb-post', 'RS256', 'client_secret_post'),
      client('alb-es256', 'ES256', 'client_secret_basic'),
      machine('machine-rs256'), machine('machine-es256'),
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'padding'] },
    findAccount: (_ctx, sub) => ({
      accountId: sub,
      claims: () => ({ sub, email: `${sub}@example.test`, email_verified: true, name: sub,
        ...(sub.startsWith('big-') && { padding: 'x'.repeat(Number(sub.slice(4))) }) }),
    }),
    cookies: { keys: ['only for tests'] },
    pkce: { required: () => false },
    features: {
      devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true }, clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource, c) => ({
          scope: 'read write', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 60,
          jwt: { sign: { alg: c.clientId.endsWith('es256') ? 'ES256' : 'RS256' } },
        }),
      },
    },
    issueRefreshToken: async (_ctx, c) => c.grantTypeAllowed('refresh_token'),
    ttl: { AccessToken: Number(process.env.ACCESS_TTL || 60), IdToken: 60, AuthorizationCode: 30, Session: 600, Grant: 600, Interaction: 300, RefreshToken: 600 },
  });
  provider.on('server_error', (_ctx, err) => console.error('server_error', err.message));
  return provider.callback();
}
let handle = build();

async function body(req) {
  let text = '';
  for await (const part of req) text += part;
  return text;
}

createServer({ cert: readFileSync(cert), key: readFileSync(key) }, async (req, res) => {
  const path = req.url.split('?')[0];
  const json = (value) => res.setHeader('Content-Type', 'application/json').end(JSON.stringify(value));
  if (req.method === 'POST' && path === '/_test/rotate') {
    keys = [...newKeys(), ...keys.slice(0, 2)];
    handle = build();
    return json(keys.map((k) => [k.alg, k.kid]));
  }
  if (req.method === 'POST' && path === '/_test/fault') {
    faults.push({ status: 200, body: '', delay: 0, times: 1, ...JSON.parse(await body(req)) });
    return json(faults);
  }
  if (path === '/_test/log') return json(log);
  if (path === routes.token || path === routes.userinfo) {
    log.push({ path, auth: (req.headers.authorization || 'none').split(' ')[0], type: req.headers['content-type'], agent: req.headers['user-agent'] });
  }
  const fault = faults.find((f) => f.path === path);
  if (fault) {
    if (--fault.times <= 0) faults = faults.filter((f) => f !== fault);
    await new Promise((done) => setTimeout(done, fault.delay));
    res.writeHead(fault.status, { 'Content-Type': 'application/json' });
    return res.end(fault.body);
  }
  handle(req, res);
}).listen(Number(port), host, () => console.log(`ready https://${host}:${port}`));
