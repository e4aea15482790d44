"""Tasks: steps that run for seconds or hours, in a PyTorch process of their own (docs/tasks.md).

In the daemon, `host` has the slots, `slot` is one of them, `trying` is one try of one job, `attempt` what a worker
makes of it, `process` the worker seen from here. In the child, `worker` listens, `running` runs the task, `checkpoint`
keeps its state. `messages` is what both say, `folder` the files they share.
"""
