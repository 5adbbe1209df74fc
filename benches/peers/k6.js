// CLIENTS connections, SOCKETS of them to a virtual user, each sending 128 bytes a second until SECONDS after it opened.
import { WebSocket } from 'k6/experimental/websockets';

const clients = Number(__ENV.CLIENTS || 8000);
const sockets = Number(__ENV.SOCKETS || 1);
const seconds = Number(__ENV.SECONDS || 90);
const message = 'x'.repeat(128);

export const options = {
  scenarios: {
    fleet: { executor: 'per-vu-iterations', vus: clients / sockets, iterations: 1, maxDuration: `${seconds + 60}s` },
  },
};

export default function () {
  for (let i = 0; i < sockets; i += 1) {
    setTimeout(talk, Math.random() * 8000);
  }
}

function talk() {
  const socket = new WebSocket('ws://127.0.0.1:9001/ws');
  socket.onopen = () => {
    const timer = setInterval(() => socket.send(message), 1000);
    setTimeout(() => {
      clearInterval(timer);
      socket.close();
    }, seconds * 1000);
  };
  socket.onmessage = () => {};
}
