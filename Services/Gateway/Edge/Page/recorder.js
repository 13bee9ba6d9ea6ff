/**
 * The strip at the top: one lane per channel, one stroke per message, moving left over a minute. Hatched is the time
 * without a connection; strokes with a dot came after it, recovered from the log.
 */

import { byId, count } from './ui.js';

const WINDOW = 60_000;
const LANES = 5;
const LANE_HEIGHT = 20;
/** Narrower than this the lanes' names stand above their lines. */
const NARROW = 640;

export function startRecorder(apus) {
  const canvas = byId('recorder');
  const context = canvas.getContext('2d');
  const lanes = [];
  let strokes = [];
  let outages = [];
  let offlineSince = null;
  let laneHeight = LANE_HEIGHT;

  const laneOf = (channel) => {
    const namespace = channel.includes(':') ? channel.slice(0, channel.indexOf(':')) : 'default';
    const name = namespace === 'task' ? 'task:…' : channel;
    if (!lanes.includes(name) && lanes.length < LANES) lanes.push(name);
    return lanes.indexOf(name);
  };
  const mark = (channel, kind) => {
    const lane = laneOf(channel);
    if (lane >= 0) strokes.push({ at: Date.now(), lane, kind });
  };

  apus.on('message', ({ channel, recovered }) => mark(channel, recovered ? 'recovered' : 'live'));
  apus.on('lost', ({ channel }) => mark(channel, 'lost'));
  apus.on('state', ({ state }) => {
    if (state === 'live' && offlineSince !== null) {
      outages.push({ from: offlineSince, to: Date.now() });
      offlineSince = null;
    } else if (state !== 'live' && offlineSince === null) {
      offlineSince = Date.now();
    }
  });

  let colours;
  const readColours = () => {
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    colours = {
      ink: colour('--ink-quiet'), line: colour('--line'), live: colour('--signal'), recovered: colour('--recovered'),
      lost: colour('--alarm'), outage: colour('--line-strong'), font: `11px ${colour('--mono')}`,
    };
  };
  readColours();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', readColours);

  function draw() {
    const now = Date.now();
    strokes = strokes.filter((stroke) => now - stroke.at < WINDOW).slice(-4000);
    outages = outages.filter((outage) => now - outage.to < WINDOW);
    const scale = devicePixelRatio || 1;
    const width = canvas.clientWidth;
    laneHeight = width < NARROW ? 32 : LANE_HEIGHT;
    const height = Math.max(1, lanes.length) * laneHeight + 16;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.height = `${height}px`;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const left = width < NARROW ? 0 : 172;
    const x = (at) => left + (1 - (now - at) / WINDOW) * (width - left);
    drawOutages(x, left, height, now);
    drawLanes(left, width, height);
    for (const { at, lane, kind } of strokes) drawStroke(x(at), lane, kind, now - at);
  }

  const lineOf = (lane) => Math.round((lane + 1) * laneHeight - 10) + 0.5;

  function drawOutages(x, left, height, now) {
    const spans = offlineSince === null ? outages : [...outages, { from: offlineSince, to: now }];
    context.strokeStyle = colours.outage;
    context.lineWidth = 1;
    for (const { from, to } of spans) {
      const start = Math.max(left, x(from));
      const end = x(to);
      context.save();
      context.beginPath();
      context.rect(start, 0, Math.max(1, end - start), height - 16);
      context.clip();
      context.beginPath();
      for (let at = start - height; at < end; at += 6) {
        context.moveTo(at, height);
        context.lineTo(at + height, 0);
      }
      context.stroke();
      context.restore();
    }
  }

  function drawLanes(left, width, height) {
    context.font = colours.font;
    context.textBaseline = 'middle';
    context.lineWidth = 1;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.ink;
    context.beginPath();
    for (let lane = 0; lane < Math.max(1, lanes.length); lane += 1) {
      const y = lineOf(lane);
      context.moveTo(left, y);
      context.lineTo(width, y);
      if (lanes[lane]) context.fillText(lanes[lane], 0, left ? y : y - 15, (left || width) - 16);
    }
    context.stroke();
    context.textBaseline = 'bottom';
    for (const seconds of [60, 45, 30, 15, 0]) {
      context.textAlign = seconds === 60 ? 'left' : seconds === 0 ? 'right' : 'center';
      const label = seconds ? `${seconds} s ago` : 'now';
      context.fillText(label, left + (1 - seconds / 60) * (width - left), height);
    }
    context.textAlign = 'left';
  }

  function drawStroke(x, lane, kind, age) {
    const y = lineOf(lane);
    const reach = age < 400 ? 9 : 6;
    context.strokeStyle = context.fillStyle = colours[kind];
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x, y - reach);
    context.lineTo(x, y + reach);
    context.stroke();
    if (kind === 'live') return;
    context.beginPath();
    context.arc(x, y - reach, 3, 0, 2 * Math.PI);
    context.fill();
  }

  const isStill = matchMedia('(prefers-reduced-motion: reduce)');
  let last = 0;
  function frame(at) {
    if (at - last > (isStill.matches ? 1000 : 50)) {
      last = at;
      draw();
    }
    requestAnimationFrame(frame);
  }
  requestAnimationFrame(frame);
  setInterval(() => {
    canvas.setAttribute('aria-label', `${count(strokes.length, 'message')} in the last minute`);
  }, 5000);

  /** Gives a channel its lane before its first message. */
  return { show: laneOf };
}
