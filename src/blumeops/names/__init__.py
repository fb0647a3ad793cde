"""The lab's names at site `here`, answered by DNS on loopback."""
