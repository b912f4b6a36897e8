/** "See it as": staff look at a portal with a partner's eyes. Whose is kept in a cookie that only the portal's pages get. */

export const PREVIEW = 'kith_as';
/** `audience:company` */
export const AS = /^[a-z][A-Za-z0-9]*:[0-9a-f-]{36}$/;
const FROM = 'kith:preview-from';

/** Opens the portal as the partners of a company see it. A full load, so that nothing of the staff's pages stays in memory. */
export function startPreview(audience: string, company: string): void {
  sessionStorage.setItem(FROM, location.pathname);
  document.cookie = `${PREVIEW}=${audience}:${company}; path=/portal; samesite=strict`;
  location.assign('/portal');
}

/** Goes back to where the preview began. */
export function endPreview(): void {
  document.cookie = `${PREVIEW}=; path=/portal; max-age=0; samesite=strict`;
  const from = sessionStorage.getItem(FROM) ?? '/';
  sessionStorage.removeItem(FROM);
  location.assign(from);
}
