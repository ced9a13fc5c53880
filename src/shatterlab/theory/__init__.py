"""Formulas of learning theory: numbers in, bounds out."""
