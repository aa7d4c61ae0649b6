/** Aligned columns for people. Colour is applied after the padding, so that it cannot move a column. */
export type Style = 'red' | 'yellow' | 'green' | 'dim' | 'bold';
export type Paint = (style: Style, text: string) => string;
export type Cell = string | { readonly text: string; readonly style: Style };

export const plain: Paint = (_style, text) => text;

const GAP = '   ';

/** Empty cells read `-`. No line ends in spaces; the last line has its newline. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
  indent = '',
): string {
  const table: readonly (readonly Cell[])[] = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...table.map((row) => textOf(row[column]).length)));
  const lines = table.map((row) => {
    const cells = header.map((_, column) => {
      const text = textOf(row[column]);
      const padding = column < header.length - 1 ? ' '.repeat((widths[column] ?? 0) - text.length) : '';
      const cell = row[column];
      return (typeof cell === 'object' ? paint(cell.style, text) : text) + padding;
    });
    return `${indent}${cells.join(GAP)}\n`;
  });
  return lines.join('');
}

function textOf(cell: Cell | undefined): string {
  const text = typeof cell === 'object' ? cell.text : cell;
  return text ? printable(text) : '-';
}

/** Texts come from other clusters: none may break a line or send an escape sequence to a terminal. */
export const printable = (text: string): string => text.replace(/\p{Cc}/gu, '�');
