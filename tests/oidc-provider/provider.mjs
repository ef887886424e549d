// A real OpenID provider: discovery, a token endpoint that gives JWTs (client_credentials, RFC 8707), and
// keys that are replaced on demand. It listens on the port of 127.0.0.1 that is its one argument, says
// `listening` once it does, and ends with its standard input.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

// The dependencies lie where the tests' build has put them, not beside this file.
const dependencies = createRequire(join(process.cwd(), 'package.json'));
const { Provider } = await import(pathToFileURL(dependencies.resolve('oidc-provider')));

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

const key = () => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  kid: randomUUID(),
  use: 'sig',
  alg: 'RS256',
});

const provider = () => new Provider(issuer, {
  jwks: { keys: [key()] },
  cookies: { keys: [randomUUID()] },
  clients: [{
    client_id: 'orders-client',
    client_secret: 'test-only-secret',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  }],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        scope: 'orders:read orders:write',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
}).callback();

let handle = provider();

createServer((request, response) => {
  // Not a part of OpenID Connect: the tests ask for new keys.
  if (request.method === 'POST' && request.url === '/rotate') {
    handle = provider();
    response.end();
    return;
  }
  handle(request, response);
}).listen(port, '127.0.0.1', () => console.log('listening'));

process.stdin.resume();
process.stdin.on('end', () => process.exit());
