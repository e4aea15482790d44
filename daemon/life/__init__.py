"""A process that lives for months: its lock, its threads, signals, the service manager, memory, patience."""
