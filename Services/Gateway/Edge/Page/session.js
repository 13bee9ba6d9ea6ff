/** Who uses this tab: the token from the address or the form, and what it says. */

const KEY = 'apus.token';
const NAME = 'apus.guest';

/** The claims of a token, for display only (the gateway checks it); null if it is not one. */
export function claims(token) {
  try {
    const body = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(body), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

/** Takes `?token=` out of the address, so that it is neither bookmarked nor shared, and keeps it for this tab. */
export function takeToken() {
  const address = new URL(location.href);
  const token = address.searchParams.get('token');
  if (token) {
    keep(token);
    address.searchParams.delete('token');
    history.replaceState(null, '', address);
  }
  return sessionStorage.getItem(KEY);
}

export function keep(token) {
  sessionStorage.setItem(KEY, token.trim());
}

export function forget() {
  sessionStorage.removeItem(KEY);
}

/** What somebody without a token is called in the chat. */
export function guestName() {
  let name = sessionStorage.getItem(NAME);
  if (!name) {
    name = `guest ${100 + Math.floor(Math.random() * 900)}`;
    sessionStorage.setItem(NAME, name);
  }
  return name;
}

/** What the gateway offers this page; every part of it is optional. */
export async function configuration() {
  const usual = { sample_csv: null, tables: ['main.products'], anonymous: false, upload: false };
  try {
    const response = await fetch('/page.json', { cache: 'no-store' });
    return response.ok ? { ...usual, ...(await response.json()) } : usual;
  } catch {
    return usual;
  }
}
