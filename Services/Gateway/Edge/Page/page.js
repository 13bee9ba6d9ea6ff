/** The page: signs in, opens the connection, and gives each panel what it needs. */

import { Apus, LocalCode } from './apus.js';
import { startAlerts } from './alerts.js';
import { startChat } from './chat.js';
import { startConnection } from './connection.js';
import { startNotifications } from './notifications.js';
import { startRecorder } from './recorder.js';
import { startRows } from './rows.js';
import { claims, configuration, forget, guestName, keep, takeToken } from './session.js';
import { startTasks } from './tasks.js';
import { byId, showCommand } from './ui.js';

/** Codes of a connection that was refused for its token, by the protocol. */
const REFUSED = new Set([101, 109, 3500, 3501, 3503, LocalCode.unauthorized]);

function askForToken(reason) {
  byId('content').hidden = true;
  byId('sign-in').hidden = false;
  byId('sign-in-reason').textContent = reason ?? '';
  showCommand(byId('token-shell'), 'Make a token', 'apus token --user 42 --role admin');
  byId('token').focus();
}

byId('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = byId('token').value.trim();
  if (!claims(token)) {
    byId('sign-in-reason').textContent = 'This is not a token: it has three parts with dots between them.';
    return;
  }
  keep(token);
  location.reload();
});
byId('sign-out').addEventListener('click', () => {
  forget();
  location.reload();
});

async function start() {
  const token = takeToken();
  const settings = await configuration();
  if (!token && !settings.anonymous) return askForToken();

  const { sub: user = null, roles = [] } = (token && claims(token)) || {};
  const name = user ?? guestName();
  byId('content').hidden = false;
  byId('user').textContent = user ? `user ${user}${roles.length ? ` · ${roles.join(', ')}` : ''}` : name;
  byId('user').hidden = false;
  byId('sign-out').hidden = !token;

  const apus = new Apus('/', { token, name: 'apus-page' });
  apus.on('state', ({ state, code, reason }) => {
    if (state !== 'disconnected' || !REFUSED.has(code)) return;
    forget();
    askForToken(token ? `The gateway refused the token: ${reason}.` : `The gateway wants a token: ${reason}.`);
  });

  // On a socket the server does this by itself.
  apus.on('state', ({ transport }) => {
    if ((transport === 'sse' || transport === 'poll') && user) apus.subscribe(`user:${user}`);
  });

  startConnection(apus);
  // First, so that panels which ask for something at once are answered when it is there.
  apus.connect();
  const recorder = startRecorder(apus);
  if (user) recorder.show(`user:${user}`);
  startTasks(apus, { user, token, configuration: settings });
  if (user) startNotifications(apus, { user });
  startChat(apus, { name });
  recorder.show('room:lobby');
  startRows(apus, { configuration: settings });
  for (const table of settings.tables.slice(0, 1)) recorder.show(`table:${table}`);
  if (roles.includes('admin')) {
    startAlerts(apus);
    recorder.show('admin:inventory-alerts');
  }
}

start();
