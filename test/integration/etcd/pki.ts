/** A CA and certificates for one test run, made by openssl in a directory of the caller. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export class Pki {
  readonly directory: string;
  readonly #name: string;

  private constructor(directory: string, name: string) {
    this.directory = directory;
    this.#name = name;
  }

  static async create(directory: string, name = 'ca'): Promise<Pki> {
    const pki = new Pki(directory, name);
    const { cert, key } = pki.#paths(name);
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
      ...['-subj', `/CN=${name}`, '-keyout', key, '-out', cert],
    ]);
    return pki;
  }

  get ca(): string {
    return this.#paths(this.#name).cert;
  }

  /** `names` as openssl writes subject alternative names: `DNS:a,IP:127.0.0.1`. */
  async issue(commonName: string, names?: string): Promise<Certificate> {
    const { cert, key } = this.#paths(`${this.#name}-${commonName}`);
    const request = join(this.directory, `${commonName}.csr`);
    const extensions = join(this.directory, `${commonName}.ext`);
    await run('openssl', [
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${commonName}`],
      ...['-keyout', key, '-out', request],
    ]);
    await writeFile(extensions, names ? `subjectAltName=${names}\n` : 'basicConstraints=CA:FALSE\n');
    const ca = this.#paths(this.#name);
    await run('openssl', [
      ...['x509', '-req', '-days', '1', '-in', request, '-CA', ca.cert, '-CAkey', ca.key, '-CAcreateserial'],
      ...['-extfile', extensions, '-out', cert],
    ]);
    return { cert, key };
  }

  #paths(name: string): Certificate {
    return { cert: join(this.directory, `${name}.crt`), key: join(this.directory, `${name}.key`) };
  }
}
