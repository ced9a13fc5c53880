"""Architectures of networks, a part or a small family of parts a file."""
