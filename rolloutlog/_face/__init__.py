"""The views that people see of a session: in a terminal, on a page, in a notebook."""
