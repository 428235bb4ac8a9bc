-- For sqlc alone: migrations.Up, and the line before the goose command, create the schema before the first migration runs.
CREATE SCHEMA IF NOT EXISTS eventstream;
