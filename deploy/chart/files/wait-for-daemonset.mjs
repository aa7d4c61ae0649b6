// Waits until each pod of a DaemonSet is ready, and says how many are: the last thing that `helm uninstall` does.
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

const path = process.argv.at(-1);
const account = '/var/run/secrets/kubernetes.io/serviceaccount';
const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;

function read() {
  const ca = readFileSync(`${account}/ca.crt`);
  const headers = { authorization: `Bearer ${readFileSync(`${account}/token`, 'utf8')}` };
  return new Promise((resolve, reject) => {
    const request = get({ host, port, path, ca, headers, timeout: 10_000 }, async (response) => {
      const text = (await response.toArray()).join('');
      if (response.statusCode === 200) resolve(JSON.parse(text));
      else reject(new Error(`API server answered ${response.statusCode}: ${text.trim()}`));
    });
    request.on('error', reject).on('timeout', () => request.destroy(new Error('no answer within 10 s')));
  });
}

for (let last; ; await sleep(1000)) {
  try {
    const { metadata, status } = await read();
    const { numberReady: ready, desiredNumberScheduled: nodes, observedGeneration = 0 } = status;
    const known = observedGeneration >= metadata.generation;
    const message = known ? `${ready} of ${nodes} nodes have nothing of Tombolo left` : 'Waiting for the first pods';
    if (message !== last) process.stdout.write(`${message}\n`);
    last = message;
    if (known && ready === nodes) break;
  } catch (error) {
    process.stdout.write(`Cannot read ${path}: ${error.message}\n`);
  }
}
