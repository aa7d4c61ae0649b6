/** Operations as the text of one nft transaction. Pure. */
import { assertNever } from '@tombolo/shared/model/result.ts';
import type { Element } from './elements.ts';
import type { Operation } from './plan.ts';
import { choiceChain, choiceRules } from './ruleset.ts';

/** Elements in one command. More is no faster, and nft's error messages quote the whole command. */
const CHUNK = 500;

/** In the order given; neighbours that go to the same set share a command. */
export function transactionText(table: string, operations: readonly Operation[]): string {
  const lines: string[] = [];
  let run: string[] = [];
  let runHead = '';
  const flush = (): void => {
    if (run.length > 0) lines.push(`${runHead} { ${run.join(', ')} }`);
    run = [];
  };
  for (const operation of operations) {
    const head = headOf(table, operation);
    if (head !== runHead || run.length >= CHUNK || operation.kind === 'chain') flush();
    runHead = head;
    switch (operation.kind) {
      case 'chain':
        lines.push(...chainLines(table, operation));
        break;
      case 'element':
        run.push(elementText(operation.verb, operation.element));
        break;
      default:
        assertNever(operation);
    }
  }
  flush();
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function headOf(table: string, operation: Operation): string {
  if (operation.kind === 'chain') return '';
  return `${operation.verb} element ${operation.family} ${table} ${operation.element.set}`;
}

function chainLines(table: string, { verb, family, choice }: Extract<Operation, { kind: 'chain' }>): string[] {
  const chain = `${family} ${table} ${choiceChain(choice)}`;
  if (verb === 'delete') return [`delete chain ${chain}`];
  return [`add chain ${chain}`, ...choiceRules(family, choice).map((rule) => `add rule ${chain} ${rule}`)];
}

function elementText(verb: 'add' | 'delete', { key, value, comment }: Element): string {
  if (verb === 'delete') return key;
  return `${key}${comment === '' ? '' : ` comment "${comment}"`}${value === '' ? '' : ` : ${value}`}`;
}
