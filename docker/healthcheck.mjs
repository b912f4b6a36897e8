// Whether the process in this container lives: a web answers at PORT, a worker at KITH_HEALTH_PORT.
const ports = [process.env.PORT, process.env.KITH_HEALTH_PORT].filter(Boolean);
const answers = await Promise.all(
  ports.map((port) =>
    fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(4_000) }).then(
      ({ ok }) => ok,
      () => false,
    ),
  ),
);
process.exit(answers.includes(true) ? 0 : 1);
