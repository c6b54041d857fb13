"""Every plot of the book, a module a chapter. A figure takes tables and gives back a Matplotlib figure that knows its
numbers; it trains and reads nothing.
"""
