/** Hears when another process changes our tables, and who it was. */
import { attributeOf, attributesOf, type Message } from '../netlink/messages.ts';
import { NetlinkMonitor } from '../netlink/monitor.ts';
import { FAMILIES, nfFamily } from './family.ts';

const NFTABLES_GROUP = 7;
const NEW_GENERATION = 0xa0f;
const [PROCESS_ID, PROCESS_NAME] = [2, 3];

export class TableWatch {
  readonly #monitor: NetlinkMonitor;
  readonly #table: Buffer;

  /** `ownPort`: of the socket by which we change them ourselves. Throws when this process may not listen. */
  constructor(table: string, ownPort: number) {
    this.#monitor = new NetlinkMonitor(NFTABLES_GROUP, ownPort);
    this.#table = Buffer.from(`${table}\0`);
  }

  /** Who changed our tables since the last time, as far as is known; undefined when nobody did. */
  async changedBy(): Promise<string | undefined> {
    let isTouched = false;
    let who: string | undefined;
    const isComplete = await this.#monitor.drain((message) => {
      if (message.type !== NEW_GENERATION) {
        isTouched ||= this.#isOurs(message);
        return;
      }
      // The end of a transaction.
      if (isTouched) who = processOf(message) ?? 'somebody';
      isTouched = false;
    });
    if (who === undefined && !isComplete) return 'somebody';
    return who ?? (isTouched ? 'somebody' : undefined);
  }

  close(): void {
    this.#monitor.close();
  }

  /** Each message about an object of a table has the table's name first. */
  #isOurs({ body }: Message): boolean {
    const [first] = attributesOf(body.subarray(4));
    return first?.type === 1 && first.value.equals(this.#table) && FAMILIES.some((one) => nfFamily[one] === body[0]);
  }
}

function processOf({ body }: Message): string | undefined {
  const name = attributeOf(body.subarray(4), PROCESS_NAME);
  const id = attributeOf(body.subarray(4), PROCESS_ID);
  if (name === undefined || id === undefined) return undefined;
  return `${name.toString('utf8', 0, name.length - 1)} (process ${id.readUInt32BE()})`;
}
