"""The host's side of the wire against guests that say anything at all."""
