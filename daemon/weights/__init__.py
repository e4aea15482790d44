"""The networks that style transfer looks through: listed, added, fetched, verified."""
