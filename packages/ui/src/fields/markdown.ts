/** Markdown as plain words, where no editor shows it. */
export function plainText(markdown: string): string {
  return markdown
    .replace(/^(#{1,6}|>|[-*+]|\d+\.)\s+/gmu, '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/gu, '$1')
    .replace(/(\*\*|__|\*|_|`)(.+?)\1/gu, '$2')
    .replace(/\\([\\`*_{}[\]()#+\-.!>])/gu, '$1');
}
