"""The daemon's local socket: other darkroom commands ask it things, and it answers from where the work is done.

A Unix socket in `state_dir`, for its owner and group (mode 0660); no port. A question is a line of JSON, so is the
answer. Who only asks loads `asker` alone, which is small: an answer then takes a moment.
"""
