/** Tasks: start one, watch its bar, cancel it, try it again, read what it found. */

import { announce, byId, element, fileName, quoted, showCommand, time } from './ui.js';
import { summaryTable } from './summary.js';

const FINAL = new Set(['completed', 'failed', 'cancelled']);
const SHOWN = 5;
const WORDS = {
  queued: 'waiting', started: 'started', processing: 'reading', retrying: 'trying again',
  completed: 'done', failed: 'failed', cancelled: 'cancelled',
};

/** Whether status `next` of a task tells something to who knows `known`. */
export function supersedes(next, known) {
  if (!known) return true;
  // Nothing follows a final state, but lists leave large results out.
  if (FINAL.has(known.status)) return Boolean(known.result_omitted && next.result);
  return next.attempt - known.attempt || next.sequence - known.sequence
    ? next.attempt > known.attempt || (next.attempt === known.attempt && next.sequence > known.sequence)
    : false;
}

export function startTasks(apus, { user, token, configuration }) {
  const tasks = new Map();
  const cards = new Map();
  const labels = new Map();
  const note = byId('task-note');
  const sample = configuration.sample_csv;

  byId('tasks-channel').textContent = user ? `user:${user}` : 'task:…';
  showCommand(byId('task-shell'), 'The same from a shell', () => {
    const path = sample ?? 'data.csv';
    return `apus task run dataset.summarize --arg ${quoted(`path=${path}`)}${user ? ` --user ${quoted(user)}` : ''}`;
  });

  const runSample = byId('run-sample');
  runSample.disabled = !sample;
  if (!sample) runSample.title = 'The gateway names no sample: set gateway.page.sample';
  runSample.addEventListener('click', () => run(sample));

  const pick = byId('pick-file');
  if (!configuration.upload) {
    pick.disabled = true;
    byId('pick-label').title = 'This gateway takes no files: set gateway.upload.directory';
    byId('pick-label').classList.add('disabled');
    note.textContent = 'Files from here need gateway.upload.directory to be set; the shell below takes any path.';
  }
  pick.addEventListener('change', () => {
    const [file] = pick.files;
    pick.value = '';
    if (file) send(file);
  });

  async function run(path, label = fileName(path)) {
    await start('tasks.submit', { name: 'dataset.summarize', args: { path } }, 'dataset.summarize', label);
  }

  /** The same once more, as a task of its own. */
  async function retry(id, button) {
    button.disabled = true; // until it is known what came of it
    await start('tasks.retry', { task_id: id }, tasks.get(id)?.name, labels.get(id));
    button.disabled = false;
  }

  /** Calls what makes a task, and shows it. */
  async function start(method, parameters, name, label) {
    try {
      const { task_id: id } = await apus.rpc(method, parameters);
      if (label) labels.set(id, label);
      note.textContent = '';
      if (!user) apus.subscribe(`task:${id}`, { onMessage: ({ data }) => take(data) });
      // Its first reports may have been faster than this answer.
      if (tasks.has(id)) show(tasks.get(id));
      else take({ task_id: id, name, status: 'queued', progress: 0, attempt: 0, sequence: -1 });
      refresh(id).catch(() => {}); // not on record yet: its reports are on their way
    } catch (error) {
      note.textContent = `Not started: ${error.message}`;
    }
  }

  /** The file goes to the gateway first, which says under which path the worker finds it. */
  function send(file) {
    const request = new XMLHttpRequest();
    request.open('POST', '/upload');
    if (token) request.setRequestHeader('Authorization', `Bearer ${token}`);
    request.setRequestHeader('Content-Type', file.type || 'text/csv');
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => {
      note.textContent = `Sending ${file.name}: ${Math.floor((100 * loaded) / Math.max(1, total))} %`;
    };
    request.onload = () => {
      if (request.status < 300 && request.response?.path) return run(request.response.path, file.name);
      const reason = request.response?.error?.message ?? request.response?.error;
      note.textContent =
        request.status === 413 ? `${file.name} is larger than this gateway takes (gateway.upload.bytes).`
        : request.status === 404 ? 'This gateway takes no files: set gateway.upload.directory.'
        : `${file.name} was not taken: ${reason ?? `status ${request.status}`}`;
    };
    request.onerror = () => {
      note.textContent = `${file.name} was not sent: the gateway could not be reached.`;
    };
    request.send(file);
  }

  async function refresh(id) {
    take(await apus.rpc('tasks.get', { task_id: id }));
  }

  async function load() {
    try {
      const answer = await apus.rpc('tasks.list', user ? { user, limit: SHOWN } : { limit: SHOWN });
      for (const status of (answer.tasks ?? []).reverse()) take(status, true);
    } catch {
      // Without it the list starts empty, and the tasks that are known are asked for one by one.
      for (const [id, status] of tasks) if (!FINAL.has(status.status)) refresh(id).catch(() => {});
    }
  }

  async function cancel(id) {
    try {
      await apus.rpc('tasks.cancel', { task_id: id });
      await refresh(id);
    } catch (error) {
      note.textContent = `Not cancelled: ${error.message}`;
    }
  }

  function take(status, isQuiet = false) {
    const known = tasks.get(status?.task_id);
    if (!status?.task_id || !supersedes(status, known)) return;
    tasks.set(status.task_id, { ...known, ...status, submitted_at: status.submitted_at ?? known?.submitted_at });
    if (status.result) delete tasks.get(status.task_id).result_omitted;
    else if (status.result_omitted) refresh(status.task_id).catch(() => {});
    show(tasks.get(status.task_id));
    if (!isQuiet && FINAL.has(status.status)) announce(`${status.name} ${WORDS[status.status]}`);
  }

  function show(status) {
    let card = cards.get(status.task_id);
    if (!card) {
      card = makeCard(status.task_id);
      cards.set(status.task_id, card);
    }
    card.update(status, labels.get(status.task_id));
    arrange();
  }

  /** Newest first; older ones leave the page. */
  function arrange() {
    const list = byId('tasks');
    const newestFirst = [...tasks.values()].sort((left, right) => when(right) - when(left));
    for (const { task_id: id } of newestFirst.slice(SHOWN)) {
      tasks.delete(id);
      cards.get(id).node.remove();
      cards.delete(id);
    }
    const nodes = newestFirst.slice(0, SHOWN).map(({ task_id: id }) => cards.get(id).node);
    if (nodes.some((node, index) => list.children[index] !== node)) list.replaceChildren(...nodes);
    byId('no-tasks').hidden = nodes.length > 0;
  }

  function makeCard(id) {
    const title = element('strong');
    const kind = element('code', { class: 'channel' });
    const state = element('span', { class: 'state' });
    const bar = element('span', { class: 'bar-fill' });
    const progress = element(
      'div', { class: 'bar', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 }, bar);
    const message = element('p', { class: 'meta' });
    const stop = element('button', { type: 'button', class: 'link', onclick: () => cancel(id) }, 'Cancel');
    const again = element('button', { type: 'button', class: 'link', onclick: () => retry(id, again) }, 'Retry');
    const result = element('div', { class: 'result' });
    const node = element(
      'li', { class: 'task', 'data-task': id },
      element('div', { class: 'task-head' }, title, kind, state, stop, again), progress, message, result);
    let hasResult = false;
    return {
      node,
      update(status, label) {
        const percent = Math.max(0, Math.min(100, status.progress ?? 0));
        const isFinal = FINAL.has(status.status);
        node.dataset.status = status.status;
        title.textContent = label ?? status.name;
        // Ids begin with their time, so that those made together differ only at the end.
        kind.textContent = label ? status.name : id.slice(-8);
        state.textContent = isFinal || status.status === 'queued'
          ? WORDS[status.status] : `${WORDS[status.status] ?? status.status} ${Math.floor(percent)} %`;
        bar.style.transform = `scaleX(${percent / 100})`;
        progress.setAttribute('aria-valuenow', Math.floor(percent));
        progress.setAttribute('aria-label', `Progress of ${label ?? status.name}`);
        const started = time(status.submitted_at);
        message.textContent = [status.message, started].filter(Boolean).join(' · ');
        stop.hidden = isFinal;
        again.hidden = !isFinal || status.status === 'completed';
        stop.setAttribute('aria-label', `Cancel ${label ?? status.name}`);
        again.setAttribute('aria-label', `Retry ${label ?? status.name}`);
        if (status.status === 'completed' && status.result && !hasResult) {
          hasResult = true;
          for (const other of byId('tasks').querySelectorAll('details')) other.open = false;
          result.append(summaryTable(status.result));
        }
      },
    };
  }

  if (user) {
    const channel = `user:${user}`;
    apus.on('message', (message) => {
      if (message.channel === channel && message.event === 'task_status') take(message.data, message.recovered);
    });
    apus.on('lost', (event) => event.channel === channel && load());
  }
  apus.on('state', ({ state }) => state === 'live' && load());
}

const when = (status) => new Date(status.submitted_at ?? Date.now()).getTime() || 0;
