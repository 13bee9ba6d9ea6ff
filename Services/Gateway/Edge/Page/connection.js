/** The line at the top that says how the connection does. */

import { byId, count } from './ui.js';

const WORDS = {
  disconnected: 'Not connected', connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting',
};

export function startConnection(apus) {
  const place = byId('connection');
  let recovered = 0;
  let lost = 0;
  let gaps = 0;
  let wasLive = false;
  let current = { state: 'disconnected' };
  let retryAt = 0;

  apus.on('recovered', (event) => {
    recovered += event.count;
    show();
  });
  apus.on('lost', (event) => {
    if (event.count === undefined) gaps += 1;
    else lost += event.count;
    show();
  });
  apus.on('state', (event) => {
    current = event;
    if (event.state === 'live') wasLive = true;
    if (event.state === 'reconnecting') retryAt = Date.now() + event.retryIn;
    show();
  });
  setInterval(() => {
    if (current.state === 'reconnecting') show();
  }, 250);

  function details() {
    const { state, transport, reason, attempt } = current;
    if (state === 'reconnecting') {
      const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
      return [`in ${seconds} s`, attempt > 1 ? `attempt ${attempt}` : null, reason];
    }
    if (state === 'disconnected') return [reason];
    if (state !== 'live') return [];
    return [
      { sse: 'reading Server-Sent Events', poll: 'polling' }[transport],
      recovered || gaps || lost ? `${count(recovered, 'message')} recovered` : null,
      lost ? `${lost} lost` : gaps ? null : recovered ? 'none lost' : null,
      gaps ? count(gaps, 'gap') : null,
    ];
  }

  function show() {
    place.dataset.state = current.state;
    place.dataset.recovered = recovered;
    place.dataset.lost = lost + gaps;
    const words = current.state === 'connecting' && wasLive ? 'Reconnecting' : WORDS[current.state];
    const state = byId('connection-state');
    if (state.textContent !== words) state.textContent = words;
    byId('connection-detail').textContent = details().filter(Boolean).join(' · ');
  }
  show();
}
