"""Numbers of things in words, for lines that people read."""


def counted(number: int, thing: str) -> str:
    """`1 rule`, `2 rules`, `1,000 rules`. For things whose plural ends in s."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
