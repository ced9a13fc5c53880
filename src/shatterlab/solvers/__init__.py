"""How kernel systems are solved. No parts."""
