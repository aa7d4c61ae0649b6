/**
 * nft in this process: libnftables through koffi. It owns the library's context and its netlink socket, which stays in
 * the network namespace where it was opened. Each `run` is one atomic transaction, on a thread of its own, so the event
 * loop goes on while a large one is parsed. Calls queue up: the context serves one at a time.
 */
import { promisify } from 'node:util';
import koffi from 'koffi';

const LIBRARY = 'libnftables.so.1';
/** Bits of nft_ctx_output_set_flags; numbers in place of names, so that a listing does not depend on /etc/protocols. */
const JSON_OUTPUT = 1 << 4;
/** Without the elements of sets. */
const TERSE = 1 << 11;
const NUMERIC = (1 << 7) | (1 << 8) | (1 << 9);

type Context = unknown;

interface Library {
  open(): Context;
  free(context: Context): void;
  bufferOutput(context: Context): void;
  bufferErrors(context: Context): void;
  setFlags(context: Context, flags: number): void;
  run(context: Context, text: string): Promise<number>;
  output(context: Context): string;
  errors(context: Context): string;
}

let library: Library | undefined;

function loadLibrary(): Library {
  const lib = koffi.load(LIBRARY);
  const create = lib.func('void *nft_ctx_new(uint32_t flags)');
  const run = lib.func('int nft_run_cmd_from_buffer(void *ctx, const char *buf)');
  return {
    open: () => create(0),
    free: lib.func('void nft_ctx_free(void *ctx)'),
    bufferOutput: lib.func('int nft_ctx_buffer_output(void *ctx)'),
    bufferErrors: lib.func('int nft_ctx_buffer_error(void *ctx)'),
    setFlags: lib.func('void nft_ctx_output_set_flags(void *ctx, uint32_t flags)'),
    run: promisify(run.async) as (context: Context, text: string) => Promise<number>,
    output: lib.func('const char *nft_ctx_get_output_buffer(void *ctx)'),
    errors: lib.func('const char *nft_ctx_get_error_buffer(void *ctx)'),
  };
}

export class Nft {
  readonly #library: Library;
  readonly #context: Context;
  #tail: Promise<unknown> = Promise.resolve();
  #open = true;

  constructor() {
    try {
      library ??= loadLibrary();
    } catch (cause) {
      throw new Error(`Cannot load ${LIBRARY}: expected the package nftables to be installed`, { cause });
    }
    this.#library = library;
    this.#context = library.open();
    if (!this.#context) throw new Error('Cannot open an nftables context');
    library.bufferOutput(this.#context);
    library.bufferErrors(this.#context);
  }

  /** Runs one transaction: all of it is in force afterwards, or none and this throws what nft said. */
  async run(text: string): Promise<void> {
    await this.#call(text, 0);
  }

  /** Runs a `list` command and answers nft's JSON, parsed. */
  async list(command: string, { terse } = { terse: false }): Promise<unknown> {
    const output = await this.#call(command, JSON_OUTPUT | NUMERIC | (terse ? TERSE : 0));
    return output === '' ? { nftables: [] } : JSON.parse(output);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#tail;
    this.#library.free(this.#context);
  }

  #call(text: string, flags: number): Promise<string> {
    if (!this.#open) return Promise.reject(new Error('Cannot run nft: the context is closed'));
    const call = this.#tail.then(async () => {
      this.#library.setFlags(this.#context, flags);
      const status = await this.#library.run(this.#context, text);
      const output = this.#library.output(this.#context);
      const errors = this.#library.errors(this.#context);
      if (status !== 0) throw new Error(`Cannot run nft: ${firstError(errors)}`);
      return output;
    });
    this.#tail = call.catch(() => undefined);
    return call;
  }
}

/** nft quotes the whole offending line, which may hold thousands of elements: the message is the first line of each. */
function firstError(errors: string): string {
  const line = errors.split('\n').find((text) => text.includes('Error')) ?? errors.split('\n')[0] ?? '';
  return line.replace(/^.*?Error: /, '').slice(0, 300) || 'no message';
}
