"""The built-in forge: one bare repository, Git over HTTP, and a gate that each push has to pass.

It knows nothing of labs: what a revision is checked for comes in as a function (`gate.Examine`).
"""
