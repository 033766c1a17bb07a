"""What `filament run` puts on the path of the application's interpreter.

Standard library only (Python 3.9 or later): the application's interpreter need not be ours.
"""
