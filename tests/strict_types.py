"""How annotations are checked while tests run; see the import hook in conftest.py."""

from beartype import BeartypeConf, beartype

# An int serves where a float is wanted, as type checkers have it.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
