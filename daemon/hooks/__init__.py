"""Hooks: what a rule starts, or tells a webhook, when pictures fail and when its work is done (docs/notifications.md).

`values` is what config.yaml says, `words` reads and fills in a command. `failures` and `stretches` know what there is
to tell and when, `events` puts it together. `firing` has the thread that starts it, `process` is one hook at work,
`webhook` the child that posts. `needs` is what hooks want of the machine.
"""
