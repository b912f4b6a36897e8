/** What the terminal says about the demo's logins. */

export interface Login {
  email: string;
  password: string;
  role: string;
}

/** A small table of the logins, with the password once when it is the same for all. */
export function loginsText(logins: readonly Login[]): string {
  const [first] = logins;
  if (!first) return 'The Northwind demo is loaded.';
  const same = logins.every((login) => login.password === first.password);
  const width = Math.max(...logins.map((login) => login.email.length)) + 2;
  return [
    `The Northwind demo is loaded. Sign in as${same ? `, password ${first.password}` : ''}:`,
    ...logins.map((login) => `  ${login.email.padEnd(width)}${login.role}${same ? '' : `  ${login.password}`}`),
  ].join('\n');
}
