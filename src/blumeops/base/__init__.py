"""The ground floor: errors, places, findings, file trees, files and processes. Imports no other room."""
