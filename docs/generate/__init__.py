"""What the documentation takes from the code: reference pages, figures and diagrams, made when it is built."""
