"""The lab up, a push, a failure, a bad day: the real command, real programs, real clients."""
