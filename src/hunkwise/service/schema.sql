CREATE TABLE IF NOT EXISTS hunkwise_deliveries (
  id text PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS hunkwise_runs (
  job bigint NOT NULL,
  kind text NOT NULL,
  repository text NOT NULL,
  number integer NOT NULL,
  began timestamptz NOT NULL,
  ended timestamptz NOT NULL DEFAULT now(),
  exit_code integer NOT NULL,
  conclusion text NOT NULL,
  outputs jsonb NOT NULL,
  message text NOT NULL
);
CREATE INDEX IF NOT EXISTS hunkwise_runs_ended ON hunkwise_runs (ended);
CREATE TABLE IF NOT EXISTS hunkwise_cursors (
  name text PRIMARY KEY,
  value text NOT NULL
);
CREATE TABLE IF NOT EXISTS hunkwise_api_users (
  id bigint PRIMARY KEY,
  hour timestamptz NOT NULL,
  requests integer NOT NULL
);
CREATE TABLE IF NOT EXISTS hunkwise_progress (
  job bigint PRIMARY KEY,
  line text NOT NULL
);
CREATE TABLE IF NOT EXISTS hunkwise_drained (
  address text PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS hunkwise_server_uses (
  process text PRIMARY KEY,
  renewed timestamptz NOT NULL,
  addresses text[] NOT NULL
);
