-- A role and a database of its own for one service. Safe to repeat; prints `changed` when it made something.
-- Its statements hold the password: however the server logs or counts statements, it does not know these.
SET log_statement = none;
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
SET pg_stat_statements.track = none;
SET auto_explain.log_min_duration = -1;
\getenv role NEW_ROLE
\getenv database NEW_DATABASE
\getenv password NEW_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', :'role', :'password') \gexec
SELECT 'changed' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database');
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', :'database') \gexec
