/** Inventory alerts: one entry per product, the latest word counts. Only admins may follow the channel. */

import { announce, byId, element, flash, number, quoted, showCommand, time } from './ui.js';

const CHANNEL = 'admin:inventory-alerts';

export function startAlerts(apus) {
  const alerts = new Map();
  byId('alerts-panel').hidden = false;
  byId('alerts-channel').textContent = CHANNEL;
  showCommand(byId('alerts-shell'), 'Let a product run low', () => {
    const event = { product_id: 'P-7', quantity: 3, threshold: 5, version: Math.floor(Date.now() / 1000) };
    return `apus event inventory.changed ${quoted(JSON.stringify(event))}`;
  });

  const keyOf = (data) => String(data.product_id ?? data.id);
  const isOlder = (data, known) =>
    known && (known.offset && data.offset ? data.offset <= known.offset : data.created_at < known.created_at);

  function take({ data, event, offset, recovered }, isQuiet = recovered) {
    if (event !== 'notification' || data?.type !== 'inventory_alert') return;
    const key = keyOf(data);
    if (isOlder({ ...data, offset }, alerts.get(key))) return;
    alerts.set(key, { ...data, offset });
    show(isQuiet ? null : key);
    if (!isQuiet) announce(data.message);
  }

  function show(changed) {
    const isFiring = (alert) => (alert.state === 'firing' ? 0 : 1);
    const sorted = [...alerts.values()].sort((left, right) =>
      isFiring(left) - isFiring(right) || String(right.created_at).localeCompare(String(left.created_at)));
    byId('alerts').replaceChildren(...sorted.map(entry));
    byId('no-alerts').hidden = sorted.some((alert) => alert.state === 'firing');
    const node = [...byId('alerts').children].find((child) => child.dataset.product === changed);
    if (node) flash(node);
  }

  function entry(alert) {
    const isFiring = alert.state === 'firing';
    const share = Math.max(0, Math.min(1, alert.quantity / (alert.threshold || 1)));
    const fill = element('span', { class: 'bar-fill' });
    fill.style.transform = `scaleX(${share})`;
    return element(
      'li', { class: 'alert', 'data-state': alert.state, 'data-product': keyOf(alert) },
      element('p', { class: 'title' }, alert.title || alert.message),
      element(
        'p', { class: 'meta' }, isFiring ? 'low' : alert.state === 'resolved' ? 'back in stock' : String(alert.state ?? ''),
        ` · ${number(alert.quantity)} in stock, threshold ${number(alert.threshold)} · ${time(alert.created_at)}`),
      isFiring ? element('div', { class: 'bar', 'aria-hidden': 'true' }, fill) : null);
  }

  const subscription = apus.subscribe(CHANNEL, { onMessage: (message) => take(message) });
  subscription.on('subscribed', ({ recovered }) => recovered || load());
  subscription.on('lost', () => load());

  /** What fires now; what came over the channel meanwhile is newer. */
  async function load() {
    const before = new Map(alerts);
    try {
      const { alerts: firing } = await apus.rpc('alerts.list');
      for (const [key, alert] of before) if (alerts.get(key) === alert) alerts.delete(key);
      for (const data of firing) take({ event: 'notification', data }, true);
      show();
    } catch (error) {
      byId('no-alerts').textContent = `What fires now can’t be had (${error.message}); new alerts will show.`;
    }
  }
  subscription.on('error', ({ message }) => {
    byId('no-alerts').textContent = `Alerts can’t be followed: ${message}`;
  });
}
