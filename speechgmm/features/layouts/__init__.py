"""How corpora are laid out: a module for each layout, behind the protocol of `protocol.py`."""
