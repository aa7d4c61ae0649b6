/** A certificate authority and what it signs, made by openssl in a directory of the caller; good for a day. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

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
    const files = ['-keyout', key, '-out', cert];
    await command(['openssl', 'req', '-x509', ...CURVE, '-days', '1', '-subj', `/CN=${name}`, ...files]);
    return pki;
  }

  get ca(): string {
    return this.#paths(this.#name).cert;
  }

  get caKey(): string {
    return this.#paths(this.#name).key;
  }

  /**
   * `names` as openssl writes subject alternative names: `DNS:a,IP:127.0.0.1`. Kubernetes takes the organization for the
   * group of a client.
   */
  async issue(commonName: string, names?: string, organization?: string): Promise<Certificate> {
    const file = `${this.#name}-${commonName.replaceAll(':', '-')}`;
    const { cert, key } = this.#paths(file);
    const [request, extensions] = [join(this.directory, `${file}.csr`), join(this.directory, `${file}.ext`)];
    const subject = organization === undefined ? `/CN=${commonName}` : `/O=${organization}/CN=${commonName}`;
    await command(['openssl', 'req', ...CURVE, '-subj', subject, '-keyout', key, '-out', request]);
    await writeFile(extensions, names ? `subjectAltName=${names}\n` : 'basicConstraints=CA:FALSE\n');
    await command([
      ...['openssl', 'x509', '-req', '-days', '1', '-in', request, '-extfile', extensions, '-out', cert],
      ...['-CA', this.ca, '-CAkey', this.caKey, '-CAserial', `${cert}.srl`, '-CAcreateserial'],
    ]);
    return { cert, key };
  }

  #paths(name: string): Certificate {
    return { cert: join(this.directory, `${name}.crt`), key: join(this.directory, `${name}.key`) };
  }
}
