"""One kind of work a file: how `with` becomes a part of the representation."""
